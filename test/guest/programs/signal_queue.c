// Realtime signals: they queue, carry values, come in order; waiting for them; the queue's limit.
#include "check.h"
#include <pthread.h>

static volatile int values[64], count;
static volatile siginfo_t last;
static void note(int signal, siginfo_t *info, void *context) {
    (void)context;
    if (count < 64) values[count++] = signal * 1000 + info->si_value.sival_int;
    *(siginfo_t *)&last = *info;
}

int main(void) {
    const int first = SIGRTMIN;
    sigset_t set, one;
    sigemptyset(&set);
    for (int i = 0; i < 3; i++) {
        handle(first + i, note, 0);
        sigaddset(&set, first + i);
    }
    sigprocmask(SIG_BLOCK, &set, NULL);
    for (int i = 0; i < 5; i++)
        for (int j = 2; j >= 0; j--) MUST(sigqueue(getpid(), first + j, (union sigval){.sival_int = i}) == 0);
    // Delivered one at a time, the lowest number first.
    siginfo_t info;
    int right = 0;
    for (int j = 0; j < 2; j++)
        for (int i = 0; i < 5; i++) {
            int got = sigwaitinfo(&set, &info);
            right += got == first + j && info.si_value.sival_int == i && info.si_code == SI_QUEUE && info.si_pid == getpid();
        }
    CHECK_EQ("sigwaitinfo takes ten in order, with values", right, 10);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    right = 0;
    for (int i = 0; i < 5; i++) right += values[i] == (first + 2) * 1000 + i;
    CHECK("five of one number run in order", count == 5 && right == 5);
    CHECK("siginfo of sigqueue", last.si_code == SI_QUEUE && last.si_uid == getuid());

    sigprocmask(SIG_BLOCK, &set, NULL);
    struct timespec zero = {0, 0}, brief = {0, 30000000};
    CHECK_ERRNO("sigtimedwait of nothing", sigtimedwait(&set, &info, &zero), EAGAIN);
    uint64_t started = now_ns();
    CHECK_ERRNO("sigtimedwait with a time", sigtimedwait(&set, &info, &brief), EAGAIN);
    CHECK("that lasted", now_ns() - started >= 30000000);
    struct timespec bad = {0, -1};
    CHECK_ERRNO("sigtimedwait with a bad time", sigtimedwait(&set, &info, &bad), EINVAL);

    pid_t parent = getpid(), child = fork();
    if (child == 0) {
        sleep_ms(20);
        for (int i = 0; i < 20; i++) sigqueue(parent, first, (union sigval){.sival_ptr = (void *)(0x123456789000 + (long)i)});
        _exit(0);
    }
    right = 0;
    for (int i = 0; i < 20; i++)
        right += sigwaitinfo(&set, &info) == first && info.si_value.sival_ptr == (void *)(0x123456789000 + (long)i) && info.si_pid == child;
    waitpid(child, NULL, 0);
    CHECK_EQ("twenty pointers from another process", right, 20);

    siginfo_t custom = {.si_signo = first, .si_code = -42, .si_errno = 7};
    custom.si_pid = 99, custom.si_value.sival_int = 5;
    CHECK_EQ("rt_sigqueueinfo to oneself with a code of one's own", syscall(SYS_rt_sigqueueinfo, getpid(), first, &custom), 0);
    CHECK("arrives as it was sent", sigwaitinfo(&set, &info) == first && info.si_code == -42 && info.si_pid == 99 && info.si_errno == 7);
    CHECK_EQ("rt_tgsigqueueinfo", syscall(SYS_rt_tgsigqueueinfo, getpid(), getpid(), first, &custom), 0);
    CHECK("arrives", sigwaitinfo(&set, &info) == first && info.si_value.sival_int == 5);
    child = fork();
    if (child == 0)
        for (;;) pause();
    custom.si_code = SI_USER;
    CHECK_ERRNO("a forged kill to another process", syscall(SYS_rt_sigqueueinfo, child, first, &custom), EPERM);
    custom.si_code = SI_TKILL;
    CHECK_ERRNO("a forged tkill", syscall(SYS_rt_sigqueueinfo, child, first, &custom), EPERM);
    kill(child, SIGKILL), waitpid(child, NULL, 0);

    struct rlimit limit = {100, 100};
    MUST(setrlimit(RLIMIT_SIGPENDING, &limit) == 0);
    int queued = 0;
    while (queued < 10000 && sigqueue(getpid(), first + 1, (union sigval){.sival_int = queued}) == 0) queued++;
    int error = errno;
    CHECK("RLIMIT_SIGPENDING ends the queue", error == EAGAIN && queued <= 100);
    CHECK_EQ("kill still gets through", kill(getpid(), first + 2), 0);
    right = 0;
    while (sigtimedwait(&set, &info, &zero) == first + 1) right += info.si_value.sival_int == right;
    CHECK_EQ("none was lost", right, queued);
    sigemptyset(&one), sigaddset(&one, SIGUSR1);
    sigprocmask(SIG_BLOCK, &one, NULL);
    pthread_kill(pthread_self(), SIGUSR1);
    int number = 0;
    CHECK("sigwait", sigwait(&one, &number) == 0 && number == SIGUSR1);
    return check_done();
}
