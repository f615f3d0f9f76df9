// clone and clone3: each flag that is not about threads alone, and the combinations Linux refuses.
#include "check.h"
#include <linux/sched.h>
#include <sched.h>
#include <sys/mount.h>
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

/// The child finds itself in the control group. Who may mount none has nothing to find.
static int joins_group(void *unused) {
    (void)unused;
    char name[64], line[96];
    snprintf(name, sizeof name, "groups/guest-%d", getpid());
    mkdir("groups", 0700);
    if (unshare(CLONE_NEWNS)) return errno == EPERM ? 0 : 1;
    if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) || mount("none", "groups", "cgroup2", 0, NULL)) return 2;
    if (mkdir(name, 0700)) return errno == EROFS || errno == EACCES || errno == EPERM ? 0 : 3;
    const int group = open(name, O_RDONLY | O_DIRECTORY);
    struct clone_args into = {.flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD, .cgroup = (uint64_t)group};
    const pid_t child = (pid_t)clone3(&into);
    snprintf(line, sizeof line, "/%s\n", name + sizeof "groups");
    if (child == 0) _exit(strstr(read_file("/proc/self/cgroup"), line) ? 0 : 10);
    if (strstr(read_file("/proc/self/cgroup"), line)) return 4;
    const int status = child < 0 ? EXITED(5) : status_of(child, 0);
    return rmdir(name) ? 6 : WEXITSTATUS(status);
}

/// The child has the number that was asked for, or it was not to be asked for.
static int has_number(void *unused) {
    (void)unused;
    pid_t wanted = atoi(read_file("/proc/sys/kernel/pid_max")) - 5;
    while (wanted > 1 && (kill(wanted, 0) == 0 || errno != ESRCH)) wanted--;
    struct clone_args numbered = {.exit_signal = SIGCHLD, .set_tid = (uintptr_t)&wanted, .set_tid_size = 1};
    const pid_t child = (pid_t)clone3(&numbered);
    if (child < 0) return errno == EPERM && geteuid() != 0 ? 0 : 1;
    if (child == 0) _exit(getpid() == wanted ? 0 : 10);
    const int status = status_of(child, 0);
    if (child != wanted || status) return 2;
    const pid_t taken = getpid(), zero = 0;
    numbered.set_tid = (uintptr_t)&taken;
    if (clone3(&numbered) != -1 || errno != EEXIST) return 3;
    numbered.set_tid = (uintptr_t)&zero;
    return clone3(&numbered) == -1 && errno == EINVAL ? 0 : 4;
}

static const char *name_of(const char *namespace) {
    static char text[2][64];
    static int next;
    char *out = text[next++ & 1];
    const ssize_t length = readlink(namespace, out, sizeof text[0] - 1);
    out[length < 0 ? 0 : length] = 0;
    return out;
}

/// Each kind of namespace by clone3, the child's alone.
static int has_namespace(void *unused) {
    (void)unused;
    const struct { uint64_t flag; const char *file; } kinds[] = {
        {CLONE_NEWNS, "/proc/self/ns/mnt"}, {CLONE_NEWUTS, "/proc/self/ns/uts"}, {CLONE_NEWIPC, "/proc/self/ns/ipc"},
        {CLONE_NEWNET, "/proc/self/ns/net"}, {CLONE_NEWCGROUP, "/proc/self/ns/cgroup"}, {CLONE_NEWPID, "/proc/self/ns/pid"},
        {CLONE_NEWTIME, "/proc/self/ns/time"}, {CLONE_NEWUSER, "/proc/self/ns/user"},
    };
    for (size_t i = 0; i < COUNT(kinds); i++) {
        char before[64];
        snprintf(before, sizeof before, "%s", name_of(kinds[i].file));
        struct clone_args made = {.flags = kinds[i].flag, .exit_signal = SIGCHLD};
        const pid_t child = (pid_t)clone3(&made);
        // A new pid namespace has no /proc yet that would know this process.
        if (child == 0) _exit(kinds[i].flag == CLONE_NEWPID ? getpid() != 1 : strcmp(name_of(kinds[i].file), before) == 0);
        if (child < 0 && (errno == EPERM || errno == ENOSPC || errno == EINVAL)) continue; // not to be had here
        if (child < 0 || status_of(child, 0) || strcmp(name_of(kinds[i].file), before)) return (int)i + 1;
    }
    return 0;
}

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

    struct clone_args nowhere = {.flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD, .cgroup = 999};
    CHECK_ERRNO("CLONE_INTO_CGROUP with no descriptor", clone3(&nowhere), EBADF);
    nowhere.cgroup = (uint64_t)open(".", O_RDONLY | O_DIRECTORY);
    CHECK_ERRNO("CLONE_INTO_CGROUP with a folder that is none", clone3(&nowhere), EBADF);
    close((int)nowhere.cgroup);
    check_child("CLONE_INTO_CGROUP", joins_group, NULL, "exit 0");
    check_child("set_tid", has_number, NULL, "exit 0");
    check_child("namespaces", has_namespace, NULL, "exit 0");

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
        {"numbers for the child without their count", {.set_tid = (uintptr_t)stack, .exit_signal = SIGCHLD}},
        {"a count without numbers", {.set_tid_size = 1, .exit_signal = SIGCHLD}},
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
