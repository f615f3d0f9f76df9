// Descriptors: exact limits, low numbers, close_range, high numbers, close-on-exec, /proc/self/fd.
#include "check.h"
#include <dirent.h>
#include <linux/close_range.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

static char listing[65536];

/// The numbers in /proc/self/fd, but that of the directory itself, as text.
static const char *open_numbers(void) {
    DIR *directory = opendir("/proc/self/fd");
    int own = dirfd(directory), numbers[4096], count = 0;
    for (struct dirent *entry; (entry = readdir(directory));)
        if (entry->d_name[0] != '.' && atoi(entry->d_name) != own) numbers[count++] = atoi(entry->d_name);
    closedir(directory);
    for (int i = 0; i < count; i++)
        for (int j = i + 1; j < count; j++)
            if (numbers[j] < numbers[i]) {
                int swap = numbers[i];
                numbers[i] = numbers[j], numbers[j] = swap;
            }
    listing[0] = 0;
    for (int i = 0; i < count; i++) snprintf(listing + strlen(listing), 16, "%d ", numbers[i]);
    return listing;
}

static atomic_int stop, ended;
static void *opens_and_closes(void *wrong) {
    while (!stop) {
        int fd = open("/dev/null", O_RDONLY);
        if (fd < 0 || fcntl(fd, F_GETFD) != 0 || close(fd)) ++*(int *)wrong;
    }
    return NULL;
}
static void *opens_and_closes_some(void *wrong) {
    for (int i = 0; i < 50; i++) {
        int fd = open("/dev/null", O_RDONLY);
        if (fd < 0 || close(fd)) ++*(int *)wrong;
    }
    ended++;
    return NULL;
}
static void *makes_epolls(void *wrong) {
    while (!stop) {
        int fd = epoll_create1(0), other = eventfd(0, 0);
        struct epoll_event event = {.events = EPOLLIN};
        if (epoll_ctl(fd, EPOLL_CTL_ADD, other, &event) || close(fd) || close(other)) ++*(int *)wrong;
    }
    return NULL;
}

static int in_limits(void *unused) {
    (void)unused;
    struct rlimit limit = {20, 30};
    if (setrlimit(RLIMIT_NOFILE, &limit)) return 1;
    int count = 3, fd;
    while ((fd = open("/dev/null", O_RDONLY)) >= 0)
        if (fd != count++) return 2;
    if (errno != EMFILE || count != 20) return 3;
    if (dup(0) != -1 || errno != EMFILE) return 4;
    if (dup2(0, 20) != -1 || errno != EBADF) return 5;
    if (fcntl(0, F_DUPFD, 20) != -1 || errno != EINVAL) return 6;
    if (fcntl(0, F_DUPFD, 19) != -1 || errno != EMFILE) return 7;
    int ends[2];
    if (pipe(ends) != -1 || errno != EMFILE) return 8;
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != -1 || errno != EMFILE) return 9;
    if (epoll_create1(0) != -1 || errno != EMFILE) return 10;
    close(19);
    if (pipe(ends) != -1 || errno != EMFILE) return 11;
    if (open("/dev/null", O_RDONLY) != 19) return 12;
    if (fork() == 0) _exit(0);
    int status;
    wait(&status);
    if (status) return 13;
    limit.rlim_cur = 10;
    if (setrlimit(RLIMIT_NOFILE, &limit)) return 14;
    if (fcntl(15, F_GETFD)) return 15;
    close(15);
    if (open("/dev/null", O_RDONLY) != -1 || errno != EMFILE) return 16;
    close(7);
    if (open("/dev/null", O_RDONLY) != 7) return 17;
    limit.rlim_cur = 31;
    if (setrlimit(RLIMIT_NOFILE, &limit) != -1 || errno != EINVAL) return 18;
    limit.rlim_cur = 30;
    if (setrlimit(RLIMIT_NOFILE, &limit)) return 19;
    return dup2(0, 29) == 29 ? 0 : 20;
}

static int at_four(void *unused) {
    (void)unused;
    struct rlimit limit = {4, 4};
    if (setrlimit(RLIMIT_NOFILE, &limit)) return 1;
    if (open("/dev/null", O_RDONLY | O_CLOEXEC) != 3) return 2;
    if (open("/dev/null", O_RDONLY) != -1 || errno != EMFILE) return 3;
    pid_t child = fork();
    if (child < 0) return 4;
    if (child == 0) {
        char *memory = map_pages(100, PROT_READ | PROT_WRITE);
        memset(memory, 1, 100 * PAGE);
        _exit(getppid() == 1 ? 1 : 0);
    }
    int status;
    waitpid(child, &status, 0);
    if (status) return 5;
    child = vfork();
    if (child == 0) {
        execl("/bin/sh", "sh", "-c", "exit 6", (char *)NULL);
        _exit(1);
    }
    waitpid(child, &status, 0);
    return status == EXITED(6) ? 0 : 6;
}

// The parent changes this process's limit, between one step and the next.
static int limited_by_another(void *unused) {
    (void)unused;
    int to_child[2], to_parent[2];
    if (pipe(to_child) || pipe(to_parent)) return 1;
    struct rlimit before, now;
    getrlimit(RLIMIT_NOFILE, &before);
    pid_t child = fork();
    if (child == 0) {
        char byte;
        if (read(to_child[0], &byte, 1) != 1) _exit(2);
        if (getrlimit(RLIMIT_NOFILE, &now) || now.rlim_cur != 30 || now.rlim_max != before.rlim_max) _exit(3);
        if (dup2(0, 29) != 29 || dup2(0, 30) != -1 || errno != EBADF) _exit(4);
        if (fcntl(0, F_DUPFD, 30) != -1 || errno != EINVAL) _exit(5);
        if (!strstr(read_file("/proc/self/limits"), "Max open files            30 ")) _exit(6);
        pid_t inner = fork();
        if (inner == 0) _exit(getrlimit(RLIMIT_NOFILE, &now) == 0 && now.rlim_cur == 30 ? 0 : 1);
        int status;
        waitpid(inner, &status, 0);
        if (status) _exit(7);
        (void)!write(to_parent[1], "x", 1);
        if (read(to_child[0], &byte, 1) != 1) _exit(8);
        if (dup2(0, 39) != 39 || dup2(0, 40) != -1 || fcntl(0, F_DUPFD, 38) != 38) _exit(9);
        if (getrlimit(RLIMIT_NOFILE, &now) || now.rlim_cur != 40 || now.rlim_max != before.rlim_max - 1) _exit(10);
        (void)!write(to_parent[1], "x", 1);
        if (read(to_child[0], &byte, 1) != 1) _exit(11);
        execl("/bin/sh", "sh", "-c", "test $(ulimit -Sn) = 20 && test $(ulimit -Hn) -gt 20", (char *)NULL);
        _exit(12);
    }
    close(to_child[0]);
    close(to_parent[1]);
    struct rlimit first = {30, before.rlim_max}, second = {40, before.rlim_max - 1}, third = {20, before.rlim_max - 1}, old;
    char byte;
    if (prlimit(child, RLIMIT_NOFILE, &first, &old) || old.rlim_cur != before.rlim_cur) return 13;
    (void)!write(to_child[1], "x", 1);
    if (read(to_parent[0], &byte, 1) != 1) return 14;
    if (prlimit(child, RLIMIT_NOFILE, &second, &old) || old.rlim_cur != 30) return 15;
    (void)!write(to_child[1], "x", 1);
    if (read(to_parent[0], &byte, 1) != 1) return 16;
    if (prlimit(child, RLIMIT_NOFILE, &third, &old) || old.rlim_cur != 40 || old.rlim_max != before.rlim_max - 1) return 17;
    (void)!write(to_child[1], "x", 1);
    int status;
    waitpid(child, &status, 0);
    return WEXITSTATUS(status);
}

int main(void) {
    close_range(3, ~0u, 0); // what the caller left open
    CHECK_STRING("only 0, 1 and 2 are open", open_numbers(), "0 1 2 ");
    CHECK_EQ("the lowest free number is 3", open("/dev/null", O_RDONLY), 3);
    CHECK_EQ("then 4", dup(3), 4);
    close(3);
    CHECK_EQ("a freed number comes first", open("/dev/null", O_RDONLY | O_CLOEXEC), 3);
    CHECK_EQ("O_CLOEXEC", fcntl(3, F_GETFD), FD_CLOEXEC);
    CHECK_ERRNO("F_DUPFD of no descriptor, from beyond the limit", fcntl(-1, F_DUPFD, -1), EBADF);
    CHECK_EQ("F_DUPFD from 100", fcntl(3, F_DUPFD, 100), 100);
    CHECK_EQ("F_DUPFD_CLOEXEC", fcntl(3, F_DUPFD_CLOEXEC, 100), 101);
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    int highest = (int)limit.rlim_cur - 1;
    CHECK_EQ("dup2 to the highest number", dup2(3, highest), highest);
    CHECK_ERRNO("dup2 beyond it", dup2(3, highest + 1), EBADF);
    CHECK_ERRNO("dup2 of a closed one", dup2(99, 5), EBADF);
    CHECK_EQ("dup2 onto itself", dup2(3, 3), 3);
    CHECK_ERRNO("dup3 onto itself", dup3(3, 3, 0), EINVAL);
    close(highest);
    const int many = highest < 2000 ? highest : 2000;
    int duplicated = 0;
    for (int i = 3; i < many; i++) duplicated += dup2(0, i) == i;
    CHECK_EQ("dup2 onto every number below 2000", duplicated, many - 3);
    int closed = 0;
    for (int i = 3; i < many; i++) closed += close(i) == 0;
    CHECK_EQ("close of them all", closed, many - 3);
    int bad = 0;
    for (int i = 3; i <= highest; i++) bad += fcntl(i, F_GETFD) == -1 && errno == EBADF && close(i) == -1 && errno == EBADF;
    CHECK_EQ("every other number is closed", bad, highest - 2);
    CHECK_STRING("only 0, 1 and 2 again", open_numbers(), "0 1 2 ");

    for (int i = 3; i < 50; i++) dup2(0, i);
    CHECK_EQ("close_range", close_range(10, 19, 0), 0);
    CHECK("closes its numbers alone", fcntl(9, F_GETFD) == 0 && fcntl(10, F_GETFD) == -1 && fcntl(19, F_GETFD) == -1 && fcntl(20, F_GETFD) == 0);
    CHECK_EQ("close_range CLOEXEC", close_range(20, ~0u, CLOSE_RANGE_CLOEXEC), 0);
    CHECK("marks the rest", fcntl(20, F_GETFD) == FD_CLOEXEC && fcntl(49, F_GETFD) == FD_CLOEXEC && fcntl(9, F_GETFD) == 0);
    CHECK_EQ("close_range to the end", close_range(3, ~0u, 0), 0);
    CHECK_STRING("leaves three", open_numbers(), "0 1 2 ");
    CHECK_ERRNO("close_range backwards", close_range(9, 3, 0), EINVAL);
    CHECK_ERRNO("close_range with bad flags", close_range(3, 9, 64), EINVAL);
    check_child("the process still works", in_limits, NULL, "exit 0");
    check_child("RLIMIT_NOFILE of 4", at_four, NULL, "exit 0");
    check_child("RLIMIT_NOFILE changed by another process", limited_by_another, NULL, "exit 0");
    pid_t child = fork();
    if (child == 0) {
        dup2(0, 5), dup2(0, 6);
        fcntl(6, F_SETFD, FD_CLOEXEC);
        execl("/bin/sh", "sh", "-c", "cd /proc/self/fd && test -e 5 && ! test -e 6", (char *)NULL);
        _exit(9);
    }
    int status;
    waitpid(child, &status, 0);
    check_status("exec closes what is marked", status, "exit 0");
    child = fork();
    if (child == 0) {
        close_range(0, ~0u, 0);
        _exit(fcntl(0, F_GETFD) == -1 && open("/dev/null", O_RDONLY) == 0 && fork() >= 0 ? 0 : 1);
    }
    waitpid(child, &status, 0);
    check_status("even with every descriptor closed", status, "exit 0");

    pthread_t threads[4];
    int wrong[5] = {0};
    for (int i = 0; i < 4; i++) pthread_create(&threads[i], NULL, i % 2 ? makes_epolls : opens_and_closes, &wrong[i]);
    int made = 0;
    for (int i = 0; i < 60; i++) {
        child = fork();
        if (child == 0) _exit(0);
        if (waitpid(child, &status, 0) == child && status == 0) made++;
        pthread_t short_lived;
        if (pthread_create(&short_lived, NULL, opens_and_closes_some, &wrong[4])) break;
        pthread_detach(short_lived);
    }
    stop = 1;
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    CHECK_EQ("sixty forks beside threads that open and close", made, 60);
    CHECK_EQ("whose descriptors were their own", wrong[0] + wrong[1] + wrong[2] + wrong[3] + wrong[4], 0);
    // Those that nobody joins end in their own time.
    for (int i = 0; i < 20000 && ended < 60; i++) sleep_ms(1);
    CHECK_STRING("and nothing was left", open_numbers(), "0 1 2 ");
    char path[64], target[256] = "";
    int fd = open("/dev/zero", O_RDONLY);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    CHECK("readlink of /proc/self/fd/N", readlink(path, target, sizeof target - 1) > 0 && strcmp(target, "/dev/zero") == 0);
    CHECK("open through it", open(path, O_RDONLY) == fd + 1);
    CHECK("fdinfo", strstr(read_file("/proc/self/fdinfo/0"), "flags:") != NULL);
    CHECK_ERRNO("a number that is not open", open("/proc/self/fd/1234", O_RDONLY), ENOENT);
    return check_done();
}
