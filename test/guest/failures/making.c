// Makes tasks and programs while the host fails or kills one side at its N-th call, N = 1, 2, … until the making has no
// more calls: the parent is unharmed and told as Linux would tell it, or both are gone; nothing is left behind; a third
// process goes on.
//
//   making SCENARIO parent|child kill|EAGAIN|ENOMEM|EMFILE [STEP [FIRST]]
#include "check.h"

#include <linux/sched.h>
#include <pthread.h>
#include <sched.h>
#include <spawn.h>
#include <sys/prctl.h>

#include "failures.h"

enum { kPages = 96, kChild = 7, kOutcome = 100, kWaitSeconds = 15, kMostPoints = 2000, kMostHangs = 3 };

static uint64_t *pattern;
static char *stack;
static enum failure_side side;
static int failure;
static bool executes; // the scenario ends in another program
static char self[4096];
static char *executed[] = {self, "executed", NULL};
extern char **environ;

// What became of one making.
enum outcome { kMade, kMadeAndKilled, kEagain, kEnomem, kEmfile, kWrong };
static const char *const kOutcomes[] = {"made", "made, then killed", "EAGAIN", "ENOMEM", "EMFILE", "wrong"};

static long say(unsigned word, unsigned value) { return syscall(SYS_getpriority, FAILURE_MARK | word, value); }
static void begin(int at) { say((unsigned)side, (unsigned)failure << 16 | (unsigned)at); }
static void end(void) { say(FAILURE_END, 0); }

static uint64_t word_of(size_t at) { return at * 0x9e3779b97f4a7c15u ^ 0x7465; }

static bool memory_is_right(void) {
    for (size_t i = 0; i < kPages * PAGE / 8; i++)
        if (pattern[i] != word_of(i)) return false;
    return true;
}

static int open_descriptors(void) {
    int count = 0;
    for (int fd = 0; fd < 256; fd++) count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static int child_body(void *unused) {
    (void)unused;
    end();
    _exit(memory_is_right() ? kChild : 1);
}

static void *thread_body(void *unused) {
    end();
    return unused;
}

static enum outcome failed(int error) {
    if (error == EAGAIN) return kEagain;
    if (error == ENOMEM) return kEnomem;
    if (error == EMFILE && executes) return kEmfile;
    check_report("error", false, "%s", strerror(error));
    return kWrong;
}

// Without memory, a program that has just been executed cannot begin: SIGSEGV or SIGKILL by the kernel, or the loader's 127.
static bool is_stillborn(int status) {
    return executes && failure && ((WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV) || status == EXITED(127));
}

static enum outcome wait_for(pid_t child) {
    int status = 0;
    pid_t got;
    do got = waitpid(child, &status, __WALL);
    while (got < 0 && errno == EINTR);
    if (got != child) {
        check_report("wait", false, "got %d of %d, %s", got, child, strerror(errno));
        return kWrong;
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == kChild) return kMade;
    if ((WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) || is_stillborn(status)) return kMadeAndKilled;
    check_report("child", false, "%s", describe_status(status));
    return kWrong;
}

static enum outcome by_fork(int at) {
    begin(at);
    pid_t child = fork();
    const int error = errno;
    if (child == 0) child_body(NULL);
    if (side == FAILURE_BEGIN_PARENT) end();
    return child < 0 ? failed(error) : wait_for(child);
}

static enum outcome by_pidfd(int at) {
    int pidfd = -1;
    struct clone_args arguments = {.flags = CLONE_PIDFD, .pidfd = (uintptr_t)&pidfd, .exit_signal = SIGCHLD};
    begin(at);
    const pid_t child = (pid_t)syscall(SYS_clone3, &arguments, sizeof arguments);
    const int error = errno;
    if (child == 0) child_body(NULL);
    if (side == FAILURE_BEGIN_PARENT) end();
    if (child < 0) return failed(error);
    close(pidfd);
    return wait_for(child);
}

static enum outcome by_vfork(int at) {
    begin(at);
    const pid_t child = vfork();
    if (child == 0) {
        syscall(SYS_getpriority, FAILURE_MARK | FAILURE_END, 0);
        _exit(kChild);
    }
    const int error = errno;
    if (side == FAILURE_BEGIN_PARENT) end();
    return child < 0 ? failed(error) : wait_for(child);
}

// Makes what the monitor has to make room for: descriptors, mappings, objects on its heap.
static enum outcome by_busy_vfork(int at) {
    begin(at);
    const pid_t child = vfork();
    if (child == 0) {
        for (size_t i = 1; i <= 40; i++) {
            char *memory = mmap(NULL, 2 * i * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
            if (memory == MAP_FAILED) continue;
            mprotect(memory, PAGE, PROT_READ);
            munmap(memory, 2 * i * PAGE);
        }
        syscall(SYS_getpriority, FAILURE_MARK | FAILURE_END, 0);
        _exit(kChild);
    }
    const int error = errno;
    if (side == FAILURE_BEGIN_PARENT) end();
    return child < 0 ? failed(error) : wait_for(child);
}

static enum outcome by_sharing(int at) {
    begin(at);
    const pid_t child = clone(child_body, stack + 16 * PAGE, CLONE_VM | SIGCHLD, NULL);
    const int error = errno;
    if (side == FAILURE_BEGIN_PARENT) end();
    return child < 0 ? failed(error) : wait_for(child);
}

static enum outcome by_spawn(int at) {
    pid_t child = -1;
    begin(at);
    const int error = posix_spawn(&child, self, NULL, NULL, executed, environ);
    if (side == FAILURE_BEGIN_PARENT) end();
    return error ? failed(error) : wait_for(child);
}

static enum outcome by_thread(int at) {
    pthread_t thread;
    begin(at);
    const int error = pthread_create(&thread, NULL, thread_body, NULL);
    if (side == FAILURE_BEGIN_PARENT) end();
    if (error) return failed(error);
    MUST(pthread_join(thread, NULL) == 0);
    return kMade;
}

static enum outcome by_exec(int at) {
    begin(at);
    execve(self, executed, environ);
    const int error = errno;
    end();
    return failed(error);
}

static const struct {
    const char *name;
    enum outcome (*make)(int at);
    bool threads;
    bool executes;
} kScenarios[] = {{"fork", by_fork, false, false},
                  {"fork-beside-threads", by_fork, true, false},
                  {"pidfd", by_pidfd, false, false},
                  {"vfork", by_vfork, false, false},
                  {"busy-vfork", by_busy_vfork, false, false},
                  {"sharing", by_sharing, false, false},
                  {"thread", by_thread, false, false},
                  {"spawn", by_spawn, false, true},
                  {"exec", by_exec, false, true},
                  {"exec-beside-threads", by_exec, true, true}};

static atomic_bool stop;

static void *map_and_unmap(void *unused) {
    while (!atomic_load(&stop)) {
        void *memory = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory != MAP_FAILED) munmap(memory, 8 * PAGE);
    }
    return unused;
}

// Speaks only where it does not hold: there are many points.
#define EXPECT(name, condition, ...)                                                                                   \
    do {                                                                                                               \
        if (!(condition)) check_report(name, false, __VA_ARGS__);                                                      \
    } while (0)

// Whoever survives can do all of this again.
static void check_aftermath(void) {
    EXPECT("parent's memory", memory_is_right(), "changed");
    pthread_t thread;
    const int error = pthread_create(&thread, NULL, thread_body, NULL);
    EXPECT("another thread", error == 0, "%s", strerror(error));
    if (!error) pthread_join(thread, NULL);
    side = FAILURE_BEGIN_CHILD; // nothing begins
    pid_t child = fork();
    if (child == 0) child_body(NULL);
    EXPECT("another fork", child > 0 && wait_for(child) == kMade, "%d", child);
    EXPECT("another spawn", posix_spawn(&child, self, NULL, NULL, executed, environ) == 0 && wait_for(child) == kMade,
                 "%d", child);
    errno = 0;
    EXPECT("no child left", waitpid(-1, NULL, __WALL | WNOHANG) == -1 && errno == ECHILD, "errno %d", errno);
}

static int parent(size_t scenario, int at) {
    pthread_t threads[2];
    if (kScenarios[scenario].threads)
        for (int i = 0; i < 2; i++) MUST(pthread_create(&threads[i], NULL, map_and_unmap, NULL) == 0);
    const int before = open_descriptors();
    const enum outcome outcome = kScenarios[scenario].make(at);
    EXPECT("descriptors", open_descriptors() == before, "%d, not %d", open_descriptors(), before);
    atomic_store(&stop, true);
    if (kScenarios[scenario].threads)
        for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
    check_aftermath();
    return check_failures ? kOutcome + kWrong : kOutcome + (int)outcome;
}

// 0: it is gone. Else it hangs, and is killed.
static bool await_end(pid_t pid, int *status) {
    for (uint64_t limit = now_ns() + kWaitSeconds * 1000000000ull; now_ns() < limit; usleep(300)) {
        const pid_t got = waitpid(pid, status, WNOHANG | __WALL);
        if (got == pid || (got < 0 && errno == ECHILD)) return true;
    }
    kill(pid, SIGKILL);
    waitpid(pid, status, __WALL);
    return false;
}

static bool all_are_gone(void) {
    for (uint64_t limit = now_ns() + kWaitSeconds * 1000000000ull; now_ns() < limit; usleep(300)) {
        pid_t got;
        while ((got = waitpid(-1, NULL, WNOHANG | __WALL)) > 0) {
        }
        if (got < 0 && errno == ECHILD) return true;
    }
    return false;
}

struct third {
    _Atomic uint64_t rounds;
    atomic_bool stop;
};

static int third_process(struct third *shared) {
    while (!atomic_load(&shared->stop)) {
        pid_t child = fork();
        if (child == 0) _exit(kChild);
        int status;
        if (child < 0 || waitpid(child, &status, 0) != child || status != EXITED(kChild)) return 1;
        atomic_fetch_add(&shared->rounds, 1);
        usleep(20000);
    }
    return 0;
}

int main(int count, char **arguments) {
    if (count > 1 && !strcmp(arguments[1], "executed")) {
        end();
        return kChild;
    }
    MUST(count >= 4 && readlink("/proc/self/exe", self, sizeof self - 1) > 0);
    size_t scenario = 0;
    while (scenario < COUNT(kScenarios) && strcmp(kScenarios[scenario].name, arguments[1])) scenario++;
    MUST(scenario < COUNT(kScenarios));
    executes = kScenarios[scenario].executes;
    side = strcmp(arguments[2], "parent") ? FAILURE_BEGIN_CHILD : FAILURE_BEGIN_PARENT;
    for (int e = EAGAIN; e <= EMFILE; e++)
        if (!strcmp(strerrorname_np(e), arguments[3])) failure = e;
    const int step = count > 4 ? atoi(arguments[4]) : 1;
    int at = count > 5 ? atoi(arguments[5]) : 1;

    pattern = map_pages(kPages, PROT_READ | PROT_WRITE);
    for (size_t i = 0; i < kPages * PAGE / 8; i++) pattern[i] = word_of(i);
    stack = map_pages(16, PROT_READ | PROT_WRITE);
    struct third *shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    MUST(shared != MAP_FAILED);
    const pid_t third = fork();
    if (third == 0) _exit(third_process(shared));
    // Orphans of a killed parent come to the one between, so that waiting for all does not meet the third.
    const pid_t between = fork();
    if (between == 0) {
        MUST(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
        int outcomes[kWrong + 2] = {0}, hangs = 0;
        for (int point = 0; point < kMostPoints; point++, at += step) {
            say((unsigned)side, 0);  // forgets the last point
            const pid_t pid = fork();
            MUST(pid >= 0);
            if (pid == 0) {
                check_failures = 0;
                _exit(parent(scenario, at));
            }
            int status = 0;
            if (!await_end(pid, &status)) {
                check_report("end", false, "none at point %d", at);
                if (++hangs == kMostHangs) break;
            } else if (WIFEXITED(status) && WEXITSTATUS(status) >= kOutcome && WEXITSTATUS(status) < kOutcome + kWrong) {
                outcomes[WEXITSTATUS(status) - kOutcome]++;
            } else if (side == FAILURE_BEGIN_PARENT && ((WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) || is_stillborn(status))) {
                outcomes[kWrong + 1]++;
            } else if (WIFEXITED(status) && WEXITSTATUS(status) == kChild) {
                outcomes[kMade]++;
            } else {
                outcomes[kWrong]++;
                check_report("parent", false, "%s at point %d", describe_status(status), at);
            }
            if (!all_are_gone()) check_report("orphans", false, "at point %d", at);
            if (say(FAILURE_RESULT, 0) != 1) break;
        }
        char text[256];
        int used = snprintf(text, sizeof text, "%s %s %s:", arguments[1], arguments[2], arguments[3]);
        for (int i = 0; i <= kWrong + 1; i++)
            if (outcomes[i]) used += snprintf(text + used, sizeof text - (size_t)used, " %d %s,", outcomes[i], i > kWrong ? "parent killed" : kOutcomes[i]);
        dprintf(2, "%s\n", text);
        _exit(check_failures ? 1 : 0);
    }
    int status = 0;
    MUST(waitpid(between, &status, 0) == between);
    check_status("every point", status, "exit 0");
    const uint64_t rounds = atomic_load(&shared->rounds);
    for (int i = 0; i < 500 && atomic_load(&shared->rounds) < rounds + 2; i++) usleep(10000);
    CHECK("a third process goes on", atomic_load(&shared->rounds) >= rounds + 2);
    atomic_store(&shared->stop, true);
    MUST(waitpid(third, &status, 0) == third);
    check_status("and ends", status, "exit 0");
    return check_done();
}
