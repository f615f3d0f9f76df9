// Users, groups, capabilities, prctl, personality, scheduling, limits of names: who and how one is.
#include "check.h"
#include <grp.h>
#include <linux/capability.h>
#include <pthread.h>
#include <sched.h>
#include <sys/fsuid.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/sysinfo.h>
#include <sys/times.h>
#include <sys/utsname.h>

static pthread_barrier_t barrier;
static void *reports_uid(void *out) {
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    *(uid_t *)out = geteuid();
    return NULL;
}

static int drops_user(void *unused) {
    (void)unused;
    pthread_t threads[3];
    uid_t seen[3] = {1, 1, 1};
    pthread_barrier_init(&barrier, NULL, 4);
    for (int i = 0; i < 3; i++) pthread_create(&threads[i], NULL, reports_uid, &seen[i]);
    pthread_barrier_wait(&barrier);
    gid_t groups[2] = {5, 6}, got[8];
    if (setgroups(2, groups) || getgroups(8, got) != 2 || got[1] != 6) return 1;
    if (setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534)) return 2;
    pthread_barrier_wait(&barrier);
    for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
    for (int i = 0; i < 3; i++)
        if (seen[i] != 65534) return 3;
    if (setuid(0) != -1 || errno != EPERM) return 4;
    if (kill(1, 0) != -1 || errno != EPERM) return 5;
    uid_t real, effective, saved;
    if (getresuid(&real, &effective, &saved) || real != 65534 || saved != 65534) return 6;
    return open("/etc/shadow", O_RDONLY) == -1 && errno == EACCES ? 0 : 7;
}

static int no_new_privileges(void *unused) {
    (void)unused;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) return 1;
    return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? 0 : 2;
}

static int randomises(void *unused) {
    (void)unused;
    int old = personality(0xffffffff);
    if (old < 0 || personality((unsigned long)old | ADDR_NO_RANDOMIZE) != old) return 1;
    return (personality(0xffffffff) & ADDR_NO_RANDOMIZE) ? 0 : 2;
}

int main(void) {
    if (getuid() == 0) check_child("set*id reach every thread and cannot be undone", drops_user, NULL, "exit 0");
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2];
    CHECK_EQ("capget", syscall(SYS_capget, &header, data), 0);
    CHECK_EQ("capset of the same", syscall(SYS_capset, &header, data), 0);
    header.version = 1;
    CHECK_ERRNO("a bad version", syscall(SYS_capget, &header, data), EINVAL);
    CHECK_EQ("tells the right one", header.version, _LINUX_CAPABILITY_VERSION_3);
    CHECK("PR_CAPBSET_READ", prctl(PR_CAPBSET_READ, CAP_CHOWN) >= 0);
    check_child("PR_SET_NO_NEW_PRIVS", no_new_privileges, NULL, "exit 0");
    check_child("personality", randomises, NULL, "exit 0");
    CHECK_ERRNO("an unknown prctl", prctl(99999), EINVAL);
    CHECK_ERRNO("PR_SET_NAME with a bad pointer", prctl(PR_SET_NAME, 8), EFAULT);
    CHECK_EQ("PR_SET_DUMPABLE", prctl(PR_SET_DUMPABLE, 0) | prctl(PR_GET_DUMPABLE), 0);
    prctl(PR_SET_DUMPABLE, 1);
    CHECK_EQ("PR_SET_THP_DISABLE", prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0), 0);
    unsigned long base = 0;
    CHECK("arch_prctl ARCH_GET_FS", syscall(SYS_arch_prctl, 0x1003, &base) == 0 && base == *(unsigned long *)base);
    CHECK_EQ("ARCH_SET_GS", syscall(SYS_arch_prctl, 0x1001, 0x12345000), 0);
    CHECK("ARCH_GET_GS", syscall(SYS_arch_prctl, 0x1004, &base) == 0 && base == 0x12345000);
    unsigned long by_instruction = 0;
    __asm__ volatile("rdgsbase %0" : "=r"(by_instruction));
    CHECK_EQ("rdgsbase agrees", by_instruction, 0x12345000);
    CHECK_ERRNO("ARCH_SET_FS of a kernel address", syscall(SYS_arch_prctl, 0x1002, 0xffff800000000000), EPERM);

    struct utsname name;
    CHECK("uname", uname(&name) == 0 && strcmp(name.sysname, "Linux") == 0 && strcmp(name.machine, "x86_64") == 0);
    char host[128];
    CHECK("gethostname", gethostname(host, sizeof host) == 0 && strcmp(host, name.nodename) == 0);
    struct sysinfo info;
    CHECK("sysinfo", sysinfo(&info) == 0 && info.totalram > 1 << 20 && info.procs > 0 && info.uptime > 0);
    unsigned char random[64] = {0}, zero[64] = {0};
    CHECK("getrandom", getrandom(random, 64, 0) == 64 && memcmp(random, zero, 64));
    CHECK_ERRNO("getrandom with bad flags", getrandom(random, 64, 99), EINVAL);
    CHECK_ERRNO("getrandom with a bad pointer", getrandom((void *)8, 64, 0), EFAULT);
    struct tms times_now;
    CHECK("times", times(&times_now) > 0);

    cpu_set_t set, one;
    CHECK("sched_getaffinity", sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) >= 1);
    CHECK_EQ("get_nprocs", get_nprocs() >= 1 && sysconf(_SC_NPROCESSORS_ONLN) == CPU_COUNT(&set), 1);
    CPU_ZERO(&one);
    for (int i = 0; i < CPU_SETSIZE; i++)
        if (CPU_ISSET(i, &set)) {
            CPU_SET(i, &one);
            break;
        }
    CHECK("sched_setaffinity", sched_setaffinity(0, sizeof one, &one) == 0 && sched_getcpu() >= 0 && CPU_ISSET(sched_getcpu(), &one));
    sched_setaffinity(0, sizeof set, &set);
    cpu_set_t none;
    CPU_ZERO(&none);
    CHECK_ERRNO("an empty set", sched_setaffinity(0, sizeof none, &none), EINVAL);
    struct sched_param parameter = {0};
    CHECK("sched_setscheduler BATCH", sched_setscheduler(0, SCHED_BATCH, &parameter) == 0 && sched_getscheduler(0) == SCHED_BATCH);
    CHECK("and back", sched_setscheduler(0, SCHED_OTHER, &parameter) == 0 && sched_getparam(0, &parameter) == 0 && parameter.sched_priority == 0);
    CHECK_ERRNO("a bad policy", sched_setscheduler(0, 99, &parameter), EINVAL);
    CHECK_EQ("sched_get_priority_max", sched_get_priority_max(SCHED_FIFO), 99);
    struct timespec slice;
    CHECK_EQ("sched_rr_get_interval", sched_rr_get_interval(0, &slice), 0);
    struct { uint32_t size, policy; uint64_t flags; int32_t nice; uint32_t priority; uint64_t a, b, c; } attributes = {0};
    CHECK("sched_getattr", syscall(SYS_sched_getattr, 0, &attributes, sizeof attributes, 0) == 0 && attributes.policy == SCHED_OTHER);
    pid_t child = fork();
    if (child == 0) _exit(nice(5) == 5 && getpriority(PRIO_PROCESS, 0) == 5 ? 0 : 1);
    int status;
    waitpid(child, &status, 0);
    check_status("nice", status, "exit 0");
    CHECK_EQ("setpriority of oneself", setpriority(PRIO_PROCESS, 0, 0), 0);
    CHECK_ERRNO("getpriority of nobody", getpriority(PRIO_PROCESS, 0x3ffffff), ESRCH);
    CHECK_EQ("ioprio_get", syscall(SYS_ioprio_get, 1, 0) >= 0, 1);
    CHECK_EQ("sched_yield", sched_yield(), 0);
    CHECK_EQ("getpgrp, getsid", getpgid(0) == getpgrp() && getsid(0) > 0, 1);
    CHECK_EQ("gettid is the pid", syscall(SYS_gettid), getpid());
    CHECK_EQ("setfsuid tells the last", setfsuid(getuid()), (int)getuid());
    CHECK_EQ("membarrier QUERY", syscall(SYS_membarrier, 0, 0, 0) > 0, 1);
    CHECK_EQ("an unknown system call", syscall(4000, 0), -1);
    CHECK_ERRNO("gives ENOSYS", syscall(100000), ENOSYS);
    CHECK_ERRNO("a negative one too", syscall(-5), ENOSYS);
    CHECK_ERRNO("and one of the x32 kind", syscall(0x40000000 + 39), ENOSYS);
    return check_done();
}
