// Handlers: flags, masks, nesting, one-shot, children, and who is told what.
#include "check.h"
#include <pthread.h>
#include <ucontext.h>

static volatile int calls, depth, deepest, last_code;
static volatile pid_t last_pid;
static sigset_t mask_inside;

static void note(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)context;
    calls++;
    last_code = info->si_code;
    last_pid = info->si_pid;
    sigprocmask(SIG_BLOCK, NULL, &mask_inside);
}

static void nest(int signal, siginfo_t *info, void *context) {
    (void)info, (void)context;
    calls++;
    depth++;
    if (depth > deepest) deepest = depth;
    if (calls < 5) raise(signal);
    depth--;
}

static volatile int order[8], orders;
static void record(int signal, siginfo_t *info, void *context) {
    (void)info, (void)context;
    if (orders < 8) order[orders++] = signal;
}

static void outer(int signal, siginfo_t *info, void *context) {
    record(signal, info, context);
    raise(SIGUSR2);
    if (orders < 8) order[orders++] = -signal;
}

static void *thread_body(void *told) {
    sigset_t set;
    pthread_sigmask(SIG_BLOCK, NULL, &set);
    *(int *)told = sigismember(&set, SIGUSR2);
    return NULL;
}

static volatile pid_t handled_in;
static void note_thread(int signal) { (void)signal, handled_in = (pid_t)syscall(SYS_gettid); }
static atomic_int stop;
static void *waits_here(void *tid) {
    *(volatile pid_t *)tid = (pid_t)syscall(SYS_gettid);
    while (!stop) sleep_ms(1);
    return NULL;
}

int main(void) {
    handle(SIGUSR1, note, 0);
    raise(SIGUSR1);
    CHECK("raise: si_code and sender", calls == 1 && last_code == SI_TKILL && last_pid == getpid());
    CHECK_EQ("the signal is blocked in its handler", sigismember(&mask_inside, SIGUSR1), 1);
    kill(getpid(), SIGUSR1);
    CHECK_EQ("kill: si_code", last_code, SI_USER);
    handle(SIGUSR1, note, SA_NODEFER);
    raise(SIGUSR1);
    CHECK_EQ("SA_NODEFER leaves it open", sigismember(&mask_inside, SIGUSR1), 0);
    struct sigaction action = {.sa_sigaction = note, .sa_flags = SA_SIGINFO};
    sigemptyset(&action.sa_mask), sigaddset(&action.sa_mask, SIGTERM), sigaddset(&action.sa_mask, SIGKILL);
    sigaction(SIGUSR1, &action, NULL);
    raise(SIGUSR1);
    CHECK("sa_mask is added", sigismember(&mask_inside, SIGTERM) == 1 && sigismember(&mask_inside, SIGHUP) == 0);
    sigset_t now;
    sigprocmask(SIG_BLOCK, NULL, &now);
    CHECK("and taken away again", sigismember(&now, SIGTERM) == 0 && sigismember(&now, SIGUSR1) == 0);
    struct sigaction old;
    sigaction(SIGUSR1, NULL, &old);
    CHECK("SIGKILL cannot be in sa_mask", sigismember(&old.sa_mask, SIGKILL) == 0 && sigismember(&old.sa_mask, SIGTERM) == 1);
    CHECK("sigaction gives back what was set", old.sa_sigaction == note && (old.sa_flags & SA_SIGINFO));

    calls = 0;
    handle(SIGUSR1, nest, SA_NODEFER);
    raise(SIGUSR1);
    CHECK_EQ("SA_NODEFER nests five deep", deepest, 5);
    calls = deepest = 0;
    handle(SIGUSR1, nest, 0);
    raise(SIGUSR1);
    CHECK_EQ("without it five run in turn", deepest * 10 + calls, 15);

    handle(SIGUSR1, note, (int)SA_RESETHAND);
    calls = 0;
    raise(SIGUSR1);
    sigaction(SIGUSR1, NULL, &old);
    CHECK("SA_RESETHAND runs once", calls == 1 && old.sa_handler == SIG_DFL);

    handle(SIGUSR1, outer, 0), handle(SIGUSR2, record, 0);
    raise(SIGUSR1);
    CHECK("another signal interrupts a handler", order[0] == SIGUSR1 && order[1] == SIGUSR2 && order[2] == -SIGUSR1);
    orders = 0;
    handle(SIGUSR1, record, 0), handle(SIGTERM, record, 0), handle(36, record, 0), handle(35, record, 0), handle(SIGSEGV, record, 0);
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &now);
    const int sent[] = {36, SIGTERM, SIGUSR2, 35, SIGUSR1, SIGSEGV};
    for (size_t i = 0; i < COUNT(sent); i++) kill(getpid(), sent[i]);
    sigset_t pending;
    sigpending(&pending);
    int waiting = 0;
    for (size_t i = 0; i < COUNT(sent); i++) waiting += sigismember(&pending, sent[i]);
    CHECK_EQ("six signals are pending", waiting, 6);
    sigprocmask(SIG_SETMASK, &now, NULL);
    // Frames are pushed lowest number first, faults before all, so the last pushed runs first.
    CHECK("all six are delivered", orders == 6);
    const int expected[] = {36, 35, SIGTERM, SIGUSR2, SIGUSR1, SIGSEGV};
    char got[128] = "", want[128] = "";
    for (int i = 0; i < 6; i++) {
        snprintf(got + strlen(got), 16, "%d ", order[i]);
        snprintf(want + strlen(want), 16, "%d ", expected[i]);
    }
    CHECK_STRING("in Linux's order", got, want);

    calls = 0;
    handle(SIGUSR1, note, 0);
    block_signal(SIGUSR1);
    for (int i = 0; i < 10; i++) raise(SIGUSR1);
    unblock_signal(SIGUSR1);
    CHECK_EQ("standard signals do not queue", calls, 1);
    block_signal(SIGUSR1);
    raise(SIGUSR1);
    signal(SIGUSR1, SIG_IGN);
    sigpending(&pending);
    CHECK_EQ("ignoring drops what is pending", sigismember(&pending, SIGUSR1), 0);
    unblock_signal(SIGUSR1);

    const int forbidden[] = {SIGKILL, SIGSTOP, 0, 65, -1};
    for (size_t i = 0; i < COUNT(forbidden); i++) {
        char name[64];
        struct sigaction ignored = {.sa_handler = SIG_IGN};
        snprintf(name, sizeof name, "sigaction of %d", forbidden[i]);
        CHECK_ERRNO(name, syscall(SYS_rt_sigaction, forbidden[i], &ignored, NULL, 8), EINVAL);
    }
    CHECK_ERRNO("rt_sigaction with a wrong set size", syscall(SYS_rt_sigaction, SIGUSR1, NULL, NULL, 16), EINVAL);
    CHECK_ERRNO("rt_sigprocmask with a bad how", syscall(SYS_rt_sigprocmask, 9, &all, NULL, 8), EINVAL);
    CHECK_ERRNO("rt_sigprocmask with a bad pointer", syscall(SYS_rt_sigprocmask, SIG_BLOCK, (void *)8, NULL, 8), EFAULT);
    sigprocmask(SIG_SETMASK, &all, &now);
    sigset_t filled;
    sigprocmask(SIG_SETMASK, &now, &filled);
    CHECK("SIGKILL and SIGSTOP cannot be blocked", !sigismember(&filled, SIGKILL) && !sigismember(&filled, SIGSTOP));
    CHECK_ERRNO("kill of signal 65", kill(getpid(), 65), EINVAL);
    CHECK_EQ("kill of signal 0", kill(getpid(), 0), 0);

    struct sigaction no_wait = {.sa_sigaction = note, .sa_flags = SA_SIGINFO | SA_NOCLDWAIT};
    sigaction(SIGCHLD, &no_wait, NULL);
    calls = 0;
    if (fork() == 0) _exit(0);
    CHECK_ERRNO("SA_NOCLDWAIT leaves nothing to wait for", wait(NULL), ECHILD);
    CHECK_EQ("and still signals", calls, 1);
    struct sigaction no_stop = {.sa_sigaction = note, .sa_flags = SA_SIGINFO | SA_NOCLDSTOP};
    sigaction(SIGCHLD, &no_stop, NULL);
    calls = 0;
    pid_t child = fork();
    if (child == 0)
        for (;;) pause();
    kill(child, SIGSTOP);
    waitpid(child, NULL, WUNTRACED);
    CHECK_EQ("SA_NOCLDSTOP: no signal for a stop", calls, 0);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    CHECK_EQ("one for the death", calls, 1);

    block_signal(SIGUSR2);
    pthread_t thread;
    int inherited = 0;
    pthread_create(&thread, NULL, thread_body, &inherited);
    pthread_join(thread, NULL);
    CHECK_EQ("a thread inherits the mask", inherited, 1);
    volatile pid_t tid = 0;
    signal(SIGUSR2, note_thread), signal(SIGUSR1, note_thread);
    unblock_signal(SIGUSR2);
    pthread_create(&thread, NULL, waits_here, (void *)&tid);
    while (!tid) sleep_ms(1);
    pthread_kill(thread, SIGUSR2);
    for (int i = 0; i < 20000 && handled_in != tid; i++) sleep_ms(1);
    CHECK_EQ("pthread_kill reaches its thread", handled_in, tid);
    block_signal(SIGUSR1);
    handled_in = 0;
    kill(getpid(), SIGUSR1);
    for (int i = 0; i < 20000 && handled_in != tid; i++) sleep_ms(1);
    CHECK_EQ("a process signal goes to a thread that has it open", handled_in, tid);
    stop = 1;
    pthread_join(thread, NULL);
    // A join ends when the kernel clears the thread's tid word, a moment before the number is free.
    for (int i = 0; i < 20000 && syscall(SYS_tgkill, getpid(), tid, 0) == 0; i++) sleep_ms(1);
    CHECK_ERRNO("tgkill of a thread gone", syscall(SYS_tgkill, getpid(), tid, 0), ESRCH);
    return check_done();
}
