// kinds: static dynamic
// vfork and posix_spawn: memory is shared until exec, the parent waits, a failed exec is reported.
#include "check.h"
#include <pthread.h>
#include <sched.h>
#include <spawn.h>

extern char **environ;
static volatile int written;
static char self[4096];

static int status_of(pid_t child) {
    int status = -1;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    return status;
}

static int spawn(const char *path, char *const arguments[], posix_spawn_file_actions_t *actions,
                 posix_spawnattr_t *attributes, int *status) {
    pid_t child = -1;
    int error = posix_spawn(&child, path, actions, attributes, arguments, environ);
    if (error == 0 && status) *status = status_of(child);
    return error;
}

static void *spawn_often(void *failures) {
    char *const arguments[] = {"true", "--exit", "5", NULL};
    for (int i = 0; i < 10; i++) {
        int status;
        if (spawn(self, arguments, NULL, NULL, &status) || status != EXITED(5)) ++*(int *)failures;
    }
    return NULL;
}

static int clone_vm_child(void *flag) {
    *(volatile int *)flag = 77;
    return 3;
}

int main(int argc, char **argv) {
    if (argc > 2 && strcmp(argv[1], "--exit") == 0) return atoi(argv[2]);
    if (argc > 1 && strcmp(argv[1], "--state") == 0) {
        sigset_t set;
        sigprocmask(SIG_BLOCK, NULL, &set);
        struct sigaction action;
        sigaction(SIGUSR1, NULL, &action);
        return (sigismember(&set, SIGUSR2) ? 1 : 0) | (action.sa_handler == SIG_DFL ? 2 : 0) |
               (getpgrp() == getpid() ? 4 : 0) | (fcntl(33, F_GETFD) == 0 ? 8 : 0);
    }
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    MUST(length > 0);

    pid_t self_pid = getpid();
    pid_t child = vfork();
    if (child == 0) {
        written = getpid() != self_pid && getppid() == self_pid ? 1 : 2;
        _exit(4);
    }
    CHECK_EQ("vfork child's write is seen by the parent", written, 1);
    CHECK_EQ("vfork child that exits", status_of(child), EXITED(4));

    char *const exits[] = {"x", "--exit", "9", NULL};
    child = vfork();
    if (child == 0) {
        execv(self, exits);
        _exit(1);
    }
    CHECK_EQ("vfork child that execs", status_of(child), EXITED(9));

    child = vfork();
    if (child == 0) {
        execv("/nowhere", exits);
        written = errno;
        _exit(6);
    }
    CHECK_EQ("a failed exec's errno is in shared memory", written, ENOENT);
    CHECK_EQ("and the child went on", status_of(child), EXITED(6));

    uint64_t started = now_ns();
    child = vfork();
    if (child == 0) {
        struct timespec while_parent_waits = {0, 100000000};
        syscall(SYS_nanosleep, &while_parent_waits, NULL);
        _exit(0);
    }
    CHECK("the parent waits for the child", now_ns() - started >= 95000000);
    status_of(child);

    int status = 0;
    CHECK_EQ("posix_spawn runs", spawn(self, exits, NULL, NULL, &status), 0);
    CHECK_EQ("its status", status, EXITED(9));
    CHECK_EQ("posix_spawn of a missing file", spawn("/nowhere", exits, NULL, NULL, NULL), ENOENT);
    CHECK_EQ("posix_spawn of a directory", spawn("/tmp", exits, NULL, NULL, NULL), EACCES);
    CHECK_EQ("posix_spawn of what is no program", spawn("/etc/passwd", exits, NULL, NULL, NULL), EACCES);
    CHECK_ERRNO("failed spawns leave no child", waitpid(-1, NULL, WNOHANG), ECHILD);
    pid_t found = -1;
    char *const truth[] = {"sh", "-c", "exit 3", NULL};
    CHECK_EQ("posix_spawnp searches PATH", posix_spawnp(&found, "sh", NULL, NULL, truth, environ), 0);
    CHECK_EQ("and what it found ran", status_of(found), EXITED(3));

    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 33, "/dev/null", O_RDONLY, 0);
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
    sigset_t mask, defaults;
    sigemptyset(&mask), sigaddset(&mask, SIGUSR2);
    sigemptyset(&defaults), sigaddset(&defaults, SIGUSR1);
    posix_spawnattr_setsigmask(&attributes, &mask);
    posix_spawnattr_setsigdefault(&attributes, &defaults);
    posix_spawnattr_setpgroup(&attributes, 0);
    signal(SIGUSR1, SIG_IGN);
    // Linux lets the parent go on an instant before a program has its name: until then it is the spawner's.
    int told = 0, gone = 0;
    char own_name[32] = "", own_link[256] = "";
    int own = open("/proc/self/comm", O_RDONLY);
    MUST(read(own, own_name, sizeof own_name - 1) > 0 && readlink("/proc/self/exe", own_link, sizeof own_link - 1) > 0);
    close(own);
    for (int i = 0; i < 20; i++) {
        char *const sleeps[] = {"sleep", "30", NULL};
        char path[64], name[32] = "", link[256] = "", stat_line[64] = "", want[64], early[64];
        pid_t asleep = -1;
        if (posix_spawnp(&asleep, "sleep", NULL, NULL, sleeps, environ) != 0) break;
        const struct { const char *file; char *to; size_t room; } files[] = {{"stat", stat_line, 63}, {"comm", name, 31}};
        for (size_t n = 0; n < COUNT(files); n++) {
            snprintf(path, sizeof path, "/proc/%d/%s", asleep, files[(n + i) % 2].file);
            int fd = open(path, O_RDONLY);
            if (read(fd, files[(n + i) % 2].to, files[(n + i) % 2].room) < 0) *name = 0;
            close(fd);
        }
        snprintf(path, sizeof path, "/proc/%d/exe", asleep);
        if (readlink(path, link, sizeof link - 1) < 0) *link = 0;
        snprintf(want, sizeof want, "%d (sleep) ", asleep);
        snprintf(early, sizeof early, "%d (%.*s) ", asleep, (int)strlen(own_name) - 1, own_name);
        if (strcmp(name, "sleep\n") != 0 && strcmp(name, own_name) != 0) CHECK_EQ(name, 0, 1);
        else if (strncmp(stat_line, want, strlen(want)) != 0 && strncmp(stat_line, early, strlen(early)) != 0) CHECK_EQ(stat_line, 0, 1);
        else if (strstr(link, "/sleep") == NULL && strcmp(link, own_link) != 0) CHECK_EQ(link, 0, 1);
        else told++;
        kill(asleep, SIGKILL);
        siginfo_t ended;
        waitid(P_PID, (id_t)asleep, &ended, WEXITED | WNOWAIT);
        gone += readlink(path, link, sizeof link) == -1 && errno == ENOENT;
        waitpid(asleep, NULL, 0);
    }
    CHECK_EQ("processes just spawned have names and programs that they have or had", told, 20);
    CHECK_EQ("ended ones have no program", gone, 20);
    char *const state[] = {"x", "--state", NULL};
    CHECK_EQ("posix_spawn with attributes and actions", spawn(self, state, &actions, &attributes, &status), 0);
    CHECK_EQ("they took effect", status, EXITED(15));
    posix_spawn_file_actions_t bad;
    posix_spawn_file_actions_init(&bad);
    posix_spawn_file_actions_adddup2(&bad, 777, 1);
    CHECK_EQ("a failing file action is reported", spawn(self, exits, &bad, NULL, NULL), EBADF);

    static char stack[65536] __attribute__((aligned(16)));
    volatile int flag = 0;
    child = clone(clone_vm_child, stack + sizeof stack, CLONE_VM | CLONE_VFORK | SIGCHLD, (void *)&flag);
    CHECK_EQ("clone(CLONE_VM|CLONE_VFORK) on a stack of its own", flag, 77);
    CHECK_EQ("and its status", status_of(child), EXITED(3));

    pthread_t threads[4];
    int failures[4] = {0}, total = 0;
    for (int i = 0; i < 4; i++) pthread_create(&threads[i], NULL, spawn_often, &failures[i]);
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL), total += failures[i];
    CHECK_EQ("four threads that spawn at once", total, 0);

    FILE *stream = popen("echo through; exit 3", "r");
    char line[32] = "";
    CHECK("popen reads", stream && fgets(line, sizeof line, stream) && strcmp(line, "through\n") == 0);
    CHECK_EQ("pclose gives the status", pclose(stream), EXITED(3));
    CHECK_EQ("system", system("exit 11"), EXITED(11));
    return check_done();
}
