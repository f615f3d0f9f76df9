// Filters of processes with several threads, who may install one, and how many there may be.
#include "check.h"
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/prctl.h>

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define ON(number, action) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1), BPF_STMT(BPF_RET | BPF_K, action)
#define ALLOW BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

static long install(unsigned number, unsigned action, unsigned flags) {
    struct sock_filter filter[] = {LOAD(nr), ON(number, action), ALLOW};
    struct sock_fprog program = {COUNT(filter), filter};
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
}

static void *dies(void *tid) {
    *(_Atomic pid_t *)tid = (pid_t)syscall(SYS_gettid);
    syscall(SYS_getpgrp);
    return tid;  // not reached
}

static void wait_for_end(_Atomic pid_t *tid) {
    while (*tid == 0) sched_yield();
    while (syscall(SYS_tgkill, getpid(), *tid, 0) == 0) usleep(1000);
}

static int kill_one_thread(void *unused) {
    (void)unused;
    static _Atomic pid_t tid;
    if (install(SYS_getpgrp, SECCOMP_RET_KILL_THREAD, 0)) return 1;
    pthread_t thread;
    if (pthread_create(&thread, NULL, dies, (void *)&tid)) return 2;
    wait_for_end(&tid);
    return 33;
}

static int kill_all_threads(void *unused) {
    (void)unused;
    static _Atomic pid_t tid;
    if (install(SYS_getpgrp, SECCOMP_RET_KILL_PROCESS, 0)) return 1;
    pthread_t thread;
    if (pthread_create(&thread, NULL, dies, (void *)&tid)) return 2;
    for (;;) pause();
}

static pthread_barrier_t barrier;
static void *has_own_filter(void *tid) {
    *(_Atomic pid_t *)tid = (pid_t)syscall(SYS_gettid);
    install(SYS_getppid, SECCOMP_RET_ERRNO | 5, 0);
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    return (void *)(long)prctl(PR_GET_SECCOMP);
}

static int sync_refused(void *unused) {
    (void)unused;
    static _Atomic pid_t tid;
    pthread_t thread;
    pthread_barrier_init(&barrier, NULL, 2);
    if (pthread_create(&thread, NULL, has_own_filter, (void *)&tid)) return 1;
    pthread_barrier_wait(&barrier);
    if (install(SYS_getpgrp, SECCOMP_RET_ERRNO | 6, SECCOMP_FILTER_FLAG_TSYNC) != tid) return 2;
    if (install(SYS_getpgrp, SECCOMP_RET_ERRNO | 6, SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_TSYNC_ESRCH) != -1 || errno != ESRCH) return 3;
    if (prctl(PR_GET_SECCOMP) != 0) return 4;  // nothing was installed
    pthread_barrier_wait(&barrier);
    pthread_join(thread, NULL);
    return install(SYS_getpgrp, SECCOMP_RET_ERRNO | 6, SECCOMP_FILTER_FLAG_TSYNC) == 0 ? 34 : 5;
}

static void *asks(void *unused) {
    (void)unused;
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    errno = 0;
    long got = syscall(SYS_getpgrp);
    return (void *)(long)(got == -1 && errno == 7 && prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 && prctl(PR_GET_SECCOMP) == 2);
}

static int sync_accepted(void *unused) {
    (void)unused;
    pthread_t threads[3];
    void *good[3];
    pthread_barrier_init(&barrier, NULL, 4);
    for (size_t i = 0; i < 3; i++)
        if (pthread_create(&threads[i], NULL, asks, NULL)) return 1;
    pthread_barrier_wait(&barrier);
    if (install(SYS_getpgrp, SECCOMP_RET_ERRNO | 7, SECCOMP_FILTER_FLAG_TSYNC)) return 2;
    pthread_barrier_wait(&barrier);
    for (size_t i = 0; i < 3; i++) pthread_join(threads[i], &good[i]);
    return good[0] && good[1] && good[2] ? 35 : 3;
}

static int without_privilege(void *unused) {
    (void)unused;
    struct sock_filter allow[] = {ALLOW};
    struct sock_fprog program = {1, allow};
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct none[2] = {{0, 0, 0}, {0, 0, 0}};
    if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 0) return 1;
    if (syscall(SYS_capset, &header, none)) return 2;
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) != -1 || errno != EACCES) return 3;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 1, 0, 0) != -1 || errno != EINVAL) return 4;
    if (prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0) != -1 || errno != EINVAL) return 5;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) return 6;
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program)) return 7;
    return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? 36 : 8;
}

static int too_many(void *unused) {
    (void)unused;
    enum { LENGTH = 4000 };
    static struct sock_filter filter[LENGTH];
    for (size_t i = 0; i < LENGTH; i++) filter[i] = (struct sock_filter)ALLOW;
    struct sock_fprog program = {LENGTH, filter};
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    int taken = 0;
    while (taken < 20 && syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0) taken++;
    return errno == ENOMEM ? taken : 100;
}

static void *writes_wildly(void *tid) {
    *(_Atomic pid_t *)tid = (pid_t)syscall(SYS_gettid);
    prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT);
    syscall(SYS_getpid);
    return tid;  // not reached
}

static int strict_thread(void *unused) {
    (void)unused;
    static _Atomic pid_t tid;
    pthread_t thread;
    if (pthread_create(&thread, NULL, writes_wildly, (void *)&tid)) return 1;
    wait_for_end(&tid);
    return prctl(PR_GET_SECCOMP) == 0 ? 37 : 2;
}

static volatile sig_atomic_t trapped_call, trapped_errno;
static void on_trap(int number, siginfo_t *info, void *context) {
    (void)number, (void)context;
    trapped_call = info->si_syscall;
    trapped_errno = info->si_errno;
}

// The newest filter's data wins among equals, the harsher action wins whatever its age.
static int precedence(void *unused) {
    (void)unused;
    struct sigaction action = {.sa_sigaction = on_trap, .sa_flags = SA_SIGINFO};
    sigaction(SIGSYS, &action, NULL);
    if (install(SYS_getpgrp, SECCOMP_RET_TRAP | 3, 0)) return 1;
    if (install(SYS_getpgrp, SECCOMP_RET_ERRNO | 9, 0)) return 2;
    if (install(SYS_getpgrp, SECCOMP_RET_LOG, 0)) return 3;
    if (syscall(SYS_getpgrp) != SYS_getpgrp) return 4;  // the number is still where the result would be
    if (trapped_call != SYS_getpgrp || trapped_errno != 3) return 5;
    if (install(SYS_getpgrp, SECCOMP_RET_TRAP | 4, 0)) return 6;
    syscall(SYS_getpgrp);
    return trapped_errno == 4 ? 38 : 7;
}

static int ignored_trap(void *unused) {
    (void)unused;
    signal(SIGSYS, SIG_IGN);
    if (install(SYS_getpgrp, SECCOMP_RET_TRAP, 0)) return 1;
    syscall(SYS_getpgrp);
    return 2;
}

int main(void) {
    check_child("KILL_THREAD ends one thread", kill_one_thread, NULL, "exit 33");
    check_child("KILL_PROCESS ends all threads", kill_all_threads, NULL, "signal 31");
    check_child("TSYNC names a thread that cannot follow", sync_refused, NULL, "exit 34");
    check_child("TSYNC gives filter and no_new_privs to all", sync_accepted, NULL, "exit 35");
    check_child("without privilege only with no_new_privs", without_privilege, NULL, "exit 36");
    check_child("four filters of 4000 instructions and no more", too_many, NULL, "exit 4");
    check_child("strict mode ends one thread", strict_thread, NULL, "exit 37");
    check_child("the harshest action wins, the newest among equals", precedence, NULL, "exit 38");
    check_child("TRAP kills where SIGSYS is ignored", ignored_trap, NULL, "signal 31");
    return check_done();
}
