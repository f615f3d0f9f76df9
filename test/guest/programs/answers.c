// Calls whose answer is known beforehand may be answered without the kernel (docs/exitless.md): what they say must be
// what the kernel would say, from every thread, in every child, after everything that changes it. Each is asked often,
// so that it is asked in all the ways there are.
#include "check.h"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <sys/ucontext.h>

#define OFTEN 40

struct action {
    uint64_t handler, flags, restorer, mask;
};

static long ask(int number, const struct action *wanted, struct action *old) { return syscall(SYS_rt_sigaction, number, wanted, old, 8); }

static void handler(UNUSED int number) {}

static long repeated(long call) {
    long first = syscall(call);
    for (int i = 0; i < OFTEN; i++)
        if (syscall(call) != first) return -12345;
    return first;
}

/// A number at the start of a field of /proc/self/status.
static long status_field(const char *name, int base) {
    char text[8192];
    int fd = open("/proc/thread-self/status", O_RDONLY);
    ssize_t got = read(fd, text, sizeof text - 1);
    close(fd);
    if (got < 0) return -1;
    text[got] = 0;
    char *at = strstr(text, name);
    return at ? (long)strtoul(at + strlen(name), NULL, base) : -1;
}

static int who_it_is(void) {
    return !(repeated(SYS_getpid) == status_field("\nTgid:", 10) && repeated(SYS_gettid) == status_field("\nPid:", 10) &&
             repeated(SYS_getuid) == status_field("\nUid:", 10) && repeated(SYS_getgid) == status_field("\nGid:", 10));
}

static int child_identity(UNUSED void *unused) { return who_it_is(); }

static int other_user(UNUSED void *unused) {
    for (int i = 0; i < OFTEN; i++) getuid();
    if (syscall(SYS_setresgid, 21, 22, 23)) return 2;
    if (repeated(SYS_getgid) != 21 || repeated(SYS_getegid) != 22) return 3;
    if (syscall(SYS_setresuid, 11, 12, 0)) return 4;
    if (repeated(SYS_getuid) != 11 || repeated(SYS_geteuid) != 12) return 5;
    if (syscall(SYS_setuid, 13)) return syscall(SYS_geteuid) == 12 && repeated(SYS_getuid) == 11 ? 0 : 6;
    return 7;
}

static void *thread_of_another_user(UNUSED void *unused) {
    // The bare call: of this thread alone.
    if (syscall(SYS_setresuid, -1, 33, -1)) return (void *)2;
    if (repeated(SYS_geteuid) != 33 || repeated(SYS_getuid) != 0) return (void *)3;
    return (void *)(long)who_it_is();
}

static void *thread_identity(UNUSED void *unused) { return (void *)(long)who_it_is(); }

static int threads(UNUSED void *unused) {
    for (int round = 0; round < 4; round++) {
        pthread_t thread;
        void *result;
        if (pthread_create(&thread, NULL, round == 2 && getuid() == 0 ? thread_of_another_user : thread_identity, NULL)) return 1;
        pthread_join(thread, &result);
        if (result) return 10 + (int)(long)result;
        if (who_it_is() || repeated(SYS_geteuid) != geteuid()) return 3;
    }
    return 0;
}

static _Atomic bool stop;
static _Atomic long torn;

/// Both actions are whole: the flags belong to the handler.
static void *watch_action(UNUSED void *unused) {
    while (!atomic_load(&stop)) {
        struct action now;
        if (ask(SIGUSR2, NULL, &now)) atomic_fetch_add(&torn, 1);
        if ((now.handler == 1) != (now.mask == 0)) atomic_fetch_add(&torn, 1);
    }
    return NULL;
}

static int actions_of_threads(UNUSED void *unused) {
    pthread_t thread;
    struct action ignore = {.handler = 1}, plain = {.handler = 0, .mask = 0xf0};
    ask(SIGUSR2, &plain, NULL);
    if (pthread_create(&thread, NULL, watch_action, NULL)) return 1;
    for (int i = 0; i < 2000; i++) {
        const struct action *wanted = i % 2 ? &ignore : &plain;
        struct action now;
        ask(SIGUSR2, wanted, NULL);
        if (ask(SIGUSR2, NULL, &now) || now.handler != wanted->handler || now.mask != wanted->mask) return 2;
    }
    atomic_store(&stop, true);
    pthread_join(thread, NULL);
    return atomic_load(&torn) ? 3 : 0;
}

static int reset_by_delivery(UNUSED void *unused) {
    struct sigaction once = {.sa_handler = handler, .sa_flags = (int)SA_RESETHAND};
    sigaction(SIGUSR1, &once, NULL);
    struct action now;
    for (int i = 0; i < OFTEN; i++) ask(SIGUSR1, NULL, &now);
    if (now.handler != (uint64_t)(uintptr_t)handler) return 1;
    raise(SIGUSR1);
    ask(SIGUSR1, NULL, &now);
    return now.handler != 0;
}

static char stack[65536] __attribute__((aligned(16)));

static int changes_action(void *signal_handlers) {
    struct action ignore = {.handler = 1}, now;
    long change = (long)signal_handlers;
    ask(SIGUSR1, NULL, &now);
    if (now.handler != (uint64_t)(uintptr_t)handler) return 1;
    if (change) ask(SIGUSR1, &ignore, NULL);
    ask(SIGUSR1, NULL, &now);
    if (syscall(SYS_getpid) != syscall(SYS_gettid) || syscall(SYS_getpid) == (long)getppid()) return 2;
    return now.handler != (change ? 1 : (uint64_t)(uintptr_t)handler);
}

/// What a child that shares memory does to its actions is its own affair, unless it shares them too.
static void children_that_share(int flags, uint64_t afterwards, const char *name) {
    struct sigaction action = {.sa_handler = handler};
    sigaction(SIGUSR1, &action, NULL);
    long before = syscall(SYS_getpid);
    int pid = clone(changes_action, stack + sizeof stack, flags | SIGCHLD, (void *)1), status = -1;
    waitpid(pid, &status, 0);
    struct action now = {.handler = 77};
    bool same = true;
    for (int i = 0; i < OFTEN; i++) {
        ask(SIGUSR1, NULL, &now);
        same = same && now.handler == afterwards;
    }
    CHECK(name, pid > 0 && status == 0 && same && repeated(SYS_getpid) == before && repeated(SYS_gettid) == before);
}

static int filtered(UNUSED void *unused) {
    for (int i = 0; i < OFTEN; i++) syscall(SYS_getpid);
    struct sock_filter refuse[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getpid, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 77),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_rt_sigaction, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SIGUSR2, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 78),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {COUNT(refuse), refuse};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)) return 1;
    struct action now;
    for (int i = 0; i < OFTEN; i++) {
        if (syscall(SYS_getpid) != -1 || errno != 77) return 2;
        if (ask(SIGUSR2, NULL, &now) != -1 || errno != 78) return 3;
        if (ask(SIGUSR1, NULL, &now)) return 4;
    }
    return syscall(SYS_gettid) <= 0;
}

static int stack_limit(UNUSED void *unused) {
    struct rlimit64 now, wanted;
    for (int i = 0; i < OFTEN; i++)
        if (syscall(SYS_prlimit64, 0, RLIMIT_STACK, NULL, &now)) return 1;
    wanted = now;
    wanted.rlim_cur = 3 << 20;
    for (int i = 0; i < OFTEN; i++) {
        wanted.rlim_cur += PAGE;
        if (syscall(SYS_prlimit64, 0, RLIMIT_STACK, &wanted, NULL) || syscall(SYS_prlimit64, 0, RLIMIT_STACK, NULL, &now)) return 2;
        if (now.rlim_cur != wanted.rlim_cur || now.rlim_max != wanted.rlim_max) return 3;
        if (syscall(SYS_prlimit64, 0, RLIMIT_STACK, NULL, (void *)8) != -1 || errno != EFAULT) return 4;
        if (syscall(SYS_prlimit64, 0, RLIMIT_STACK, NULL, NULL)) return 5;
    }
    return 0;
}

static int ready[2], mapped[2];

static int in_new_namespace(UNUSED void *unused) {
    char byte;
    for (int i = 0; i < OFTEN; i++) getuid();
    if (unshare(CLONE_NEWUSER)) return errno == EPERM || errno == ENOSPC || errno == EINVAL ? 90 : 91;
    if (repeated(SYS_getuid) != 65534) return 2;
    if (write(ready[1], "u", 1) != 1 || read(mapped[0], &byte, 1) != 1) return 3;
    return repeated(SYS_getuid) == 0 ? 0 : 4;
}

static int mapped_child(UNUSED void *unused) {
    char byte;
    bool unmapped = repeated(SYS_getuid) == 65534;
    if (write(ready[1], unmapped ? "u" : "-", 1) != 1 || !unmapped) return 2;
    if (read(mapped[0], &byte, 1) != 1) return 3;
    return repeated(SYS_getuid) == 0 ? 0 : 4;
}

/// Maps the user of `pid` once it says that it is in its namespace.
static void map_user(int pid, const char *name) {
    int status = 0;
    char byte, path[64];
    if (read(ready[0], &byte, 1) == 1 && byte == 'u') {
        snprintf(path, sizeof path, "/proc/%d/uid_map", pid);
        int fd = open(path, O_WRONLY);
        char line[64];
        int length = snprintf(line, sizeof line, "0 %d 1\n", (int)getuid());
        if (write(fd, line, (size_t)length) != length) _exit(97);
        close(fd);
        if (write(mapped[1], "m", 1) != 1) _exit(96);
    }
    waitpid(pid, &status, 0);
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    CHECK(name, code == 0 || code == 90);
}

static void user_namespace(void) {
    if (pipe(ready) || pipe(mapped)) _exit(98);
    int pid = fork();
    if (pid == 0) {
        int code = in_new_namespace(NULL);
        if (code && write(ready[1], "-", 1) != 1) code = 95;
        _exit(code);
    }
    map_user(pid, "the user changes when another process maps the namespace");
    pid = clone(mapped_child, stack + sizeof stack, CLONE_VM | CLONE_NEWUSER | SIGCHLD, NULL);
    if (pid > 0) map_user(pid, "of a child in the same memory too");
    else CHECK("no user namespaces for children in the same memory", errno == EPERM || errno == ENOSPC);
}

static volatile sig_atomic_t interrupted;
static void count(UNUSED int number) { interrupted = interrupted + 1; }

int main(void) {
    CHECK("who it is", who_it_is() == 0);
    check_child("a child is another", child_identity, NULL, "exit 0");
    check_child("threads are others", threads, NULL, "exit 0");
    if (getuid() == 0) check_child("users and groups change", other_user, NULL, "exit 0");

    struct action now;
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART | SA_ONSTACK};
    sigaddset(&action.sa_mask, SIGHUP);
    sigaction(SIGUSR1, &action, NULL);
    for (int i = 0; i < OFTEN; i++) ask(SIGUSR1, NULL, &now);
    CHECK("an action is what was set", now.handler == (uint64_t)(uintptr_t)handler && (now.flags & 0xffffffff & ~0x04000000u) == (SA_RESTART | SA_ONSTACK) &&
                                           now.mask == 1);
    int right = 0;
    for (int i = 0; i < OFTEN; i++) {
        right += ask(0, NULL, &now) == -1 && errno == EINVAL;
        right += ask(65, NULL, &now) == -1 && errno == EINVAL;
        right += ask(-1, NULL, &now) == -1 && errno == EINVAL;
        right += ask(64, NULL, &now) == 0 && ask(SIGKILL, NULL, &now) == 0 && now.handler == 0;
        right += syscall(SYS_rt_sigaction, SIGUSR1, NULL, &now, 4) == -1 && errno == EINVAL;
        right += ask(SIGUSR1, NULL, NULL) == 0;
    }
    CHECK_EQ("numbers, sizes and nothing to write", right, 6 * OFTEN);
    char *pages = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(pages + PAGE, PAGE);
    right = 0;
    for (int i = 0; i < OFTEN; i++) {
        right += ask(SIGUSR1, NULL, (struct action *)8) == -1 && errno == EFAULT;
        right += ask(SIGUSR1, NULL, (struct action *)0xffffffff81000000) == -1 && errno == EFAULT;
        right += ask(SIGUSR1, NULL, (struct action *)0xffffff0000001800) == -1 && errno == EFAULT;
        right += ask(SIGUSR1, NULL, (struct action *)(void *)main) == -1 && errno == EFAULT;
        right += ask(SIGUSR1, NULL, (struct action *)(pages + PAGE - 16)) == -1 && errno == EFAULT;
        right += ask(SIGUSR1, NULL, (struct action *)(pages + PAGE - 32)) == 0;
    }
    CHECK_EQ("places that cannot be written", right, 6 * OFTEN);
    check_child("an action that a delivery resets", reset_by_delivery, NULL, "exit 0");
    check_child("actions that another thread changes", actions_of_threads, NULL, "exit 0");
    children_that_share(CLONE_VM | CLONE_VFORK, (uint64_t)(uintptr_t)handler, "a vfork child's actions are its own");
    children_that_share(CLONE_VM | CLONE_VFORK | CLONE_SIGHAND, 1, "a vfork child that shares the actions");
    children_that_share(CLONE_VM, (uint64_t)(uintptr_t)handler, "a child in the same memory has its own actions");
    children_that_share(CLONE_VM | CLONE_SIGHAND, 1, "a child in the same memory that shares the actions");

    char *before = (char *)syscall(SYS_brk, 0);
    right = 0;
    for (int i = 0; i < OFTEN; i++) right += (char *)syscall(SYS_brk, 0) == before;
    CHECK_EQ("the heap's end", right, OFTEN);
    right = 0;
    for (int i = 1; i <= OFTEN; i++) {
        char *wanted = before + i * 1000;
        right += (char *)syscall(SYS_brk, wanted) == wanted && (char *)syscall(SYS_brk, 0) == wanted && sbrk(0) != (void *)-1;
    }
    CHECK_EQ("the heap's end moves", right, OFTEN);
    syscall(SYS_brk, before);

    check_child("the stack's limit", stack_limit, NULL, "exit 0");
    check_child("a filter that refuses them", filtered, NULL, "exit 0");
    user_namespace();

    // Interrupted anywhere, they say the same.
    signal(SIGALRM, count);
    struct itimerval often = {{0, 300}, {0, 300}}, never = {{0, 0}, {0, 0}};
    long pid = syscall(SYS_getpid), wrong = 0;
    setitimer(ITIMER_REAL, &often, NULL);
    for (int i = 0; i < 2000000 && interrupted < 200; i++) {
        wrong += syscall(SYS_getpid) != pid;
        wrong += ask(SIGUSR1, NULL, &now) != 0 || now.handler != 1;
    }
    setitimer(ITIMER_REAL, &never, NULL);
    CHECK("signals in between", interrupted > 0);
    CHECK_EQ("the same between signals", wrong, 0);
    return check_failures != 0;
}
