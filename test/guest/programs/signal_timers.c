// Timers that signal: setitimer, alarm, timer_create in its kinds, overruns, CPU timers.
#include "check.h"
#include <pthread.h>
#include <sys/time.h>

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

static atomic_int calls, thread_calls;
static volatile siginfo_t last;
static volatile pid_t handled_in;
static void note(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)context;
    *(siginfo_t *)&last = *info;
    handled_in = (pid_t)syscall(SYS_gettid);
    calls++;
}
static bool await_calls(int wanted) {
    for (int i = 0; i < 20000 && calls < wanted; i++) sleep_ms(1);
    return calls >= wanted;
}
static void on_thread(union sigval value) { thread_calls += value.sival_int; }
static void burn(int milliseconds) {
    struct timespec start, now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &start);
    do clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    while ((now.tv_sec - start.tv_sec) * 1000 + (now.tv_nsec - start.tv_nsec) / 1000000 < milliseconds);
}

/// Works until so many calls came, twenty seconds of the processor's time at most.
static bool work_for_calls(int wanted) {
    for (int i = 0; i < 1000 && calls < wanted; i++) burn(20);
    return calls >= wanted;
}

static volatile pid_t sleeper_tid;
static atomic_int stop;
static void *sleeper(void *unused) {
    sleeper_tid = (pid_t)syscall(SYS_gettid);
    while (!stop) sleep_ms(1);
    return unused;
}

int main(void) {
    handle(SIGALRM, note, 0), handle(SIGVTALRM, note, 0), handle(SIGPROF, note, 0), handle(SIGUSR1, note, 0), handle(SIGRTMIN, note, 0);
    struct itimerval interval = {{0, 5000}, {0, 5000}}, off = {{0, 0}, {0, 0}}, left;
    MUST(setitimer(ITIMER_REAL, &interval, NULL) == 0);
    CHECK("ITIMER_REAL repeats", await_calls(5));
    CHECK("getitimer tells the interval", getitimer(ITIMER_REAL, &left) == 0 && left.it_interval.tv_usec == 5000);
    setitimer(ITIMER_REAL, &off, &left);
    CHECK_EQ("its code", last.si_code, SI_KERNEL);
    calls = 0;
    sleep_ms(30);
    CHECK_EQ("stopped", calls, 0);
    setitimer(ITIMER_VIRTUAL, &interval, NULL);
    bool came = work_for_calls(3);
    setitimer(ITIMER_VIRTUAL, &off, NULL);
    CHECK("ITIMER_VIRTUAL", came && last.si_signo == SIGVTALRM);
    calls = 0;
    setitimer(ITIMER_PROF, &interval, NULL);
    came = work_for_calls(3);
    setitimer(ITIMER_PROF, &off, NULL);
    CHECK("ITIMER_PROF", came && last.si_signo == SIGPROF);
    CHECK_EQ("alarm", alarm(100), 0);
    CHECK("alarm gives the seconds left", alarm(0) == 100);
    CHECK_ERRNO("setitimer of a bad kind", setitimer(7, &interval, NULL), EINVAL);
    struct itimerval wrong = {{0, 0}, {0, 1000000}};
    CHECK_ERRNO("setitimer of a bad time", setitimer(ITIMER_REAL, &wrong, NULL), EINVAL);

    timer_t timer;
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN, .sigev_value.sival_ptr = &timer};
    struct itimerspec once = {.it_value = {0, 10000000}}, every = {{0, 5000000}, {0, 5000000}}, now;
    calls = 0;
    MUST(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0 && timer_settime(timer, 0, &once, NULL) == 0);
    CHECK("timer_create: one shot", await_calls(1));
    CHECK("its siginfo", last.si_code == SI_TIMER && last.si_value.sival_ptr == &timer && last.si_overrun == 0);
    CHECK("and then it is disarmed", timer_gettime(timer, &now) == 0 && now.it_value.tv_nsec == 0);
    calls = 0;
    timer_settime(timer, 0, &every, NULL);
    CHECK("repeating", await_calls(5));
    block_signal(SIGRTMIN);
    sleep_ms(60);
    calls = 0;
    timer_settime(timer, 0, &(struct itimerspec){0}, NULL);
    unblock_signal(SIGRTMIN);
    CHECK("a blocked timer counts overruns", calls <= 1 && timer_getoverrun(timer) >= (calls ? 1 : 0));
    struct timespec soon;
    clock_gettime(CLOCK_MONOTONIC, &soon);
    soon.tv_nsec += 10000000;
    if (soon.tv_nsec >= 1000000000) soon.tv_sec++, soon.tv_nsec -= 1000000000;
    calls = 0;
    timer_settime(timer, TIMER_ABSTIME, &(struct itimerspec){.it_value = soon}, NULL);
    CHECK("an absolute time", await_calls(1));
    CHECK_EQ("timer_delete", timer_delete(timer), 0);
    // glibc's timer_t is the kernel's number for these kinds.
    CHECK_ERRNO("twice", syscall(SYS_timer_delete, (int)(long)timer), EINVAL);

    event.sigev_notify = SIGEV_THREAD, event.sigev_notify_function = on_thread, event.sigev_value.sival_int = 1;
    event.sigev_notify_attributes = NULL;
    MUST(timer_create(CLOCK_REALTIME, &event, &timer) == 0 && timer_settime(timer, 0, &every, NULL) == 0);
    for (int i = 0; i < 20000 && thread_calls < 5; i++) sleep_ms(1);
    CHECK("SIGEV_THREAD", thread_calls >= 5);
    timer_delete(timer);
    pthread_t thread;
    pthread_create(&thread, NULL, sleeper, NULL);
    while (!sleeper_tid) sleep_ms(1);
    struct sigevent to_thread = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGUSR1};
    to_thread.sigev_notify_thread_id = sleeper_tid;
    calls = 0;
    MUST(timer_create(CLOCK_MONOTONIC, &to_thread, &timer) == 0 && timer_settime(timer, 0, &once, NULL) == 0);
    CHECK("SIGEV_THREAD_ID", await_calls(1) && handled_in == sleeper_tid);
    timer_delete(timer);
    stop = 1;
    pthread_join(thread, NULL);
    to_thread.sigev_notify_thread_id = 1;
    CHECK_ERRNO("SIGEV_THREAD_ID of another process's thread", timer_create(CLOCK_MONOTONIC, &to_thread, &timer), EINVAL);

    event = (struct sigevent){.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
    calls = 0;
    MUST(timer_create(CLOCK_PROCESS_CPUTIME_ID, &event, &timer) == 0 && timer_settime(timer, 0, &(struct itimerspec){.it_value = {0, 100000000}}, NULL) == 0);
    sleep_ms(150);
    bool early = calls > 0;
    CHECK("a CPU timer waits for work", !early && work_for_calls(1));
    timer_delete(timer);
    calls = 0;
    MUST(timer_create(CLOCK_THREAD_CPUTIME_ID, &event, &timer) == 0 && timer_settime(timer, 0, &once, NULL) == 0);
    CHECK("a thread's CPU timer", work_for_calls(1));
    timer_delete(timer);
    CHECK_ERRNO("timer_create of a bad clock", timer_create(99, &event, &timer), EINVAL);
    event.sigev_signo = 99;
    CHECK_ERRNO("timer_create of a bad signal", timer_create(CLOCK_MONOTONIC, &event, &timer), EINVAL);
    struct rlimit limit = {1, 3};
    pid_t child = fork();
    if (child == 0) {
        handle(SIGXCPU, note, 0);
        setrlimit(RLIMIT_CPU, &limit);
        calls = 0;
        while (!calls) burn(10);
        _exit(last.si_signo == SIGXCPU ? 0 : 1);
    }
    int status;
    waitpid(child, &status, 0);
    check_status("RLIMIT_CPU sends SIGXCPU", status, "exit 0");
    return check_done();
}
