// What every guest program shares: one line a check on stdout, `ok NAME` or `FAIL NAME: detail`, and an exit
// status that is non-zero when any check failed. Lines go out by one write(2) each, so that a fork never
// duplicates buffered output and the order is the order of the checks.
#pragma once
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define UNUSED __attribute__((unused))
#define PAGE ((size_t)4096)
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static int check_failures;

UNUSED __attribute__((format(printf, 3, 4))) static bool check_report(const char *name, bool passed, const char *format,
                                                                      ...) {
    char line[1024];
    int used;
    if (passed) {
        used = snprintf(line, sizeof line, "ok %s\n", name);
    } else {
        check_failures++;
        used = snprintf(line, sizeof line, "FAIL %s: ", name);
        va_list arguments;
        va_start(arguments, format);
        used += vsnprintf(line + used, sizeof line - (size_t)used - 1, format, arguments);
        va_end(arguments);
        if (used > (int)sizeof line - 2) used = (int)sizeof line - 2;
        line[used++] = '\n';
    }
    if (write(1, line, (size_t)used) != used) _exit(99);
    return passed;
}

/// One condition; errno is shown when it does not hold.
#define CHECK(name, condition)                                                                                         \
    do {                                                                                                               \
        errno = 0;                                                                                                     \
        bool check_passed = (condition);                                                                               \
        int check_errno = errno;                                                                                       \
        check_report(name, check_passed, "not (%s), errno %d (%s), line %d", #condition, check_errno,                  \
                     strerror(check_errno), __LINE__);                                                                 \
    } while (0)

/// Two integers are equal.
#define CHECK_EQ(name, got, expected)                                                                                  \
    do {                                                                                                               \
        errno = 0;                                                                                                     \
        long long check_got = (long long)(got), check_expected = (long long)(expected);                                \
        int check_errno = errno;                                                                                       \
        check_report(name, check_got == check_expected, "got %lld (%#llx), expected %lld (%#llx), errno %d, line %d",  \
                     check_got, check_got, check_expected, check_expected, check_errno, __LINE__);                     \
    } while (0)

/// A call fails with -1 and just this errno.
#define CHECK_ERRNO(name, call, expected)                                                                              \
    do {                                                                                                               \
        errno = 0;                                                                                                     \
        long check_result = (long)(call);                                                                              \
        int check_errno = errno;                                                                                       \
        check_report(name, check_result == -1 && check_errno == (expected), "%s returned %ld, errno %d (%s), "         \
                     "expected %s, line %d", #call, check_result, check_errno, strerror(check_errno), #expected,       \
                     __LINE__);                                                                                        \
    } while (0)

#define CHECK_STRING(name, got, expected)                                                                              \
    do {                                                                                                               \
        const char *check_got = (got), *check_expected = (expected);                                                   \
        check_report(name, strcmp(check_got, check_expected) == 0, "got \"%s\", expected \"%s\", line %d", check_got,  \
                     check_expected, __LINE__);                                                                        \
    } while (0)

/// A step the rest of the program cannot do without: its failure ends the program.
#define MUST(condition)                                                                                                \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            check_report("set-up", false, "%s:%d: %s, errno %d (%s)", __FILE_NAME__, __LINE__, #condition, errno,      \
                         strerror(errno));                                                                             \
            _exit(98);                                                                                                 \
        }                                                                                                              \
    } while (0)

/// Runs `body` in a forked child; gives the wait status. The child exits with what `body` returns.
UNUSED static int in_child(int (*body)(void *), void *argument) {
    pid_t child = fork();
    MUST(child >= 0);
    if (child == 0) _exit(body(argument));
    int status = 0;
    pid_t got;
    do got = waitpid(child, &status, 0);
    while (got < 0 && errno == EINTR);
    MUST(got == child);
    return status;
}

/// Describes a wait status: "exit 3", "signal 11".
UNUSED static const char *describe_status(int status) {
    static char text[4][64];
    static int next;
    char *out = text[next++ & 3];
    if (WIFEXITED(status)) snprintf(out, 64, "exit %d", WEXITSTATUS(status));
    else if (WIFSIGNALED(status)) snprintf(out, 64, "signal %d", WTERMSIG(status));
    else if (WIFSTOPPED(status)) snprintf(out, 64, "stopped %d", WSTOPSIG(status));
    else snprintf(out, 64, "status %#x", (unsigned)status);
    return out;
}

#define EXITED(code) ((code) << 8)

UNUSED static void check_status(const char *name, int status, const char *expected) {
    const char *got = describe_status(status);
    check_report(name, strcmp(got, expected) == 0, "child ended with %s, expected %s", got, expected);
}

UNUSED static void check_child(const char *name, int (*body)(void *), void *argument, const char *expected) {
    check_status(name, in_child(body, argument), expected);
}

UNUSED static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

UNUSED static void sleep_ms(long milliseconds) {
    struct timespec left = {milliseconds / 1000, milliseconds % 1000 * 1000000};
    while (nanosleep(&left, &left) < 0 && errno == EINTR) {
    }
}

/// Installs a handler with siginfo.
UNUSED static void handle(int signal, void (*handler)(int, siginfo_t *, void *), int flags) {
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = flags | SA_SIGINFO};
    sigemptyset(&action.sa_mask);
    MUST(sigaction(signal, &action, NULL) == 0);
}

UNUSED static void block_signal(int signal) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, signal);
    MUST(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
}

UNUSED static void unblock_signal(int signal) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, signal);
    MUST(sigprocmask(SIG_UNBLOCK, &set, NULL) == 0);
}

/// State of a task as /proc shows it: 'S', 'Z', 'T' …; 0 when it is gone.
UNUSED static char task_state(pid_t pid) {
    char path[64], text[512];
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return 0;
    ssize_t length = read(fd, text, sizeof text - 1);
    close(fd);
    if (length <= 0) return 0;
    text[length] = 0;
    char *after = strrchr(text, ')');
    return after ? after[2] : 0;
}

/// Waits, ten seconds at most, until a task is in one of the states named.
UNUSED static bool await_state(pid_t pid, const char *states) {
    for (int i = 0; i < 10000; i++) {
        char state = task_state(pid);
        if (state && strchr(states, state)) return true;
        sleep_ms(1);
    }
    return false;
}

static char check_directory[256];

UNUSED static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *walk) {
    (void)status, (void)kind, (void)walk;
    return remove(path);
}

UNUSED static void remove_directory(void) {
    if (chdir("/") == 0) nftw(check_directory, remove_entry, 32, FTW_DEPTH | FTW_PHYS);
}

/// Makes a directory of the program's own and enters it; check_done removes it.
UNUSED static void enter_directory(void) {
    const char *base = getenv("TMPDIR");
    snprintf(check_directory, sizeof check_directory, "%s/guest.XXXXXX", base ? base : "/tmp");
    MUST(mkdtemp(check_directory) && chdir(check_directory) == 0);
}

UNUSED static void write_file(const char *path, const char *text, int mode) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    MUST(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) && fchmod(fd, (mode_t)mode) == 0);
    close(fd);
}

/// Reads a whole small file into a static buffer; an empty string when it cannot be read.
UNUSED static char *read_descriptor(int fd) {
    static char text[1 << 20];
    size_t used = 0;
    ssize_t part;
    while (used < sizeof text - 1 && (part = read(fd, text + used, sizeof text - 1 - used)) > 0) used += (size_t)part;
    text[used] = 0;
    return text;
}

UNUSED static char *read_file(const char *path) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    char *text = read_descriptor(fd);
    if (fd >= 0) close(fd);
    return text;
}

UNUSED static void *map_pages(size_t pages, int protection) {
    void *memory = mmap(NULL, pages * PAGE, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    MUST(memory != MAP_FAILED);
    return memory;
}

UNUSED static int check_done(void) {
    if (check_directory[0]) remove_directory();
    return check_failures ? 1 : 0;
}
