// Filters that a guest installs itself: errno, kill, trap, threads, inheritance, strict mode.
#include "check.h"
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <ucontext.h>
#include <pthread.h>
#include <sys/prctl.h>

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define ON(number, action) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (number), 0, 1), BPF_STMT(BPF_RET | BPF_K, (action))
#define ALLOW BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

static int install(struct sock_filter *filter, size_t length, unsigned flags) {
    struct sock_fprog program = {(unsigned short)length, filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) return -1;
    return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
}
#define INSTALL(flags, ...)                                                                                            \
    ({                                                                                                                 \
        struct sock_filter filter[] = {__VA_ARGS__};                                                                   \
        install(filter, COUNT(filter), flags);                                                                         \
    })

static int gives_errno(void *unused) {
    (void)unused;
    if (INSTALL(0, LOAD(arch), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
                LOAD(nr), ON(SYS_getpgrp, SECCOMP_RET_ERRNO | 77), ON(SYS_getppid, SECCOMP_RET_ERRNO | 0), ALLOW)) return 1;
    errno = 0;
    if (syscall(SYS_getpgrp) != -1 || errno != 77) return 2;
    if (syscall(SYS_getppid) != 0) return 3;
    if (prctl(PR_GET_SECCOMP) != 2) return 4;
    if (fork() == 0) _exit(syscall(SYS_getpgrp) == -1 && errno == 77 ? 0 : 1);
    int status;
    wait(&status);
    if (status) return 5;
    pid_t child = fork();
    if (child == 0) {
        execl("/proc/self/exe", "self", "--filtered", (char *)NULL);
        _exit(9);
    }
    waitpid(child, &status, 0);
    return status == EXITED(33) ? 0 : 6;
}

static int kills(void *action) {
    struct rlimit no_core = {0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    if (INSTALL(0, LOAD(nr), ON(SYS_getpgrp, (uint32_t)(long)action), ALLOW)) return 1;
    syscall(SYS_getpgrp);
    return 2;
}

static volatile siginfo_t trapped;
static volatile long trapped_rax;
static void on_trap(int signal, siginfo_t *info, void *context) {
    (void)signal;
    *(siginfo_t *)&trapped = *info;
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    trapped_rax = registers[REG_RAX];
    registers[REG_RAX] = 4242;
}
static int traps(void *unused) {
    (void)unused;
    handle(SIGSYS, on_trap, 0);
    if (INSTALL(0, LOAD(nr), ON(SYS_getpgrp, SECCOMP_RET_TRAP | 55), ALLOW)) return 1;
    if (syscall(SYS_getpgrp) != 4242) return 2;
    if (trapped.si_code != 1 || trapped.si_errno != 55 || trapped.si_syscall != SYS_getpgrp || trapped.si_arch != AUDIT_ARCH_X86_64) return 3;
    return trapped_rax == SYS_getpgrp ? 0 : 4;
}

static void *checks_in_thread(void *unused) {
    return (void *)(long)(syscall(SYS_getpgrp) == -1 && errno == 66 && unused == NULL);
}
static pthread_barrier_t barrier;
static void *checks_later(void *unused) {
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    return checks_in_thread(unused);
}
static int in_threads(void *sync) {
    pthread_t early, late;
    void *early_result, *late_result;
    pthread_barrier_init(&barrier, NULL, 2);
    pthread_create(&early, NULL, checks_later, NULL);
    pthread_barrier_wait(&barrier);
    if (INSTALL(sync ? SECCOMP_FILTER_FLAG_TSYNC : 0, LOAD(nr), ON(SYS_getpgrp, SECCOMP_RET_ERRNO | 66), ALLOW)) return 1;
    pthread_barrier_wait(&barrier);
    pthread_create(&late, NULL, checks_in_thread, NULL);
    pthread_join(early, &early_result), pthread_join(late, &late_result);
    return late_result != (void *)1 ? 2 : early_result != (sync ? (void *)1 : NULL) ? 3 : 0;
}

static int by_argument(void *unused) {
    (void)unused;
    if (INSTALL(0, LOAD(nr), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getpriority, 0, 5), LOAD(args[0]), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x1234, 0, 3),
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0]) + 4), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x5678, 0, 1),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 88), ALLOW)) return 1;
    if (syscall(SYS_getpriority, 0x567800001234, 0) != -1 || errno != 88) return 2;
    return syscall(SYS_getpriority, 0x1234, 0) == -1 && errno == EINVAL ? 0 : 3;
}

static int stacked(void *unused) {
    (void)unused;
    if (INSTALL(0, LOAD(nr), ON(SYS_getpgrp, SECCOMP_RET_ERRNO | 10), ALLOW)) return 1;
    if (INSTALL(0, LOAD(nr), ON(SYS_getpgrp, SECCOMP_RET_ERRNO | 11), ON(SYS_getppid, SECCOMP_RET_ERRNO | 12), ALLOW)) return 2;
    // The strictest wins; of equals the latest.
    if (syscall(SYS_getpgrp) != -1 || errno != 11) return 3;
    return syscall(SYS_getppid) == -1 && errno == 12 ? 0 : 4;
}

static int strict(void *unused) {
    (void)unused;
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT)) return 1;
    syscall(SYS_exit, 21);
    return 2;
}
static int strict_broken(void *unused) {
    (void)unused;
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT)) return 1;
    syscall(SYS_getpid);
    return 2;
}

int main(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "--filtered") == 0) return syscall(SYS_getpgrp) == -1 && errno == 77 ? 33 : 34;
    check_child("errno; inherited by fork and exec", gives_errno, NULL, "exit 0");
    check_child("KILL_PROCESS", kills, (void *)(long)SECCOMP_RET_KILL_PROCESS, "signal 31");
    check_child("KILL_THREAD of the only thread", kills, (void *)(long)SECCOMP_RET_KILL_THREAD, "signal 31");
    check_child("TRACE without a tracer is ENOSYS", kills, (void *)(long)SECCOMP_RET_TRACE, "exit 2");
    check_child("LOG lets it pass", kills, (void *)(long)SECCOMP_RET_LOG, "exit 2");
    check_child("an unknown action kills", kills, (void *)0x12340000L, "signal 31");
    check_child("TRAP", traps, NULL, "exit 0");
    check_child("a thread's filter is its own and its children's", in_threads, NULL, "exit 0");
    check_child("TSYNC reaches all", in_threads, (void *)1, "exit 0");
    check_child("64-bit arguments", by_argument, NULL, "exit 0");
    check_child("filters stack up", stacked, NULL, "exit 0");
    check_child("strict mode lets exit pass", strict, NULL, "exit 21");
    check_child("strict mode kills", strict_broken, NULL, "signal 9");
    struct sock_filter bad[] = {BPF_STMT(0xffff, 0)}, good[] = {ALLOW};
    struct sock_fprog program = {1, bad}, empty = {0, good}, wild = {4, (void *)8};
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    CHECK_ERRNO("a bad instruction", syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program), EINVAL);
    CHECK_ERRNO("an empty program", syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &empty), EINVAL);
    CHECK_ERRNO("a bad pointer to the program", syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, 8), EFAULT);
    CHECK_ERRNO("a bad pointer within it", syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &wild), EFAULT);
    CHECK_ERRNO("bad flags", syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0x1000, &empty), EINVAL);
    CHECK_ERRNO("a bad operation", syscall(SYS_seccomp, 99, 0, 0), EINVAL);
    uint32_t action = SECCOMP_RET_TRAP;
    CHECK_EQ("GET_ACTION_AVAIL", syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action), 0);
    CHECK_EQ("no filter of one's own yet", prctl(PR_GET_SECCOMP), 0);
    return check_done();
}
