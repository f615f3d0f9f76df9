// No wake-up is lost between looking and sleeping: thousands of signals against sigsuspend, ppoll and others.
#include "check.h"
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/select.h>

static volatile sig_atomic_t arrived;
static void note(int signal) { (void)signal, arrived = 1; }

static sigset_t waiting_mask;
static int epoll, pipe_ends[2];

static void in_sigsuspend(void) { sigsuspend(&waiting_mask); }
static void in_ppoll(void) { struct timespec limit = {20, 0}; ppoll(NULL, 0, &limit, &waiting_mask); }
static void in_pselect(void) { struct timespec limit = {20, 0}; pselect(0, NULL, NULL, NULL, &limit, &waiting_mask); }
static void in_epoll_pwait(void) { struct epoll_event event; epoll_pwait(epoll, &event, 1, 20000, &waiting_mask); }
static void in_poll(void) { struct pollfd poller = {pipe_ends[0], POLLIN, 0}; poll(&poller, 1, 20000); }

/// Two processes wake each other in turn; gives how many turns this one took, short of ROUNDS when one was lost.
static int turns_with(void (*wait_in)(void), int rounds) {
    sigset_t blocked;
    sigemptyset(&blocked), sigaddset(&blocked, SIGUSR1);
    sigprocmask(SIG_BLOCK, &blocked, &waiting_mask);
    sigdelset(&waiting_mask, SIGUSR1);
    signal(SIGUSR1, note);
    arrived = 0;
    pid_t parent = getpid(), child = fork();
    if (child == 0) {
        for (int i = 0; i < rounds; i++) {
            while (!arrived) wait_in();
            arrived = 0;
            kill(parent, SIGUSR1);
        }
        _exit(0);
    }
    int turn = 0;
    for (; turn < rounds; turn++) {
        uint64_t started = now_ns();
        kill(child, SIGUSR1);
        while (!arrived) wait_in();
        arrived = 0;
        if (now_ns() - started > 15000000000ull) break;
    }
    waitpid(child, NULL, 0);
    return turn;
}

static void write_byte(int signal) { (void)signal; (void)!write(pipe_ends[1], "x", 1); }

static volatile long ticks;
static void tick(int signal) { (void)signal, ticks++; }

int main(void) {
    epoll = epoll_create1(0);
    MUST(pipe(pipe_ends) == 0);
    CHECK_EQ("sigsuspend: 3000 turns", turns_with(in_sigsuspend, 3000), 3000);
    CHECK_EQ("ppoll: 3000 turns", turns_with(in_ppoll, 3000), 3000);
    CHECK_EQ("pselect: 3000 turns", turns_with(in_pselect, 3000), 3000);
    CHECK_EQ("epoll_pwait: 3000 turns", turns_with(in_epoll_pwait, 3000), 3000);

    // The pipe trick: a handler's write must wake a poll it came just before.
    signal(SIGUSR1, write_byte);
    unblock_signal(SIGUSR1);
    pid_t parent = getpid(), sender = fork();
    if (sender == 0) {
        for (int i = 0; i < 2000; i++) {
            kill(parent, SIGUSR1);
            for (volatile int spin = 0; spin < i * 7 % 3000; spin++) {
            }
        }
        _exit(0);
    }
    int status = 0, timeouts = 0;
    while (waitpid(sender, &status, WNOHANG) == 0) {
        uint64_t started = now_ns();
        char room[64];
        in_poll();
        if (now_ns() - started > 15000000000ull) timeouts++;
        fcntl(pipe_ends[0], F_SETFL, O_NONBLOCK);
        while (read(pipe_ends[0], room, sizeof room) > 0) {
        }
        kill(getpid(), SIGUSR1);
    }
    CHECK_EQ("the pipe trick: no poll slept through", timeouts, 0);

    // A handler must not disturb the arithmetic it interrupts, nor a call its result.
    signal(SIGALRM, tick);
    timer_t timer;
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM};
    struct itimerspec fast = {{0, 200000}, {0, 200000}};
    MUST(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0 && timer_settime(timer, 0, &fast, NULL) == 0);
    int wrong = 0;
    uint64_t started = now_ns();
    for (long i = 0; now_ns() - started < 700000000; i++) {
        unsigned long a = (unsigned long)i * 2654435761u, b = a;
        for (int j = 0; j < 200; j++) a = a * 6364136223846793005ul + 1442695040888963407ul;
        for (int j = 0; j < 200; j++) b = b * 6364136223846793005ul + 1442695040888963407ul;
        wrong += a != b;
        wrong += syscall(SYS_getpid) != parent;
        char text[16] = "";
        wrong += pread(0, text, 0, 0) > 0;
    }
    timer_delete(timer);
    CHECK("a fast timer was delivered", ticks > 300);
    CHECK_EQ("and nothing was disturbed", wrong, 0);
    return check_done();
}
