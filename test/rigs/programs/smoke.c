// What every machine must manage before anything finer is asked: fork, exec, a signal, a thread, a fault.
#include "check.h"
#include <pthread.h>
#include <sys/time.h>

static volatile sig_atomic_t handled;
static void on_signal(int number) { handled = number; }

static void *add(void *value) { return (void *)((long)value + 1); }

// Arithmetic that a handler with arithmetic of its own interrupts again and again.
static volatile double elsewhere;
static volatile int ticks;
static void on_tick(int number) {
    (void)number;
    for (int i = 1; i < 50; i++) elsewhere += 1.0 / i;
    ticks++;
}
static double series(void) {
    double sum = 0, sign = 1;
    for (int i = 1; i < 200000; i += 2, sign = -sign) sum += sign * 4 / i;
    return sum;
}

static volatile int faulted;
static void on_fault(int number, siginfo_t *info, void *context) {
    (void)context;
    faulted = number == SIGSEGV && info->si_addr == (void *)16 && info->si_code == SEGV_MAPERR;
    _exit(faulted ? 11 : 12);
}

int main(int argc, char **argv) {
    volatile int *volatile bad = (volatile int *)16;
    if (argc == 2) {
        printf("%s %d\n", argv[1], getpid() != getppid());
        return 7;
    }
    int value = 1, status;
    pid_t child = fork();
    if (child == 0) {
        value = 2;
        _exit(value + 3);
    }
    CHECK("waits for the child", waitpid(child, &status, 0) == child);
    CHECK_EQ("the child's status", status, 5 << 8);
    CHECK_EQ("the parent's memory is its own", value, 1);

    child = fork();
    if (child == 0) {
        execl("/proc/self/exe", "smoke", "executed", NULL);
        _exit(1);
    }
    waitpid(child, &status, 0);
    CHECK_EQ("the executed program's status", status, 7 << 8);

    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGUSR1, &action, NULL);
    raise(SIGUSR1);
    CHECK_EQ("a signal is handled", handled, SIGUSR1);
    child = fork();
    if (child == 0) {
        usleep(1000000);
        kill(getppid(), SIGUSR1);
        _exit(0);
    }
    handled = 0;
    CHECK_EQ("a signal interrupts a sleep", usleep(20000000) == -1 && errno == EINTR, 1);
    CHECK_EQ("which one", handled, SIGUSR1);
    waitpid(child, &status, 0);

    double expected = series();
    struct sigaction tick = {.sa_handler = on_tick, .sa_flags = SA_RESTART};
    sigaction(SIGALRM, &tick, NULL);
    struct itimerval often = {{0, 5000}, {0, 5000}}, never = {0};
    setitimer(ITIMER_REAL, &often, NULL);
    int rounds = 0, wrong = 0;
    for (; ticks < 5 && rounds < 100000; rounds++) wrong += series() != expected;
    setitimer(ITIMER_REAL, &never, NULL);
    CHECK_EQ("a timer interrupts arithmetic", ticks >= 5, 1);
    CHECK_EQ("and does not change it", wrong, 0);

    pthread_t thread;
    void *result = NULL;
    CHECK("a thread starts", pthread_create(&thread, NULL, add, (void *)41L) == 0);
    pthread_join(thread, &result);
    CHECK_EQ("a thread's result", (long)result, 42);

    child = fork();
    if (child == 0) {
        struct sigaction fault = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
        sigaction(SIGSEGV, &fault, NULL);
        *bad = 1;
        _exit(0);
    }
    waitpid(child, &status, 0);
    CHECK_EQ("a fault is a signal", status, 11 << 8);
    child = fork();
    if (child == 0) {
        *bad = 1;
        _exit(0);
    }
    waitpid(child, &status, 0);
    CHECK_EQ("an unhandled fault kills", status & 0x7f, SIGSEGV);
    CHECK("the clock runs", time(NULL) > 1000000);
    return check_failures != 0;
}
