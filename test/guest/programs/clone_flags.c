// clone and clone3: each flag that is not about threads alone, and the combinations Linux refuses.
#include "check.h"
#include <linux/sched.h>
#include <sched.h>
#include <sys/prctl.h>

#define STACK 65536
static char stack[STACK] __attribute__((aligned(64)));
static volatile int seen;

static long clone3(struct clone_args *arguments) { return syscall(SYS_clone3, arguments, sizeof *arguments); }

static int status_of(pid_t child, int options) {
    int status = -1;
    while (waitpid(child, &status, options) < 0 && errno == EINTR) {
    }
    return status;
}

static int run(int (*body)(void *), int flags, void *argument) {
    pid_t child = clone(body, stack + STACK, flags, argument);
    return child < 0 ? -errno : status_of(child, __WALL);
}

static int closes(void *fd) { return close((int)(long)fd); }
static int changes_directory(void *unused) { return chdir("/") || (umask(0111), unused != NULL); }
static int writes(void *unused) { return seen = 5, unused != NULL; }
static int handles(void *unused) { return signal(SIGUSR1, SIG_IGN) == SIG_ERR || unused; }
static int has_parent(void *parent) { return getppid() == (int)(long)parent ? 0 : 1; }
static int returns_three(void *unused) { return unused ? 0 : 3; }

static volatile int got_signal;
static void note(int signal) { got_signal = signal; }

int main(void) {
    enter_directory();
    int fd = open("/dev/null", O_RDONLY);
    CHECK_EQ("CLONE_FILES child runs", run(closes, CLONE_FILES | SIGCHLD, (void *)(long)fd), EXITED(0));
    CHECK("CLONE_FILES shares the table", fcntl(fd, F_GETFD) == -1);
    fd = open("/dev/null", O_RDONLY);
    run(closes, SIGCHLD, (void *)(long)fd);
    CHECK("without it the table is copied", fcntl(fd, F_GETFD) == 0);

    char directory[256];
    umask(022);
    CHECK_EQ("CLONE_FS child runs", run(changes_directory, CLONE_FS | SIGCHLD, NULL), EXITED(0));
    CHECK("CLONE_FS shares the directory", getcwd(directory, sizeof directory) && strcmp(directory, "/") == 0);
    CHECK_EQ("CLONE_FS shares the umask", umask(022), 0111);
    CHECK("back", chdir(check_directory) == 0);
    run(changes_directory, SIGCHLD, NULL);
    CHECK("without it both are copied", getcwd(directory, sizeof directory) && strcmp(directory, "/") && umask(022) == 022);

    CHECK_EQ("CLONE_VM child runs", run(writes, CLONE_VM | SIGCHLD, NULL), EXITED(0));
    CHECK_EQ("CLONE_VM shares memory", seen, 5);
    seen = 0;
    run(writes, SIGCHLD, NULL);
    CHECK_EQ("without it memory is copied", seen, 0);
    signal(SIGUSR1, note);
    CHECK_EQ("CLONE_VM|CLONE_SIGHAND child runs", run(handles, CLONE_VM | CLONE_SIGHAND | SIGCHLD, NULL), EXITED(0));
    CHECK("CLONE_SIGHAND shares the handlers", signal(SIGUSR1, note) == SIG_IGN);
    run(handles, CLONE_VM | SIGCHLD, NULL);
    CHECK("without it they are copied", signal(SIGUSR1, note) == note);

    signal(SIGUSR2, note);
    pid_t child = clone(returns_three, stack + STACK, SIGUSR2, NULL);
    CHECK_EQ("another exit signal needs __WCLONE", waitpid(child, NULL, 0), -1);
    CHECK_EQ("with it the status comes", status_of(child, __WCLONE), EXITED(3));
    CHECK_EQ("and the signal came", got_signal, SIGUSR2);

    pid_t parent_tid = 0, child_tid = 0;
    pid_t *shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    child = (pid_t)syscall(SYS_clone, CLONE_PARENT_SETTID | CLONE_CHILD_SETTID | SIGCHLD, NULL, &parent_tid, &child_tid, 0);
    if (child == 0) {
        shared[0] = child_tid;
        _exit(0);
    }
    status_of(child, 0);
    CHECK_EQ("CLONE_PARENT_SETTID", parent_tid, child);
    CHECK_EQ("CLONE_CHILD_SETTID is in the child's memory", shared[0], child);
    CHECK_EQ("and not in the parent's", child_tid, 0);
    shared[1] = 1234;
    child = (pid_t)syscall(SYS_clone, CLONE_CHILD_CLEARTID | SIGCHLD, NULL, NULL, &shared[1], 0);
    if (child == 0) _exit(0);
    status_of(child, 0);
    CHECK_EQ("CLONE_CHILD_CLEARTID leaves memory of an unshared process alone", shared[1], 1234);

    int pidfd = -1;
    struct clone_args with_pidfd = {.flags = CLONE_PIDFD, .pidfd = (uintptr_t)&pidfd, .exit_signal = SIGCHLD};
    child = (pid_t)clone3(&with_pidfd);
    if (child == 0) _exit(8);
    CHECK("clone3 CLONE_PIDFD gives a descriptor", pidfd > 2 && fcntl(pidfd, F_GETFD) == FD_CLOEXEC);
    siginfo_t info = {0};
    CHECK("it can be waited for", waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED) == 0 && info.si_status == 8 && info.si_pid == child);

    struct clone_args clear = {.flags = CLONE_CLEAR_SIGHAND, .exit_signal = SIGCHLD};
    signal(SIGHUP, SIG_IGN);
    child = (pid_t)clone3(&clear);
    if (child == 0) {
        struct sigaction handled, ignored;
        sigaction(SIGUSR1, NULL, &handled), sigaction(SIGHUP, NULL, &ignored);
        _exit(handled.sa_handler == SIG_DFL && ignored.sa_handler == SIG_IGN ? 0 : 1);
    }
    CHECK_EQ("CLONE_CLEAR_SIGHAND", status_of(child, 0), EXITED(0));

    struct clone_args sibling = {.flags = CLONE_PARENT};
    pid_t middle = fork();
    if (middle == 0) {
        pid_t grand = (pid_t)clone3(&sibling);
        if (grand == 0) _exit(has_parent((void *)(long)shared[2]) ? 1 : 21);
        shared[3] = grand;
        _exit(grand > 0 ? 20 : 1);
    }
    shared[2] = getpid();
    CHECK_EQ("CLONE_PARENT: the middle one", status_of(middle, 0), EXITED(20));
    int status = status_of(shared[3], __WALL);
    CHECK("CLONE_PARENT makes a sibling", WIFEXITED(status));

    struct clone_args stacked = {.flags = CLONE_VM | CLONE_VFORK, .exit_signal = SIGCHLD, .stack = (uintptr_t)stack};
    const struct { const char *name; struct clone_args arguments; } refused[] = {
        {"CLONE_THREAD without CLONE_SIGHAND", {.flags = CLONE_THREAD | CLONE_VM}},
        {"CLONE_SIGHAND without CLONE_VM", {.flags = CLONE_SIGHAND}},
        {"CLONE_FS with CLONE_NEWNS", {.flags = CLONE_FS | CLONE_NEWNS}},
        {"CLONE_DETACHED in clone3", {.flags = CLONE_DETACHED}},
        {"an exit signal in flags", {.flags = SIGCHLD}},
        {"an exit signal above 64", {.exit_signal = 65}},
        {"a thread with an exit signal", {.flags = CLONE_THREAD | CLONE_SIGHAND | CLONE_VM, .exit_signal = SIGCHLD}},
        {"a stack without a size", stacked},
        {"CLEAR_SIGHAND with SIGHAND", {.flags = CLONE_CLEAR_SIGHAND | CLONE_SIGHAND | CLONE_VM}},
        {"CLONE_NEWPID with CLONE_THREAD", {.flags = CLONE_NEWPID | CLONE_THREAD | CLONE_SIGHAND | CLONE_VM}},
        {"an unknown flag", {.flags = 1ull << 40}},
    };
    for (size_t i = 0; i < COUNT(refused); i++) {
        char name[96];
        snprintf(name, sizeof name, "EINVAL: %s", refused[i].name);
        struct clone_args copy = refused[i].arguments;
        CHECK_ERRNO(name, clone3(&copy), EINVAL);
    }
    struct clone_args small = {.exit_signal = SIGCHLD};
    CHECK_ERRNO("clone3 with a size too small", syscall(SYS_clone3, &small, 8), EINVAL);
    CHECK_ERRNO("clone3 with a size too large", syscall(SYS_clone3, &small, 8192), E2BIG);
    struct { struct clone_args known; long extra; } large = {.known = small, .extra = 1};
    CHECK_ERRNO("clone3 with bytes set that are not known", syscall(SYS_clone3, &large, sizeof large), E2BIG);
    CHECK_ERRNO("clone3 with a bad pointer", syscall(SYS_clone3, (void *)8, sizeof small), EFAULT);
    CHECK_ERRNO("clone: CLONE_THREAD alone", syscall(SYS_clone, CLONE_THREAD, 0, 0, 0, 0), EINVAL);
    CHECK_ERRNO("no child is left", waitpid(-1, NULL, __WALL | WNOHANG), ECHILD);
    return check_done();
}
