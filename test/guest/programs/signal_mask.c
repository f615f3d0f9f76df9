// A thread's mask, changed time and again: what arrives while a signal is blocked stays pending, whatever its action is, once
// or as often as it was queued; it is delivered before the call that unblocks it returns; fork, exec, other calls and threads
// see the mask that the program set last.
#include "check.h"
#include <pthread.h>
#include <sys/signalfd.h>
#include <sys/time.h>

static volatile sig_atomic_t runs, runs_while_blocked;
static volatile bool blocked;
static void count(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)info, (void)context;
    runs++;
    if (blocked) runs_while_blocked++;
}

static void mask(int how, int signal) {
    sigset_t set;
    sigemptyset(&set);
    if (signal) sigaddset(&set, signal);
    MUST(sigprocmask(how, &set, NULL) == 0);
}
static bool is_pending(int signal) {
    sigset_t set;
    sigpending(&set);
    return sigismember(&set, signal);
}
static bool is_blocked(int signal) {
    sigset_t set;
    sigprocmask(SIG_SETMASK, NULL, &set);
    return sigismember(&set, signal);
}

// Time passes and no call is made but for the clock, which is none.
static void compute(int ms) {
    for (uint64_t end = now_ns() + (uint64_t)ms * 1000000; now_ns() < end;) {}
}

static volatile int *may_send, *sent;
// Another process sends `signal` so many times, soon after it may.
static pid_t send_soon(int signal, int times) {
    *may_send = *sent = 0;
    pid_t parent = getpid(), child = fork();
    if (child == 0) {
        while (!*may_send) sleep_ms(1);
        sleep_ms(5);
        for (int i = 0; i < times; i++) kill(parent, signal);
        *sent = 1;
        _exit(0);
    }
    return child;
}
// ... and has done so.
static void compute_until_sent(void) {
    *may_send = 1;
    while (!*sent) {}
    compute(2);
}

static void end_of(pid_t child, const char *name) {
    int status = 0;
    MUST(waitpid(child, &status, 0) == child);
    CHECK_EQ(name, status, 0);
}

static void no_handler(void) {
    // Default and ignored ones are kept as well, as long as they are blocked.
    const int ones[] = {SIGTERM, SIGUSR2, SIGURG, SIGWINCH};
    for (size_t i = 0; i < COUNT(ones); i++) {
        char name[64];
        signal(ones[i], i % 2 ? SIG_IGN : SIG_DFL);
        mask(SIG_BLOCK, ones[i]);
        pid_t child = send_soon(ones[i], 2);
        compute_until_sent();
        end_of(child, "the sender ends");
        snprintf(name, sizeof name, "signal %d, blocked and without handler, stays pending", ones[i]);
        CHECK(name, is_pending(ones[i]));
        signal(ones[i], SIG_IGN);
        CHECK("ignored now, it is gone", !is_pending(ones[i]));
        mask(SIG_UNBLOCK, ones[i]);
        signal(ones[i], SIG_DFL);
    }
}

static void with_handler(void) {
    handle(SIGUSR1, count, 0);
    for (int round = 0; round < 4; round++) {
        runs = 0;
        mask(SIG_BLOCK, SIGUSR1);
        pid_t child = send_soon(SIGUSR1, 3);
        mask(SIG_UNBLOCK, SIGUSR1);
        mask(SIG_BLOCK, SIGUSR1);
        blocked = true;
        compute_until_sent();
        CHECK_EQ("nothing runs while it is blocked", runs, 0);
        if (round == 1) end_of(child, "the sender ends");
        if (round == 2) CHECK("it is pending", is_pending(SIGUSR1));
        blocked = false;
        mask(SIG_UNBLOCK, SIGUSR1);
        // Sent to the process, blocked: one stays of all.
        CHECK_EQ("it runs before the call returns, once", runs, 1);
        if (round != 1) end_of(child, "the sender ends");
    }
    runs = 0;
    mask(SIG_BLOCK, SIGUSR1);
    pid_t child = send_soon(SIGUSR1, 1);
    compute_until_sent();
    kill(getpid(), SIGUSR1);
    mask(SIG_UNBLOCK, SIGUSR1);
    CHECK_EQ("one from outside and one of its own are one", runs, 1);
    end_of(child, "the sender ends");

    // Blocked with a handler, without one when it is unblocked, and the other way round.
    runs = 0;
    mask(SIG_BLOCK, SIGUSR1);
    signal(SIGUSR1, SIG_IGN);
    child = send_soon(SIGUSR1, 1);
    compute_until_sent();
    mask(SIG_UNBLOCK, SIGUSR1);
    CHECK("ignored meanwhile: nothing", !is_pending(SIGUSR1) && runs == 0);
    end_of(child, "the sender ends");
    mask(SIG_BLOCK, SIGUSR1);
    child = send_soon(SIGUSR1, 1);
    compute_until_sent();
    handle(SIGUSR1, count, 0);
    mask(SIG_UNBLOCK, SIGUSR1);
    CHECK_EQ("a handler of later gets what was pending", runs, 1);
    end_of(child, "the sender ends");
}

static void answers(void) {
    sigset_t set, old, before;
    mask(SIG_SETMASK, SIGUSR1);
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    handle(SIGCHLD, count, 0);
    for (int i = 0; i < 6; i++) {
        MUST(sigprocmask(SIG_BLOCK, &set, &old) == 0);
        CHECK("what was there before", sigismember(&old, SIGUSR1) && !sigismember(&old, SIGCHLD));
        MUST(syscall(SYS_rt_sigprocmask, SIG_SETMASK, &old, &old, 8) == 0);
        CHECK("into the set itself", sigismember(&old, SIGUSR1) && sigismember(&old, SIGCHLD));
    }
    sigfillset(&set);
    MUST(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
    sigprocmask(SIG_SETMASK, NULL, &old);
    CHECK("SIGKILL and SIGSTOP are never blocked", !sigismember(&old, SIGKILL) && !sigismember(&old, SIGSTOP) && sigismember(&old, SIGSEGV));
    mask(SIG_SETMASK, 0);
    const unsigned long one = 1ul << (SIGUSR1 - 1);
    for (int i = 0; i < 4; i++) {
        CHECK_ERRNO("a bad operation", syscall(SYS_rt_sigprocmask, 3, &one, NULL, 8), EINVAL);
        CHECK_ERRNO("a negative one", syscall(SYS_rt_sigprocmask, -1, &one, NULL, 8), EINVAL);
        CHECK_ERRNO("a bad size", syscall(SYS_rt_sigprocmask, SIG_BLOCK, &one, NULL, 4), EINVAL);
        CHECK_ERRNO("a bad set", syscall(SYS_rt_sigprocmask, SIG_BLOCK, (void *)8, NULL, 8), EFAULT);
        CHECK("nothing happened", !is_blocked(SIGUSR1));
        CHECK_ERRNO("a bad place for the old one", syscall(SYS_rt_sigprocmask, SIG_BLOCK, &one, (void *)8, 8), EFAULT);
        CHECK("which comes too late", is_blocked(SIGUSR1));
        mask(SIG_SETMASK, 0);
    }
    // An action that is what it was.
    struct sigaction action, was;
    MUST(sigaction(SIGUSR1, NULL, &action) == 0);
    memset(&was, 1, sizeof was);
    for (int i = 0; i < 4; i++) CHECK("the same action again", sigaction(SIGUSR1, &action, &was) == 0 && was.sa_sigaction == action.sa_sigaction && was.sa_flags == action.sa_flags);
    struct { void *handler; unsigned long flags; void *restorer; unsigned long mask; } plain = {0};
    for (int i = 0; i < 4; i++) {
        CHECK_ERRNO("not even that for SIGKILL", syscall(SYS_rt_sigaction, SIGKILL, &plain, NULL, 8), EINVAL);
        CHECK_ERRNO("nor for SIGSTOP", syscall(SYS_rt_sigaction, SIGSTOP, &plain, NULL, 8), EINVAL);
    }
    sigprocmask(SIG_SETMASK, NULL, &before);
    signal(SIGCHLD, SIG_DFL);
    CHECK("the mask is empty again", sigisemptyset(&before));
}

static void elsewhere(void) {
    handle(SIGUSR1, count, 0);
    sigset_t set, none;
    sigemptyset(&none);
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    mask(SIG_BLOCK, SIGUSR1);
    pid_t child = fork();
    if (child == 0) _exit(is_blocked(SIGUSR1) ? 0 : 1);
    end_of(child, "a fork has the mask");
    mask(SIG_UNBLOCK, SIGUSR1);
    mask(SIG_BLOCK, SIGUSR1);
    child = fork();
    if (child == 0) {
        execl("/bin/sh", "sh", "-c", "while read a b; do [ \"$a\" != SigBlk: ] || [ \"$b\" != 0000000000000200 ] || exit 7; done </proc/self/status", NULL);
        _exit(1);
    }
    int status;
    waitpid(child, &status, 0);
    CHECK("a program has it", WIFEXITED(status) && WEXITSTATUS(status) == 7);

    runs = 0;
    child = send_soon(SIGUSR1, 1);
    mask(SIG_UNBLOCK, SIGUSR1);
    mask(SIG_BLOCK, SIGUSR1);
    *may_send = 1;
    CHECK_ERRNO("sigsuspend", sigsuspend(&none), EINTR);
    CHECK("wakes by it", runs == 1 && is_blocked(SIGUSR1));
    end_of(child, "the sender ends");

    mask(SIG_UNBLOCK, SIGUSR1);
    mask(SIG_BLOCK, SIGUSR1);
    child = send_soon(SIGUSR1, 1);
    compute_until_sent();
    siginfo_t info;
    CHECK("sigwaitinfo takes what came", sigwaitinfo(&set, &info) == SIGUSR1 && info.si_code == SI_USER && info.si_pid == child && runs == 1);
    end_of(child, "the sender ends");
    mask(SIG_UNBLOCK, SIGUSR1);
    mask(SIG_BLOCK, SIGUSR1);
    child = send_soon(SIGUSR1, 1);
    compute_until_sent();
    int fd = signalfd(-1, &set, 0);
    struct signalfd_siginfo read_one = {0};
    CHECK("a signalfd as well", read(fd, &read_one, sizeof read_one) == sizeof read_one && read_one.ssi_signo == SIGUSR1 && (pid_t)read_one.ssi_pid == child);
    close(fd);
    end_of(child, "the sender ends");
    mask(SIG_UNBLOCK, SIGUSR1);
    // A call that waits is left alone by what is blocked, and not by what is not.
    mask(SIG_BLOCK, SIGUSR1);
    child = send_soon(SIGUSR1, 1);
    *may_send = 1;
    uint64_t began = now_ns();
    sleep_ms(40);
    CHECK("a sleep is not cut short by what is blocked", now_ns() - began >= 40000000 && runs == 1);
    compute_until_sent();
    mask(SIG_UNBLOCK, SIGUSR1);
    CHECK_EQ("which runs now", runs, 2);
    end_of(child, "the sender ends");
}

// A timer strikes while the mask goes to and fro: each is delivered, none where it is blocked.
static void storm(void) {
    handle(SIGALRM, count, SA_RESTART);
    runs = runs_while_blocked = 0;
    struct itimerval often = {{0, 1000}, {0, 1000}}, never = {{0, 0}, {0, 0}};
    sigset_t set, old;
    sigemptyset(&set);
    sigaddset(&set, SIGALRM);
    setitimer(ITIMER_REAL, &often, NULL);
    int wrong = 0;
    long rounds = 0;
    for (uint64_t end = now_ns() + 300000000; now_ns() < end; rounds++) {
        sigprocmask(SIG_BLOCK, &set, &old);
        blocked = true;
        wrong += sigismember(&old, SIGALRM);
        for (volatile int i = 0; i < 200; i++) {}
        blocked = false;
        syscall(SYS_rt_sigprocmask, SIG_SETMASK, &old, &old, 8);
        wrong += !sigismember(&old, SIGALRM);
    }
    setitimer(ITIMER_REAL, &never, NULL);
    CHECK_EQ("the old masks are right", wrong, 0);
    CHECK_EQ("no handler ran where it was blocked", runs_while_blocked, 0);
    CHECK("they did run", runs > 5 && rounds > 100);
}

static void *thread_main(void *raw) {
    (void)raw;
    mask(SIG_SETMASK, SIGUSR2);
    return (void *)(intptr_t)(is_blocked(SIGUSR2) && !is_blocked(SIGUSR1));
}

static void threads(void) {
    handle(SIGUSR1, count, 0);
    mask(SIG_SETMASK, SIGUSR1);
    pthread_t thread;
    void *right = NULL;
    MUST(pthread_create(&thread, NULL, thread_main, NULL) == 0);
    pthread_join(thread, &right);
    CHECK("each thread has a mask of its own", right && is_blocked(SIGUSR1) && !is_blocked(SIGUSR2));
    mask(SIG_SETMASK, 0);
}

int main(void) {
    may_send = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    sent = may_send + 1;
    no_handler();
    with_handler();
    answers();
    elsewhere();
    storm();
    threads();
    return check_done();
}
