// Attacks on descriptors that are not one's own: every number to 70,000, by every call that takes one.
#include "survive.h"
#include <linux/close_range.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

enum { LAST = 70000 };

static int soft_limit, hard_limit;

/// Numbers worth more than one call: low ones, those near limits, and some between.
static bool worthwhile(int fd) {
    const int near[] = {soft_limit, hard_limit, 1024, 4096, 65536, 1048576};
    for (size_t i = 0; i < COUNT(near); i++)
        if (abs(fd - near[i]) < 40) return true;
    return fd < 128 || fd % 191 == 0;
}

static bool open_here(int fd) { return fd <= 2 || (fcntl(fd, F_GETFD) != -1); }

/// No number above 2 may be open: what is there belongs to the monitor.
static int finds_any(void *unused) {
    (void)unused;
    close_range(3, ~0u, 0);
    for (int fd = 3; fd <= LAST; fd++) {
        char path[64];
        struct stat status;
        struct pollfd poller = {fd, POLLIN, 0};
        if (fcntl(fd, F_GETFD) != -1) return 77;
        if (!worthwhile(fd)) continue;
        if (fcntl(fd, F_GETFL) != -1 || fstat(fd, &status) != -1) return 77;
        if (dup(fd) != -1 || fcntl(fd, F_DUPFD, 0) != -1 || lseek(fd, 0, SEEK_CUR) != -1) return 77;
        if (read(fd, path, 1) != -1 || write(fd, path, 1) != -1 || ioctl(fd, FIONREAD, &status) != -1 || fsync(fd) != -1) return 77;
        if (ioctl(fd, 0xae80, 0) != -1 || ioctl(fd, 0xae00, 0) != -1 || ioctl(fd, 0xae01, 0) != -1) return 77;
        if (poll(&poller, 1, 0) == 1 && poller.revents != POLLNVAL) return 77;
        if (mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0) != MAP_FAILED || mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 0) != MAP_FAILED) return 77;
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        if (open(path, O_RDONLY) != -1 || access(path, F_OK) != -1 || readlink(path, (char *)&status, 1) != -1) return 77;
        if (lstat(path, &status) != -1 || fstatat(AT_FDCWD, path, &status, AT_SYMLINK_NOFOLLOW) != -1 || lchown(path, -1, -1) != -1) return 77;
        snprintf(path, sizeof path, "/dev/fd/%d", fd);
        if (open(path, O_RDONLY) != -1) return 77;
        snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
        if (open(path, O_RDONLY) != -1 || stat(path, &status) != -1 || access(path, F_OK) != -1) return 77;
        snprintf(path, sizeof path, "/proc/self/task/%d/fd/%d", getpid(), fd);
        if (open(path, O_RDONLY) != -1) return 77;
        snprintf(path, sizeof path, "/proc/thread-self/fd/%d", fd);
        if (open(path, O_RDONLY) != -1) return 77;
    }
    return 0;
}

static int closes_all(void *unused) {
    (void)unused;
    for (int fd = 3; fd <= LAST; fd++) close(fd);
    for (int fd = 3; fd <= LAST; fd++)
        if (worthwhile(fd)) fcntl(fd, F_SETFD, FD_CLOEXEC), fcntl(fd, F_SETFL, O_NONBLOCK), ftruncate(fd, 0);
    return still_works(NULL) ? 77 : 0;
}
static int closes_by_range(void *unused) {
    (void)unused;
    if (close_range(3, ~0u, 0) || still_works(NULL)) return 77;
    for (unsigned first = 3; first < LAST; first += 100) close_range(first, first + 99, first % 200 ? 0 : CLOSE_RANGE_CLOEXEC);
    return still_works(NULL) ? 77 : 0;
}
static int unshares_and_closes(void *unused) {
    (void)unused;
    if (close_range(3, ~0u, CLOSE_RANGE_UNSHARE)) return 1;
    return still_works(NULL) ? 77 : 0;
}
static int duplicates_over_all(void *unused) {
    (void)unused;
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    int null = open("/dev/null", O_RDWR);
    for (int fd = 3; fd <= LAST; fd++)
        if (fd != null && dup2(null, fd) != -1 && (rlim_t)fd >= limit.rlim_cur) return 77;
    for (int fd = LAST; fd > 3; fd--) close(fd);
    return still_works(NULL) ? 77 : 0;
}
static int duplicates_and_works(void *unused) {
    (void)unused;
    int null = open("/dev/null", O_RDWR);
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    for (int fd = 0; fd < (int)limit.rlim_cur; fd++) dup2(null, fd);
    // Every number is taken; what needs none must still work.
    char *memory = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return 77;
    memset(memory, 1, 1 << 20);
    pid_t child = fork();
    if (child < 0) return 77;
    if (child == 0) _exit(memory[9] == 1 ? 0 : 1);
    int status;
    waitpid(child, &status, 0);
    return status == 0 ? 0 : 77;
}
static int sends_all(void *unused) {
    (void)unused;
    close_range(3, ~0u, 0);
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair)) return 1;
    for (int fd = 5; fd <= LAST; fd++) {
        if (!worthwhile(fd)) continue;
        char control[CMSG_SPACE(sizeof(int))] = {0};
        struct iovec vector = {"x", 1};
        struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET, header->cmsg_type = SCM_RIGHTS, header->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(header), &fd, sizeof fd);
        if (sendmsg(pair[0], &message, MSG_DONTWAIT) != -1) return 77;
    }
    return 0;
}
static int watches_all(void *unused) {
    (void)unused;
    close_range(3, ~0u, 0);
    int epoll = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN};
    for (int fd = 3; fd <= LAST; fd++)
        if (fd != epoll && worthwhile(fd) && epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != -1) return 77;
    return 0;
}
static int takes_by_pidfd(void *unused) {
    (void)unused;
    close_range(3, ~0u, 0);
    pid_t targets[] = {getpid(), getppid(), 1};
    for (size_t i = 0; i < COUNT(targets); i++) {
        int pidfd = (int)syscall(SYS_pidfd_open, targets[i], 0);
        if (pidfd < 0) continue;
        for (int fd = 3; fd < 2000; fd += fd < 64 ? 1 : 37) {
            int got = (int)syscall(SYS_pidfd_getfd, pidfd, fd, 0);
            if (got < 0) continue;
            // Of one's own descriptors one may have copies; of anything of KVM or of the monitor none.
            char path[64], target[256] = "";
            snprintf(path, sizeof path, "/proc/self/fd/%d", got);
            if (readlink(path, target, sizeof target - 1) < 0 || strstr(target, "kvm") || strstr(target, "tine")) return 77;
            close(got);
        }
        close(pidfd);
    }
    return 0;
}
static int mixes_into_at_calls(void *unused) {
    (void)unused;
    close_range(3, ~0u, 0);
    struct stat status;
    for (int fd = 3; fd <= LAST; fd++) {
        if (!worthwhile(fd)) continue;
        if (openat(fd, "x", O_RDONLY) != -1 || fstatat(fd, "", &status, AT_EMPTY_PATH) != -1) return 77;
        if (syscall(SYS_execveat, fd, "", NULL, NULL, AT_EMPTY_PATH) != -1) return 77;
        if (linkat(fd, "", AT_FDCWD, "/tmp/stolen", AT_EMPTY_PATH) != -1) return 77;
        if (syscall(SYS_copy_file_range, fd, 0, 1, 0, 10, 0) != -1 || syscall(SYS_sendfile, 1, fd, 0, 10) != -1) return 77;
        if (syscall(SYS_setns, fd, 0) != -1 || syscall(SYS_fchdir, fd) != -1 || syscall(SYS_flock, fd, 1) != -1) return 77;
        if (syscall(SYS_pidfd_send_signal, fd, 9, 0, 0) != -1 || syscall(SYS_timerfd_gettime, fd, &status) != -1) return 77;
    }
    return 0;
}
static int lowers_limits(void *unused) {
    (void)unused;
    struct rlimit none = {0, 0};
    if (setrlimit(RLIMIT_NOFILE, &none)) return 1;
    if (open("/dev/null", O_RDONLY) != -1) return 77;
    char *memory = mmap(NULL, 4 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return 77;
    memset(memory, 1, 4 << 20);
    int status = in_child(finds_any, NULL);
    return status == 0 ? 0 : 77;
}

int main(void) {
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    soft_limit = (int)limit.rlim_cur, hard_limit = (int)limit.rlim_max;
    CHECK("the first three are open", open_here(0) && open_here(1) && open_here(2));
    survive("no other number is open", finds_any, NULL);
    survive("closing every number", closes_all, NULL);
    survive("close_range of every number", closes_by_range, NULL);
    survive("close_range with UNSHARE", unshares_and_closes, NULL);
    survive("dup2 over every number", duplicates_over_all, NULL);
    survive("working with every number taken", duplicates_and_works, NULL);
    survive("sending every number", sends_all, NULL);
    survive("epoll of every number", watches_all, NULL);
    survive("pidfd_getfd of every number", takes_by_pidfd, NULL);
    survive("every number as a directory", mixes_into_at_calls, NULL);
    survive("a limit of no descriptors", lowers_limits, NULL);
    check_works("the parent still works");
    return check_done();
}
