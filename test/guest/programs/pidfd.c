// pidfd: open, poll, wait, send a signal, and what it refuses.
#include "check.h"
#include <poll.h>
#include <sys/epoll.h>

static int pidfd_open(pid_t pid, unsigned flags) { return (int)syscall(SYS_pidfd_open, pid, flags); }
static int pidfd_send(int fd, int signal, siginfo_t *info) {
    return (int)syscall(SYS_pidfd_send_signal, fd, signal, info, 0);
}

static volatile int value;
static void note(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)context;
    value = info->si_code == SI_USER && info->si_pid == getpid() ? 1 : 2;
}

int main(void) {
    int ends[2];
    MUST(pipe(ends) == 0);
    pid_t child = fork();
    if (child == 0) {
        char byte;
        close(ends[1]);
        _exit(read(ends[0], &byte, 1) == 1 ? byte : 0);
    }
    close(ends[0]);
    int fd = pidfd_open(child, 0);
    CHECK("pidfd_open", fd >= 0);
    CHECK_EQ("is close-on-exec", fcntl(fd, F_GETFD), FD_CLOEXEC);
    struct pollfd poller = {fd, POLLIN, 0};
    CHECK_EQ("not readable while it runs", poll(&poller, 1, 0), 0);
    CHECK_EQ("signal 0", pidfd_send(fd, 0, NULL), 0);
    char path[64], *text;
    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
    text = strstr(read_file(path), "Pid:");
    CHECK("fdinfo names the pid", text && atoi(text + 4) == child);
    int epoll = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = 5};
    CHECK_EQ("can be watched by epoll", epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event), 0);
    MUST(write(ends[1], "\5", 1) == 1);
    CHECK("readable when it ends", poll(&poller, 1, 10000) == 1 && poller.revents == POLLIN);
    CHECK("so says epoll", epoll_wait(epoll, &event, 1, 10000) == 1 && event.data.u32 == 5);
    siginfo_t info = {0};
    CHECK("waitid P_PIDFD", waitid(P_PIDFD, (id_t)fd, &info, WEXITED) == 0 && info.si_pid == child && info.si_status == 5);
    CHECK_ERRNO("signal after the end", pidfd_send(fd, SIGTERM, NULL), ESRCH);
    CHECK_ERRNO("waitid after the end", waitid(P_PIDFD, (id_t)fd, &info, WEXITED), ECHILD);
    close(fd);

    child = fork();
    if (child == 0)
        for (;;) pause();
    fd = pidfd_open(child, 0);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    CHECK_ERRNO("waitid of a non-blocking one", waitid(P_PIDFD, (id_t)fd, &info, WEXITED), EAGAIN);
    fcntl(fd, F_SETFL, 0);
    CHECK_EQ("kill through it", pidfd_send(fd, SIGKILL, NULL), 0);
    CHECK("death is seen", waitid(P_PIDFD, (id_t)fd, &info, WEXITED) == 0 && info.si_code == CLD_KILLED);

    handle(SIGUSR1, note, 0);
    int self = pidfd_open(getpid(), 0);
    CHECK("a signal to oneself", pidfd_send(self, SIGUSR1, NULL) == 0 && value == 1);
    info.si_signo = SIGUSR2;
    CHECK_ERRNO("siginfo that does not match", pidfd_send(self, SIGUSR1, &info), EINVAL);
    CHECK_ERRNO("not a pidfd", pidfd_send(0, SIGUSR1, NULL), EBADF);
    CHECK_ERRNO("pidfd_open of nobody", pidfd_open(0x3ffffff, 0), ESRCH);
    CHECK_ERRNO("pidfd_open of 0", pidfd_open(0, 0), EINVAL);
    CHECK_ERRNO("pidfd_open with bad flags", pidfd_open(getpid(), 1), EINVAL);
    CHECK_ERRNO("read of a pidfd", read(self, path, 1), EINVAL);
    int null = open("/dev/null", O_RDONLY), other = open("/dev/zero", O_RDONLY);
    dup2(other, null);
    CHECK_ERRNO("pidfd_getfd of a bad descriptor", syscall(SYS_pidfd_getfd, self, 7777, 0), EBADF);
    CHECK_ERRNO("pidfd_getfd with bad flags", syscall(SYS_pidfd_getfd, self, null, 1), EINVAL);
    return check_done();
}
