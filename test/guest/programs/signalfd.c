// signalfd: reading, polling, masks, several signals at once, and what stays pending.
#include "check.h"
#include <poll.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>

int main(void) {
    sigset_t set;
    sigemptyset(&set), sigaddset(&set, SIGUSR1), sigaddset(&set, SIGCHLD), sigaddset(&set, SIGRTMIN);
    sigprocmask(SIG_BLOCK, &set, NULL);
    int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    CHECK("made", fd >= 0 && fcntl(fd, F_GETFD) == FD_CLOEXEC && (fcntl(fd, F_GETFL) & O_NONBLOCK));
    struct signalfd_siginfo info[8];
    CHECK_ERRNO("nothing to read", read(fd, info, sizeof info), EAGAIN);
    struct pollfd poller = {fd, POLLIN, 0};
    CHECK_EQ("nothing to poll", poll(&poller, 1, 0), 0);
    kill(getpid(), SIGUSR1);
    CHECK("poll sees a signal", poll(&poller, 1, 20000) == 1 && poller.revents == POLLIN);
    CHECK_EQ("read gives one record", read(fd, info, sizeof info), sizeof info[0]);
    CHECK("its fields", info[0].ssi_signo == SIGUSR1 && info[0].ssi_code == SI_USER && info[0].ssi_pid == (uint32_t)getpid() && info[0].ssi_uid == getuid());
    for (int i = 0; i < 3; i++) sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = i});
    kill(getpid(), SIGUSR1);
    CHECK_EQ("four at once", read(fd, info, sizeof info), 4 * sizeof info[0]);
    CHECK("lowest number first, then in order", info[0].ssi_signo == SIGUSR1 && info[1].ssi_int == 0 && info[2].ssi_int == 1 && info[3].ssi_int == 2);
    CHECK_ERRNO("a buffer too small", read(fd, info, 10), EINVAL);
    CHECK_ERRNO("a bad buffer", (kill(getpid(), SIGUSR1), read(fd, (void *)8, sizeof info[0])), EFAULT);
    while (read(fd, info, sizeof info) > 0) {
    }
    pid_t child = fork();
    if (child == 0) _exit(9);
    poll(&poller, 1, 20000);
    CHECK("SIGCHLD through it", read(fd, info, sizeof info) == sizeof info[0] && info[0].ssi_signo == SIGCHLD &&
                                    info[0].ssi_pid == (uint32_t)child && info[0].ssi_status == 9 && info[0].ssi_code == CLD_EXITED);
    waitpid(child, NULL, 0);
    sigset_t other;
    sigemptyset(&other), sigaddset(&other, SIGUSR2);
    CHECK_EQ("its mask can be changed", signalfd(fd, &other, 0), fd);
    kill(getpid(), SIGUSR1);
    CHECK_ERRNO("then others are not seen", read(fd, info, sizeof info), EAGAIN);
    sigset_t pending;
    sigpending(&pending);
    CHECK("they stay pending", sigismember(&pending, SIGUSR1) == 1);
    CHECK_ERRNO("change of what is no signalfd", signalfd(0, &set, 0), EINVAL);
    CHECK_ERRNO("bad flags", signalfd(-1, &set, 77), EINVAL);

    signalfd(fd, &set, 0);
    while (read(fd, info, sizeof info) > 0) {
    }
    int epoll = epoll_create1(0), got = 0;
    struct epoll_event event = {.events = EPOLLIN | EPOLLET};
    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
    pid_t parent = getpid(), sender = fork();
    if (sender == 0) {
        for (int i = 0; i < 200; i++) sigqueue(parent, SIGRTMIN, (union sigval){.sival_int = i});
        _exit(0);
    }
    while (got < 200 && epoll_wait(epoll, &event, 1, 20000) == 1) {
        ssize_t length;
        while ((length = read(fd, info, sizeof info)) > 0)
            for (size_t i = 0; i < (size_t)length / sizeof info[0]; i++)
                if (info[i].ssi_signo == (uint32_t)SIGRTMIN) got += info[i].ssi_int == got;
    }
    waitpid(sender, NULL, 0);
    CHECK_EQ("two hundred values through edge-triggered epoll", got, 200);
    while (read(fd, info, sizeof info) > 0) {
    }
    fcntl(fd, F_SETFL, 0);
    sender = fork();
    if (sender == 0) {
        sleep_ms(30);
        kill(parent, SIGUSR1);
        _exit(0);
    }
    CHECK("a blocking read waits for it", read(fd, info, sizeof info[0]) == sizeof info[0] && info[0].ssi_signo == SIGUSR1);
    waitpid(sender, NULL, 0);
    sender = fork();
    if (sender == 0) {
        kill(getpid(), SIGUSR1);
        _exit(read(fd, info, sizeof info[0]) == sizeof info[0] && info[0].ssi_pid == (uint32_t)getpid() ? 0 : 1);
    }
    int status;
    waitpid(sender, &status, 0);
    check_status("in a child it reads the child's signals", status, "exit 0");
    return check_done();
}
