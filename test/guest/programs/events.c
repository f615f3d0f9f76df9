// epoll, eventfd, timerfd, inotify, poll, select.
#include "check.h"
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/select.h>
#include <sys/timerfd.h>

static void check_eventfd(void) {
    int fd = eventfd(3, EFD_NONBLOCK | EFD_CLOEXEC);
    uint64_t value = 0;
    CHECK("eventfd: the first value", read(fd, &value, 8) == 8 && value == 3);
    CHECK_ERRNO("eventfd: then nothing", read(fd, &value, 8), EAGAIN);
    value = 5;
    CHECK("eventfd: values add up", write(fd, &value, 8) == 8 && write(fd, &value, 8) == 8 && read(fd, &value, 8) == 8 && value == 10);
    value = ~0ull;
    CHECK_ERRNO("eventfd: the largest is refused", write(fd, &value, 8), EINVAL);
    value = ~0ull - 1;
    CHECK("eventfd: the one below fills it", write(fd, &value, 8) == 8);
    value = 1;
    CHECK_ERRNO("eventfd: full", write(fd, &value, 8), EAGAIN);
    CHECK_ERRNO("eventfd: a short read", read(fd, &value, 4), EINVAL);
    int counting = eventfd(2, EFD_SEMAPHORE);
    CHECK("eventfd: as a semaphore", read(counting, &value, 8) == 8 && value == 1 && read(counting, &value, 8) == 8 && value == 1);
    close(fd), close(counting);
}

static void check_timerfd(void) {
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    uint64_t expirations = 0;
    struct itimerspec every = {{0, 5000000}, {0, 5000000}}, now;
    CHECK_ERRNO("timerfd: not armed", read(fd, &expirations, 8), EAGAIN);
    CHECK_EQ("timerfd: settime", timerfd_settime(fd, 0, &every, NULL), 0);
    struct pollfd poller = {fd, POLLIN, 0};
    CHECK_EQ("timerfd: poll", poll(&poller, 1, 20000), 1);
    sleep_ms(30);
    CHECK("timerfd: counts expirations", read(fd, &expirations, 8) == 8 && expirations >= 4);
    CHECK("timerfd: gettime", timerfd_gettime(fd, &now) == 0 && now.it_interval.tv_nsec == 5000000 && now.it_value.tv_nsec <= 5000000);
    struct timespec soon;
    clock_gettime(CLOCK_MONOTONIC, &soon);
    CHECK("timerfd: an absolute time gone by", timerfd_settime(fd, TFD_TIMER_ABSTIME, &(struct itimerspec){.it_value = soon}, NULL) == 0 && poll(&poller, 1, 20000) == 1);
    CHECK_ERRNO("timerfd: a bad clock", timerfd_create(77, 0), EINVAL);
    close(fd);
}

static void check_epoll(void) {
    int epoll = epoll_create1(EPOLL_CLOEXEC), ends[2], other[2];
    MUST(pipe(ends) == 0 && pipe(other) == 0);
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = 0x1122334455667788}, got[4];
    CHECK_EQ("epoll: add", epoll_ctl(epoll, EPOLL_CTL_ADD, ends[0], &event), 0);
    CHECK_ERRNO("epoll: add twice", epoll_ctl(epoll, EPOLL_CTL_ADD, ends[0], &event), EEXIST);
    CHECK_ERRNO("epoll: modify what is not there", epoll_ctl(epoll, EPOLL_CTL_MOD, other[0], &event), ENOENT);
    CHECK_ERRNO("epoll: itself", epoll_ctl(epoll, EPOLL_CTL_ADD, epoll, &event), EINVAL);
    int file = open("/etc/passwd", O_RDONLY);
    CHECK_ERRNO("epoll: a plain file", epoll_ctl(epoll, EPOLL_CTL_ADD, file, &event), EPERM);
    CHECK_EQ("epoll: nothing yet", epoll_wait(epoll, got, 4, 0), 0);
    MUST(write(ends[1], "x", 1) == 1);
    CHECK("epoll: an event with its data", epoll_wait(epoll, got, 4, 1000) == 1 && got[0].data.u64 == 0x1122334455667788 && got[0].events == EPOLLIN);
    CHECK_EQ("epoll: level-triggered comes again", epoll_wait(epoll, got, 4, 0), 1);
    event.events = EPOLLIN | EPOLLET;
    epoll_ctl(epoll, EPOLL_CTL_MOD, ends[0], &event);
    CHECK_EQ("epoll: edge-triggered comes once", epoll_wait(epoll, got, 4, 0) * 10 + epoll_wait(epoll, got, 4, 0), 10);
    event.events = EPOLLIN | EPOLLONESHOT;
    epoll_ctl(epoll, EPOLL_CTL_MOD, ends[0], &event);
    int first = epoll_wait(epoll, got, 4, 0);
    MUST(write(ends[1], "y", 1) == 1);
    CHECK("epoll: one-shot", first == 1 && epoll_wait(epoll, got, 4, 0) == 0);
    int outer = epoll_create1(0);
    event.events = EPOLLIN;
    epoll_ctl(epoll, EPOLL_CTL_MOD, ends[0], &event);
    epoll_ctl(outer, EPOLL_CTL_ADD, epoll, &event);
    CHECK_EQ("epoll: one within another", epoll_wait(outer, got, 4, 1000), 1);
    event.events = EPOLLOUT, event.data.u32 = 2;
    epoll_ctl(epoll, EPOLL_CTL_ADD, other[1], &event);
    CHECK_EQ("epoll: two at once", epoll_wait(epoll, got, 4, 1000), 2);
    close(ends[1]);
    char room[16];
    MUST(read(ends[0], room, 16) == 2);
    CHECK("epoll: hang-up", epoll_wait(epoll, got, 1, 20000) >= 1);
    CHECK_EQ("epoll: delete", epoll_ctl(epoll, EPOLL_CTL_DEL, ends[0], NULL), 0);
    CHECK_ERRNO("epoll: no room for events", epoll_wait(epoll, got, 0, 0), EINVAL);
    CHECK_ERRNO("epoll: a bad pointer", epoll_wait(epoll, (void *)8, 4, 1000), EFAULT);
    struct timespec brief = {0, 20000000};
    epoll_ctl(epoll, EPOLL_CTL_DEL, other[1], NULL);
    uint64_t started = now_ns();
    CHECK_EQ("epoll_pwait2 waits its nanoseconds", syscall(441, epoll, got, 4, &brief, NULL, 8), 0);
    CHECK("and no less", now_ns() - started >= 20000000);
    pid_t child = fork();
    if (child == 0) {
        sleep_ms(30);
        _exit(write(other[1], "z", 1) == 1 ? 0 : 1);
    }
    event.events = EPOLLIN;
    epoll_ctl(epoll, EPOLL_CTL_ADD, other[0], &event);
    CHECK_EQ("epoll: woken by another process", epoll_wait(epoll, got, 4, 10000), 1);
    waitpid(child, NULL, 0);
    int many[200][2], ready = 0;
    for (int i = 0; i < 200; i++) {
        MUST(pipe(many[i]) == 0);
        event.data.u32 = (uint32_t)i;
        epoll_ctl(outer, EPOLL_CTL_ADD, many[i][0], &event);
    }
    epoll_ctl(outer, EPOLL_CTL_DEL, epoll, NULL);
    for (int i = 0; i < 200; i += 2) MUST(write(many[i][1], "m", 1) == 1);
    struct epoll_event hundreds[200];
    ready = epoll_wait(outer, hundreds, 200, 1000);
    int even = 0;
    for (int i = 0; i < ready; i++) even += hundreds[i].data.u32 % 2 == 0;
    CHECK_EQ("epoll: a hundred of two hundred", even, 100);
    for (int i = 0; i < 200; i++) close(many[i][0]), close(many[i][1]);
    close(epoll), close(outer), close(other[0]), close(other[1]), close(ends[0]), close(file);
}

static void check_polls(void) {
    int ends[2];
    MUST(pipe(ends) == 0);
    struct pollfd pollers[3] = {{ends[0], POLLIN, 0}, {ends[1], POLLOUT, 0}, {777, POLLIN, 0}};
    CHECK("poll: writable, and POLLNVAL", poll(pollers, 3, 0) == 2 && pollers[0].revents == 0 && pollers[1].revents == POLLOUT && pollers[2].revents == POLLNVAL);
    pollers[2].fd = -1;
    CHECK("poll: a negative number is skipped", poll(pollers, 3, 0) == 1 && pollers[2].revents == 0);
    uint64_t started = now_ns();
    CHECK("poll: a time-out", poll(pollers, 1, 25) == 0 && now_ns() - started >= 25000000);
    fd_set reading, writing;
    FD_ZERO(&reading);
    FD_ZERO(&writing);
    FD_SET(ends[0], &reading);
    FD_SET(ends[1], &writing);
    struct timeval limit = {0, 1000};
    CHECK("select: one", select(ends[1] + 1, &reading, &writing, NULL, &limit) == 1 && !FD_ISSET(ends[0], &reading) && FD_ISSET(ends[1], &writing));
    FD_ZERO(&reading);
    FD_SET(ends[0], &reading);
    limit = (struct timeval){0, 50000};
    CHECK("select: tells the time left", select(ends[0] + 1, &reading, NULL, NULL, &limit) == 0 && limit.tv_usec == 0);
    int closed = dup(ends[0]);
    FD_SET(closed, &reading);
    close(closed);
    CHECK_ERRNO("select: a closed one", select(closed + 1, &reading, NULL, NULL, &limit), EBADF);
    CHECK_ERRNO("poll: a bad pointer", poll((void *)8, 3, 0), EFAULT);
    close(ends[1]);
    CHECK("poll: hang-up", poll(pollers, 1, 0) == 1 && pollers[0].revents == POLLHUP);
    close(ends[0]);
}

static void check_inotify(void) {
    enter_directory();
    int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    int watch = inotify_add_watch(fd, ".", IN_CREATE | IN_DELETE | IN_MODIFY | IN_MOVE | IN_CLOSE_WRITE);
    CHECK("inotify: a watch", fd >= 0 && watch > 0);
    write_file("one", "text", 0600);
    MUST(rename("one", "two") == 0 && unlink("two") == 0 && mkdir("sub", 0700) == 0);
    char buffer[4096] __attribute__((aligned(8))), seen[1024] = "";
    ssize_t length = read(fd, buffer, sizeof buffer);
    uint32_t cookie = 0;
    bool paired = false;
    for (ssize_t at = 0; at < length;) {
        struct inotify_event *event = (void *)(buffer + at);
        snprintf(seen + strlen(seen), 64, "%x:%s ", event->mask, event->name);
        if (event->mask == IN_MOVED_FROM) cookie = event->cookie;
        if (event->mask == IN_MOVED_TO) paired = cookie && event->cookie == cookie;
        at += (ssize_t)(sizeof *event + event->len);
    }
    CHECK_STRING("inotify: what happened, in order", seen, "100:one 2:one 8:one 40:one 80:two 200:two 40000100:sub ");
    CHECK("inotify: a move's cookie", paired);
    CHECK_EQ("inotify: rm_watch", inotify_rm_watch(fd, watch), 0);
    CHECK("inotify: IN_IGNORED", read(fd, buffer, sizeof buffer) > 0 && ((struct inotify_event *)buffer)->mask == IN_IGNORED);
    CHECK_ERRNO("inotify: no such watch", inotify_rm_watch(fd, watch), EINVAL);
    CHECK_ERRNO("inotify: nothing there", inotify_add_watch(fd, "none", IN_CREATE), ENOENT);
    close(fd);
}

int main(void) {
    check_eventfd();
    check_timerfd();
    check_epoll();
    check_polls();
    check_inotify();
    return check_done();
}
