// A signal interrupts a loop that makes no calls, whatever calls the thread made before: many at once bring a second
// thread of the monitor into the machine, which takes no signals.
#include "check.h"
#include <pthread.h>
#include <sys/time.h>
#include <time.h>

enum { ROUNDS = 5, CALLS = 3000, LIMIT = 30 };

static volatile sig_atomic_t rung;

static void on_alarm(int signal) {
    (void)signal;
    rung = 1;
}

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);  // no call: the vDSO's
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/// How many of the rounds ended by the limit and not by the signal.
static long deaf_rounds(void) {
    long deaf = 0;
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < CALLS; i++) syscall(SYS_getppid);
        rung = 0;
        struct itimerval soon = {{0, 0}, {0, 50000}};
        setitimer(ITIMER_REAL, &soon, NULL);
        double start = seconds();
        while (!rung && seconds() - start < LIMIT) {
        }
        deaf += !rung;
    }
    return deaf;
}

static void *in_thread(void *unused) {
    (void)unused;
    return (void *)deaf_rounds();
}

int main(void) {
    struct sigaction action = {.sa_handler = on_alarm};
    sigaction(SIGALRM, &action, NULL);
    CHECK_EQ("a timer interrupts a loop without calls", deaf_rounds(), 0);

    sigset_t alarm_set;
    sigemptyset(&alarm_set);
    sigaddset(&alarm_set, SIGALRM);
    pthread_t thread;
    void *deaf = NULL;
    CHECK_EQ("a thread", pthread_create(&thread, NULL, in_thread, NULL), 0);
    pthread_sigmask(SIG_BLOCK, &alarm_set, NULL);
    pthread_join(thread, &deaf);
    CHECK_EQ("in a thread as well", (long)deaf, 0);

    pid_t child = fork();
    if (child == 0) {
        signal(SIGTERM, SIG_DFL);
        for (int i = 0; i < CALLS; i++) syscall(SYS_getppid);
        for (double start = seconds(); seconds() - start < LIMIT;) {
        }
        _exit(1);
    }
    usleep(1500000);
    kill(child, SIGTERM);
    int status = 0;
    waitpid(child, &status, 0);
    CHECK_EQ("SIGTERM ends one", status, SIGTERM);
    return check_done();
}
