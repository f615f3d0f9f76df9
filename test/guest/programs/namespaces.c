// unshare, setns and clone into new namespaces, as the caller's rights allow.
#include "check.h"
#include <pthread.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/utsname.h>

static bool write_text(const char *path, const char *text) {
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool fine = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    if (fd >= 0) close(fd);
    return fine;
}

static int in_user_namespace(void *unused) {
    (void)unused;
    uid_t outside = getuid();
    gid_t group = getgid();
    if (unshare(CLONE_NEWUSER)) return 1;
    if (getuid() != 65534) return 2;
    char map[64];
    if (!write_text("/proc/self/setgroups", "deny")) return 3;
    snprintf(map, sizeof map, "0 %u 1", outside);
    if (!write_text("/proc/self/uid_map", map)) return 4;
    snprintf(map, sizeof map, "0 %u 1", group);
    if (!write_text("/proc/self/gid_map", map)) return 4;
    if (getuid() != 0 || getgid() != 0) return 5;
    if (unshare(CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC)) return 6;
    if (sethostname("inside", 6)) return 7;
    struct utsname name;
    uname(&name);
    if (strcmp(name.nodename, "inside")) return 8;
    enter_directory();
    if (mount("tmpfs", ".", "tmpfs", 0, "size=1m")) return 9;
    if (chdir(check_directory)) return 10;
    write_file("file", "x", 0600);
    if (umount2(".", MNT_DETACH)) return 11;
    if (chdir(check_directory) || access("file", F_OK) == 0) return 12;
    if (chdir("/") || rmdir(check_directory)) return 13;
    return 0;
}

static int in_pid_namespace(void *unused) {
    (void)unused;
    if (unshare(CLONE_NEWUSER | CLONE_NEWPID)) return 1;
    pid_t child = fork();
    if (child == 0) {
        if (getpid() != 1) _exit(2);
        pid_t grandchild = fork();
        if (grandchild == 0) _exit(getpid() >= 2 && getppid() == 1 ? 0 : 1);
        int status;
        // Numbers need not follow each other (docs/differences.md), but they are small: the namespace's own.
        if (grandchild < 2 || grandchild > 9 || waitpid(grandchild, &status, 0) != grandchild || status) _exit(3);
        // A signal without a handler does not reach the first process of a namespace.
        kill(1, SIGTERM), kill(1, SIGKILL);
        _exit(0);
    }
    int status;
    waitpid(child, &status, 0);
    return WEXITSTATUS(status);
}

/// A procfs of the namespace's own numbers its processes as they do themselves.
static int mounts_proc(void *unused) {
    (void)unused;
    if (unshare(CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS)) return 1;
    pid_t child = fork();
    if (child == 0) {
        if (mount("proc", "/proc", "proc", 0, NULL)) _exit(errno == EPERM ? 0 : 2);
        if (atoi(read_file("/proc/self/stat")) != 1) _exit(3);
        if (!strstr(read_file("/proc/self/status"), "\nPid:\t1\n")) _exit(4);
        if (atoi(read_file("/proc/1/task/1/stat")) != 1) _exit(5);
        _exit(0);
    }
    int status;
    waitpid(child, &status, 0);
    return WEXITSTATUS(status);
}

static int faults_as_first(void *unused) {
    struct rlimit no_core = {0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    if (unshare(CLONE_NEWUSER | CLONE_NEWPID)) return 1;
    pid_t child = fork();
    if (child == 0) *(volatile int *)unused = 1;
    int status;
    waitpid(child, &status, 0);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 50;
}

static char stack[65536];
static int child_in_new(void *unused) {
    (void)unused;
    struct utsname name;
    if (sethostname("cloned", 6)) return 1;
    uname(&name);
    return strcmp(name.nodename, "cloned") == 0 && getpid() == 1 ? 0 : 2;
}

static void *sleeps(void *unused) {
    for (;;) pause();
    return unused;
}
static int threads_refuse(void *unused) {
    (void)unused;
    pthread_t thread;
    pthread_create(&thread, NULL, sleeps, NULL);
    if (unshare(CLONE_NEWUSER) != -1 || errno != EINVAL) return 1;
    if (unshare(CLONE_THREAD) != -1 || errno != EINVAL) return 2;
    if (unshare(CLONE_VM) != -1 || errno != EINVAL) return 3;
    return unshare(CLONE_FILES | CLONE_FS) ? 4 : 0;
}

static int joins(void *unused) {
    (void)unused;
    int ends[2], status;
    MUST(pipe(ends) == 0);
    pid_t holder = fork();
    if (holder == 0) {
        if (unshare(CLONE_NEWUSER | CLONE_NEWUTS) || sethostname("held", 4)) _exit(1);
        (void)!write(ends[1], "r", 1);
        for (;;) pause();
    }
    char byte, path[64];
    if (read(ends[0], &byte, 1) != 1) return 1;
    snprintf(path, sizeof path, "/proc/%d/ns/user", holder);
    int user = open(path, O_RDONLY);
    snprintf(path, sizeof path, "/proc/%d/ns/uts", holder);
    int uts = open(path, O_RDONLY);
    if (user < 0 || uts < 0) return 2;
    if (setns(user, CLONE_NEWUSER) || setns(uts, 0)) return 3;
    struct utsname name;
    uname(&name);
    kill(holder, SIGKILL), waitpid(holder, &status, 0);
    return strcmp(name.nodename, "held") ? 4 : 0;
}

// A mount whose symbolic links nobody follows, in the middle of a path or at its end.
static int follows_no_links(void *unused) {
    (void)unused;
    char path[300], here[200];
    const gid_t group = getgid();
    snprintf(path, sizeof path, "0 %u 1", getuid());
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS) || !write_text("/proc/self/uid_map", path) || !write_text("/proc/self/setgroups", "deny")) return 1;
    snprintf(path, sizeof path, "0 %u 1", group);
    if (!write_text("/proc/self/gid_map", path)) return 1;
    enter_directory();
    if (mount("tmpfs", ".", "tmpfs", 0, "size=1m")) return 2;
    if (chdir(check_directory) || !getcwd(here, sizeof here)) return 3;
    if (symlink("/etc/passwd", "file") || symlink("/etc", "folder")) return 4;
    if (close(open("file", O_RDONLY)) || mount(NULL, here, NULL, MS_REMOUNT | MS_BIND | 256 /* MS_NOSYMFOLLOW */, NULL)) return 5;
    snprintf(path, sizeof path, "%s/folder/passwd", here);
    struct stat info;
    if (open("file", O_RDONLY) != -1 || errno != ELOOP) return 6;
    if (open(path, O_RDONLY) != -1 || errno != ELOOP) return 7;
    if (stat("file", &info) != -1 || errno != ELOOP) return 8;
    if (chdir("folder") != -1 || errno != ELOOP) return 9;
    if (execl("file", "file", (char *)NULL) != -1 || errno != ELOOP) return 10;
    if (lstat("file", &info) || readlink("folder", path, sizeof path) != 4) return 11;
    return umount2(".", MNT_DETACH) || chdir("/") || rmdir(check_directory) ? 12 : 0;
}

int main(void) {
    check_child("a user namespace, mounts and a host name in it", in_user_namespace, NULL, "exit 0");
    check_child("a mount without symbolic links", follows_no_links, NULL, "exit 0");
    check_child("a pid namespace", in_pid_namespace, NULL, "exit 0");
    check_child("its own procfs", mounts_proc, NULL, "exit 0");
    check_child("its first process dies of a fault", faults_as_first, NULL, "exit 11");
    check_child("setns", joins, NULL, "exit 0");
    check_child("what unshare refuses to many threads", threads_refuse, NULL, "exit 0");
    pid_t child = clone(child_in_new, stack + sizeof stack, CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWUTS | SIGCHLD, NULL);
    int status = -1;
    CHECK("clone into new namespaces", child > 0 && waitpid(child, &status, 0) == child);
    check_status("its child", status, "exit 0");
    CHECK_ERRNO("unshare of bad flags", unshare(0x1), EINVAL);
    CHECK_ERRNO("setns of a file", setns(open("/etc/passwd", O_RDONLY), 0), EINVAL);
    CHECK_EQ("unshare CLONE_FILES", unshare(CLONE_FILES), 0);
    return check_done();
}
