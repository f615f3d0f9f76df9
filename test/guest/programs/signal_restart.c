// What a handler does to the call it interrupts: restarted with SA_RESTART, EINTR without, or EINTR always.
#include "check.h"
#include <linux/futex.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/msg.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/un.h>

enum outcome { RESTARTED, INTERRUPTED };
/// Shared with the process that sends the signal.
static struct { volatile int calling, handled; } *progress;
static void note(int signal) { (void)signal, progress->handled++; }

static int pipe_ends[2], sockets[2], full_pipe[2], listener, epoll, timer, lock_fd, semaphore_set, queue;
static volatile uint32_t *word;
static pid_t helper_child;

/// Each call blocks; `release` lets it end well, so that a restarted call shows by its good result.
static long call_read(void) { char byte; return read(pipe_ends[0], &byte, 1); }
static void release_pipe(void) { (void)!write(pipe_ends[1], "x", 1); }
static long call_readv(void) { struct iovec vector = {(char[1]){0}, 1}; return syscall(SYS_readv, pipe_ends[0], &vector, 1); }
static long call_recv(void) { char byte; return recv(sockets[0], &byte, 1, 0); }
static void release_socket(void) { (void)!write(sockets[1], "x", 1); }
static long call_recvmsg(void) {
    char byte;
    struct iovec vector = {&byte, 1};
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
    return recvmsg(sockets[0], &message, 0);
}
static long call_write(void) { return write(full_pipe[1], "x", 1); }
static void release_full(void) { static char room[65536]; (void)!read(full_pipe[0], room, sizeof room); }
static long call_accept(void) { int fd = accept(listener, NULL, NULL); if (fd >= 0) close(fd); return fd >= 0 ? 1 : -1; }
static void release_listener(void) {
    struct sockaddr_un name;
    socklen_t length = sizeof name;
    getsockname(listener, (void *)&name, &length);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    (void)!connect(fd, (void *)&name, length);
    close(fd);
}
static void release_nothing(void) {}
static long call_futex(void) { return syscall(SYS_futex, word, FUTEX_WAIT, 0, NULL, NULL, 0); }
static void release_futex(void) { syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0); }
static long call_futex_time(void) {
    struct timespec limit = {20, 0};
    long got = syscall(SYS_futex, word, FUTEX_WAIT, 0, &limit, NULL, 0);
    return got < 0 && errno == ETIMEDOUT ? 1 : got;
}
static long call_wait(void) { int status; return waitpid(helper_child, &status, 0) == helper_child ? 1 : -1; }
static long call_waitid(void) { siginfo_t info; return waitid(P_PID, (id_t)helper_child, &info, WEXITED) == 0 ? 1 : -1; }
static void release_child(void) { kill(helper_child, SIGKILL); }
static long call_flock(void) { return flock(lock_fd, LOCK_EX) == 0 ? 1 : -1; }
static long call_setlkw(void) { struct flock range = {.l_type = F_WRLCK}; return fcntl(lock_fd, F_SETLKW, &range) == 0 ? 1 : -1; }
static void release_timer(void) { struct itimerspec soon = {.it_value = {0, 1000000}}; timerfd_settime(timer, 0, &soon, NULL); }
static long call_timerfd(void) { uint64_t value; return read(timer, &value, 8) == 8 ? 1 : -1; }
static long call_open_fifo(void) { int fd = open("fifo", O_RDONLY); if (fd >= 0) close(fd); return fd >= 0 ? 1 : -1; }
static void release_fifo(void) { int fd = open("fifo", O_RDWR); sleep_ms(20); close(fd); }
static long call_poll(void) { struct pollfd poller = {pipe_ends[0], POLLIN, 0}; return poll(&poller, 1, 20000); }
static long call_ppoll(void) { struct pollfd poller = {pipe_ends[0], POLLIN, 0}; struct timespec limit = {20, 0}; return ppoll(&poller, 1, &limit, NULL); }
static long call_select(void) { fd_set set; FD_ZERO(&set); FD_SET(pipe_ends[0], &set); struct timeval limit = {20, 0}; return select(pipe_ends[0] + 1, &set, NULL, NULL, &limit); }
static long call_pselect(void) { fd_set set; FD_ZERO(&set); FD_SET(pipe_ends[0], &set); struct timespec limit = {20, 0}; return pselect(pipe_ends[0] + 1, &set, NULL, NULL, &limit, NULL); }
static long call_epoll(void) { struct epoll_event event; return epoll_wait(epoll, &event, 1, 20000); }
static long call_nanosleep(void) { struct timespec limit = {20, 0}; return nanosleep(&limit, NULL) == 0 ? 1 : -1; }
static long call_clock_nanosleep(void) { struct timespec limit = {20, 0}; int error = clock_nanosleep(CLOCK_MONOTONIC, 0, &limit, NULL); errno = error; return error ? -1 : 1; }
static long call_pause(void) { return pause(); }
static long call_sigsuspend(void) { sigset_t set; sigemptyset(&set); return sigsuspend(&set); }
static long call_sigtimedwait(void) { sigset_t set; sigemptyset(&set); sigaddset(&set, SIGUSR2); struct timespec limit = {20, 0}; return sigtimedwait(&set, NULL, &limit); }
static long call_semop(void) { struct sembuf operation = {0, -1, 0}; return semop(semaphore_set, &operation, 1) == 0 ? 1 : -1; }
static void release_semaphore(void) { struct sembuf operation = {0, 1, 0}; semop(semaphore_set, &operation, 1); }
static long call_msgrcv(void) { struct { long type; char text[8]; } message; return msgrcv(queue, &message, 8, 0, 0) >= 0 ? 1 : -1; }
static void release_queue(void) { struct { long type; char text[8]; } message = {1, "x"}; msgsnd(queue, &message, 1, 0); }
static long call_recv_timeout(void) {
    struct timeval limit = {20, 0};
    setsockopt(sockets[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    char byte;
    long got = recv(sockets[0], &byte, 1, 0);
    int error = errno;
    limit.tv_sec = 0;
    setsockopt(sockets[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    errno = error;
    return got;
}

/// Waits until the process sleeps in its call, or in what comes after that.
static void await_sleep(pid_t pid) {
    // Thirty looks in a row: on the way there it may sleep for an instant, as for a page.
    for (int i = 0, asleep = 0; i < 20000 && asleep < 30; i++, sleep_ms(1))
        asleep = progress->calling && task_state(pid) == 'S' ? asleep + 1 : 0;
}

/// Signals the parent in its call, and lets the call end when the handler is over and the parent sleeps again.
static enum outcome observe(long (*call)(void), void (*release)(void), int flags) {
    struct sigaction action = {.sa_handler = note, .sa_flags = flags};
    sigaction(SIGUSR1, &action, NULL);
    progress->calling = progress->handled = 0;
    pid_t parent = getpid(), sender = fork();
    if (sender == 0) {
        await_sleep(parent);
        kill(parent, SIGUSR1);
        for (int i = 0; i < 20000 && !progress->handled; i++) sleep_ms(1);
        await_sleep(parent);
        release();
        _exit(0);
    }
    errno = 0;
    progress->calling = 1;
    long got = call();
    int error = errno;
    int status;
    while (waitpid(sender, &status, 0) < 0 && errno == EINTR) {
    }
    if (progress->handled != 1) check_report("set-up", false, "handler ran %d times", progress->handled);
    return got == -1 && error == EINTR ? INTERRUPTED : got >= 0 ? RESTARTED : (enum outcome)(100 + error);
}

static void fresh_child(void) {
    helper_child = fork();
    if (helper_child == 0)
        for (;;) pause();
}
static void end_child(void) { kill(helper_child, SIGKILL), waitpid(helper_child, NULL, 0); }
static void drain(void) {
    char room[64];
    fcntl(pipe_ends[0], F_SETFL, O_NONBLOCK);
    while (read(pipe_ends[0], room, sizeof room) > 0) {
    }
    fcntl(pipe_ends[0], F_SETFL, 0);
    while (recv(sockets[0], room, sizeof room, MSG_DONTWAIT) > 0) {
    }
    fcntl(full_pipe[1], F_SETFL, O_NONBLOCK);
    while (write(full_pipe[1], room, 1) > 0) {
    }
    fcntl(full_pipe[1], F_SETFL, 0);
    while (msgrcv(queue, room, 8, 0, IPC_NOWAIT) >= 0) {
    }
    semctl(semaphore_set, 0, SETVAL, 0);
}

static int lock_holder;
static void hold_lock(void) {
    lock_holder = fork();
    if (lock_holder == 0) {
        int own = open("lock", O_RDWR);
        struct flock range = {.l_type = F_WRLCK};
        flock(own, LOCK_EX), fcntl(own, F_SETLK, &range);
        int ready = open("ready", O_CREAT | O_WRONLY, 0600);
        close(ready);
        for (;;) pause();
    }
    while (access("ready", F_OK)) sleep_ms(1);
    unlink("ready");
}
static void release_lock(void) { kill(lock_holder, SIGKILL); }
static void drop_lock(void) {
    waitpid(lock_holder, NULL, 0);
    struct flock range = {.l_type = F_UNLCK};
    flock(lock_fd, LOCK_UN), fcntl(lock_fd, F_SETLK, &range);
}

int main(void) {
    enter_directory();
    progress = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    word = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    MUST(pipe(pipe_ends) == 0 && pipe(full_pipe) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) == 0);
    listener = socket(AF_UNIX, SOCK_STREAM, 0);
    struct sockaddr_un any = {.sun_family = AF_UNIX};
    MUST(bind(listener, (void *)&any, sizeof(sa_family_t)) == 0 && listen(listener, 5) == 0);
    epoll = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN};
    epoll_ctl(epoll, EPOLL_CTL_ADD, pipe_ends[0], &event);
    MUST((lock_fd = open("lock", O_RDWR | O_CREAT, 0600)) >= 0 && mkfifo("fifo", 0600) == 0);
    MUST((semaphore_set = semget(IPC_PRIVATE, 1, 0600)) >= 0 && (queue = msgget(IPC_PRIVATE, 0600)) >= 0);
    timer = timerfd_create(CLOCK_MONOTONIC, 0);
    const struct {
        const char *name;
        long (*call)(void);
        void (*release)(void);
        enum outcome with_restart;
        void (*before)(void), (*after)(void);
    } rows[] = {
        {"read of a pipe", call_read, release_pipe, RESTARTED, NULL, NULL},
        {"readv of a pipe", call_readv, release_pipe, RESTARTED, NULL, NULL},
        {"recv", call_recv, release_socket, RESTARTED, NULL, NULL},
        {"recvmsg", call_recvmsg, release_socket, RESTARTED, NULL, NULL},
        {"recv with SO_RCVTIMEO", call_recv_timeout, release_socket, INTERRUPTED, NULL, NULL},
        {"write to a full pipe", call_write, release_full, RESTARTED, NULL, NULL},
        {"accept", call_accept, release_listener, RESTARTED, NULL, NULL},
        {"open of a fifo", call_open_fifo, release_fifo, RESTARTED, NULL, NULL},
        {"read of a timerfd", call_timerfd, release_timer, RESTARTED, NULL, NULL},
        {"futex", call_futex, release_futex, RESTARTED, NULL, NULL},
        {"futex with a time-out", call_futex_time, release_nothing, INTERRUPTED, NULL, NULL},
        {"waitpid", call_wait, release_child, RESTARTED, fresh_child, end_child},
        {"waitid", call_waitid, release_child, RESTARTED, fresh_child, end_child},
        {"flock", call_flock, release_lock, RESTARTED, hold_lock, drop_lock},
        {"fcntl F_SETLKW", call_setlkw, release_lock, RESTARTED, hold_lock, drop_lock},
        {"poll", call_poll, release_pipe, INTERRUPTED, NULL, NULL},
        {"ppoll", call_ppoll, release_pipe, INTERRUPTED, NULL, NULL},
        {"select", call_select, release_pipe, INTERRUPTED, NULL, NULL},
        {"pselect", call_pselect, release_pipe, INTERRUPTED, NULL, NULL},
        {"epoll_wait", call_epoll, release_pipe, INTERRUPTED, NULL, NULL},
        {"nanosleep", call_nanosleep, release_nothing, INTERRUPTED, NULL, NULL},
        {"clock_nanosleep", call_clock_nanosleep, release_nothing, INTERRUPTED, NULL, NULL},
        {"pause", call_pause, release_nothing, INTERRUPTED, NULL, NULL},
        {"sigsuspend", call_sigsuspend, release_nothing, INTERRUPTED, NULL, NULL},
        {"sigtimedwait", call_sigtimedwait, release_nothing, INTERRUPTED, NULL, NULL},
        {"semop", call_semop, release_semaphore, INTERRUPTED, NULL, NULL},
        {"msgrcv", call_msgrcv, release_queue, INTERRUPTED, NULL, NULL},
    };
    const char *words[] = {"restarted", "EINTR"};
    for (size_t i = 0; i < COUNT(rows); i++)
        for (int restart = 1; restart >= 0; restart--) {
            char name[96];
            drain();
            if (rows[i].before) rows[i].before();
            enum outcome got = observe(rows[i].call, rows[i].release, restart ? SA_RESTART : 0);
            enum outcome expected = restart ? rows[i].with_restart : INTERRUPTED;
            if (rows[i].after) rows[i].after();
            snprintf(name, sizeof name, "%s%s: %s", rows[i].name, restart ? " with SA_RESTART" : "", words[expected]);
            check_report(name, got == expected, "got %s (errno %d)", got < 2 ? words[got] : "an error", (int)got - 100);
        }
    semctl(semaphore_set, 0, IPC_RMID), msgctl(queue, IPC_RMID, NULL);

    struct sigaction action = {.sa_handler = note};
    sigaction(SIGUSR1, &action, NULL);
    pid_t parent = getpid(), sender = fork();
    if (sender == 0) {
        sleep_ms(50);
        kill(parent, SIGUSR1);
        _exit(0);
    }
    struct timespec asked = {20, 0}, left = {0, 0};
    int got = nanosleep(&asked, &left);
    CHECK("nanosleep tells the time left", got == -1 && left.tv_sec >= 1 && left.tv_sec <= 19);
    waitpid(sender, NULL, 0);
    for (int kind = 0; kind < 2; kind++) {
        sender = fork();
        if (sender == 0) {
            sleep_ms(50);
            kill(parent, kind ? SIGSTOP : SIGWINCH);
            sleep_ms(50);
            kill(parent, SIGCONT);
            _exit(0);
        }
        uint64_t started = now_ns();
        asked = (struct timespec){0, 200000000};
        got = nanosleep(&asked, &left);
        uint64_t took = now_ns() - started;
        char name[96];
        snprintf(name, sizeof name, "nanosleep goes on after %s", kind ? "a stop" : "an ignored signal");
        check_report(name, got == 0 && took >= 200000000 && took < 20000000000, "returned %d after %llu ns", got, (unsigned long long)took);
        waitpid(sender, NULL, 0);
        sender = fork();
        if (sender == 0) {
            sleep_ms(50);
            kill(parent, kind ? SIGSTOP : SIGWINCH);
            sleep_ms(50);
            kill(parent, SIGCONT);
            sleep_ms(20);
            release_pipe();
            _exit(0);
        }
        struct pollfd poller = {pipe_ends[0], POLLIN, 0};
        drain();
        got = poll(&poller, 1, 20000);
        snprintf(name, sizeof name, "poll goes on after %s", kind ? "a stop" : "an ignored signal");
        check_report(name, got == 1, "returned %d", got);
        waitpid(sender, NULL, 0);
    }
    return check_done();
}
