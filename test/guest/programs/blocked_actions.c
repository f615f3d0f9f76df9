// The actions of signals that are blocked, and what is kept beside a default action: flags, restorer and mask. posix_spawn's
// children set 63 of these, so that it may be done without the kernel until its next turn (docs/exitless.md). What it says must
// be what the kernel would say, in the process itself, its threads and its children.
#include "check.h"
#include <pthread.h>
#include <sched.h>

#define RESTORER 0x04000000ull

struct action {
    uint64_t handler, flags, restorer, mask;
};

static long change(int number, const struct action *wanted, struct action *old) { return syscall(SYS_rt_sigaction, number, wanted, old, 8); }

static struct action plain(uint64_t flags, uint64_t mask) { return (struct action){0, flags | RESTORER, 0x1234567, mask}; }

static void block_all(void) {
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
}

static bool same(const struct action *a, const struct action *b) { return memcmp(a, b, sizeof *a) == 0; }

/// Sets every signal's default again, with a mask of its own, and finds in each what was there before.
static int every_signal(UNUSED void *unused) {
    for (uint64_t round = 1; round <= 40; round++)
        for (int number = 1; number <= 64; number++) {
            if (number == SIGKILL || number == SIGSTOP || number == 32 || number == 33) continue;
            struct action wanted = plain(round % 2 ? SA_RESTART : 0, round << 20), old, now;
            struct action before = plain(round % 2 ? 0 : SA_RESTART, (round - 1) << 20);
            if (change(number, &wanted, &old) || change(number, NULL, &now)) return 1;
            if (!same(&now, &wanted) || (round > 1 && !same(&old, &before))) return 2;
        }
    struct action all = plain(0, ~0ull), now;
    for (int i = 0; i < 40; i++)
        if (change(SIGTERM, &all, NULL)) return 3;
    if (change(SIGTERM, NULL, &now) || now.mask != (~0ull & ~(1ull << 8) & ~(1ull << 18))) return 4;
    return 0;
}

/// The wanted and the old one in the same place.
static int in_place(UNUSED void *unused) {
    struct action last = plain(0, 0);
    change(SIGTERM, &last, NULL);
    for (uint64_t i = 1; i < 60; i++) {
        struct action both = plain(0, i << 20), next = both;
        if (change(SIGTERM, &both, &both) || !same(&both, &last)) return 1;
        last = next;
    }
    return 0;
}

static int errors(UNUSED void *unused) {
    char *pages = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(pages + PAGE, PAGE);
    struct action wanted = plain(0, 1 << 20), now;
    memcpy(pages + PAGE - 32, &wanted, sizeof wanted);
    for (int i = 0; i < 40; i++) {
        if (change(SIGTERM, (struct action *)8, NULL) != -1 || errno != EFAULT) return 1;
        struct action before, after, another = plain(0, 1 << 22);
        change(SIGTERM, NULL, &before);
        struct action half = {1, RESTORER, 0, 0};
        memcpy(pages + PAGE - 16, &half, 16);
        if (change(SIGTERM, (struct action *)(pages + PAGE - 16), NULL) != -1 || errno != EFAULT) return 2;
        memcpy(pages + PAGE - 32, &wanted, sizeof wanted);
        if (change(SIGUSR2, &another, NULL) || change(SIGTERM, NULL, &after) || !same(&before, &after)) return 12;
        if (change(SIGTERM, (struct action *)0xffffffff81000000, NULL) != -1 || errno != EFAULT) return 3;
        if (change(SIGTERM, (struct action *)0xffffff0000001800, NULL) != -1 || errno != EFAULT) return 4;
        if (change(SIGTERM, (struct action *)0x7ffffffffff8, NULL) != -1 || errno != EFAULT) return 5;
        if (change(0, &wanted, NULL) != -1 || errno != EINVAL || change(65, &wanted, NULL) != -1 || errno != EINVAL) return 6;
        if (change(SIGKILL, &wanted, NULL) != -1 || errno != EINVAL || change(SIGSTOP, &wanted, NULL) != -1 || errno != EINVAL) return 7;
        if (syscall(SYS_rt_sigaction, SIGTERM, &wanted, NULL, 4) != -1 || errno != EINVAL) return 8;
        if (change(SIGTERM, (struct action *)(pages + PAGE - 32), NULL)) return 9;
        // What was there cannot be written: the action has changed all the same.
        struct action other = plain(0, (uint64_t)(i + 2) << 20);
        if (change(SIGTERM, &other, (struct action *)(void *)errors) != -1 || errno != EFAULT) return 10;
        if (change(SIGTERM, NULL, &now) || !same(&now, &other)) return 11;
    }
    return 0;
}

/// Flags that the kernel does not know are not kept.
static int unknown_flags(UNUSED void *unused) {
    for (uint64_t handler = 0; handler < 2; handler++) {
        struct action wanted = plain(0xffffffff00000400ull | SA_RESTART | SA_NODEFER, 0), now;
        wanted.handler = handler;
        if (change(SIGTERM, &wanted, NULL) || change(SIGTERM, NULL, &now)) return 1;
        if (now.flags != (SA_RESTART | SA_NODEFER | RESTORER)) return 2;
    }
    return 0;
}

/// Those that the default ignores are dropped when it is set, also where it was the default before.
static int dropped(UNUSED void *unused) {
    sigset_t pending;
    block_all();
    for (int i = 0; i < 40; i++) {
        static const int ignored[] = {SIGCHLD, SIGCONT, SIGURG, SIGWINCH};
        for (int j = 0; j < 4; j++) {
            struct action wanted = plain(0, 0);
            raise(ignored[j]);
            if (change(ignored[j], &wanted, NULL)) return 1;
            sigpending(&pending);
            if (sigismember(&pending, ignored[j])) return 2;
        }
        struct action wanted = plain(0, 0);
        raise(SIGTERM);
        if (change(SIGTERM, &wanted, NULL)) return 3;
        sigpending(&pending);
        if (!sigismember(&pending, SIGTERM)) return 4;
    }
    return 0;
}

static int tells_mask(void *expected) {
    struct action now;
    return change(SIGTERM, NULL, &now) || now.mask != (uint64_t)(uintptr_t)expected || now.handler != 0;
}

static int sets_mask(void *mask) {
    for (int i = 0; i < 40; i++) {
        struct action wanted = plain(0, (uint64_t)(uintptr_t)mask);
        if (change(SIGTERM, &wanted, NULL)) return 1;
    }
    return tells_mask(mask);
}

static void *thread_tells(void *expected) { return (void *)(long)tells_mask(expected); }
static void *thread_sets(void *mask) { return (void *)(long)sets_mask(mask); }

static char stack[65536] __attribute__((aligned(16)));

/// Children and threads, forked, cloned and made after a change, see what was set; what they set is theirs or everybody's.
static int who_sees_it(UNUSED void *unused) {
    for (uint64_t i = 1; i < 20; i++) {
        void *mask = (void *)(uintptr_t)(i << 20), *other = (void *)(uintptr_t)(i << 21 | 1 << 30);
        if (sets_mask(mask)) return 1;
        static const int kinds[] = {0, CLONE_VM | CLONE_VFORK, CLONE_VM};
        for (int j = 0; j < 3; j++)
            for (int sets = 0; sets < 2; sets++) {
                int status = -1;
                int pid = clone(sets ? sets_mask : tells_mask, stack + sizeof stack, kinds[j] | SIGCHLD, sets ? other : mask);
                if (pid < 0 || waitpid(pid, &status, 0) != pid || status) return 10 + j * 2 + sets;
                if (tells_mask(mask)) return 20 + j * 2 + sets;
            }
        int status = -1;
        int pid = clone(sets_mask, stack + sizeof stack, CLONE_VM | CLONE_VFORK | CLONE_SIGHAND | SIGCHLD, other);
        if (pid < 0 || waitpid(pid, &status, 0) != pid || status || tells_mask(other)) return 30;
        if (sets_mask(mask)) return 31;
        pthread_t thread;
        void *result = (void *)1;
        if (pthread_create(&thread, NULL, thread_tells, mask) || pthread_join(thread, &result) || result) return 32;
        if (pthread_create(&thread, NULL, thread_sets, other) || pthread_join(thread, &result) || result || tells_mask(other)) return 33;
    }
    return 0;
}

static volatile int caught;
static void catch(UNUSED int number) { caught = caught + 1; }

/// Default, handled, ignored, default: each does what it says.
static int changes_of_kind(UNUSED void *unused) {
    for (int i = 0; i < 40; i++) {
        struct action wanted = plain(0, 0), now;
        if (change(SIGUSR1, &wanted, NULL) || change(SIGUSR1, &wanted, NULL)) return 1;
        struct sigaction handled = {.sa_handler = catch};
        sigaction(SIGUSR1, &handled, NULL);
        if (change(SIGUSR1, NULL, &now) || now.handler != (uint64_t)(uintptr_t)catch) return 2;
        raise(SIGUSR1);
        if (caught != i + 1) return 3;
        signal(SIGUSR1, SIG_IGN);
        raise(SIGUSR1);
        if (change(SIGUSR1, &wanted, &now) || now.handler != 1) return 4;
        if (change(SIGUSR1, &wanted, &now) || now.handler != 0) return 5;
    }
    struct action wanted = plain(0, 0);
    change(SIGUSR1, &wanted, NULL);
    raise(SIGUSR1);
    return 6;
}

/// Set while they are blocked, actions hold once the signals come.
static int blocked_changes(UNUSED void *unused) {
    sigset_t none, pending;
    sigemptyset(&none);
    for (int i = 1; i < 40; i++) {
        block_all();
        struct action handled = {(uint64_t)(uintptr_t)catch, 0, 0, 0}, ignored = {1, 0, 0, 0}, now;
        struct sigaction with_restorer = {.sa_handler = catch};
        sigaction(SIGUSR2, &with_restorer, NULL);
        change(SIGUSR2, NULL, &handled);
        caught = 0;
        // Handled, then ignored: what was pending is dropped.
        if (change(SIGUSR1, &handled, NULL) || change(SIGUSR1, NULL, &now) || now.handler != handled.handler) return 1;
        raise(SIGUSR1);
        if (change(SIGUSR1, &ignored, NULL)) return 2;
        sigpending(&pending);
        if (sigismember(&pending, SIGUSR1)) return 3;
        // Ignored, then handled: it comes once.
        if (change(SIGUSR1, &ignored, NULL) || change(SIGUSR1, &handled, NULL)) return 4;
        raise(SIGUSR1);
        raise(SIGUSR1);
        if (caught) return 5;
        sigprocmask(SIG_SETMASK, &none, NULL);
        if (caught != 1) return 6;
        // Ignored while it is blocked, and never pending: nothing comes, and nobody dies.
        block_all();
        if (change(SIGUSR1, &ignored, NULL)) return 7;
        sigprocmask(SIG_SETMASK, &none, NULL);
        raise(SIGUSR1);
        if (caught != 1) return 8;
    }
    block_all();
    struct action wanted = plain(0, 0);
    change(SIGUSR1, &wanted, NULL);
    raise(SIGUSR1);
    sigprocmask(SIG_SETMASK, &none, NULL);
    return 9;
}

/// A fault comes all the same where it is handled, and kills where it is blocked.
static int blocked_fault(void *handled) {
    struct sigaction action = {.sa_handler = catch}, once = {.sa_handler = SIG_DFL, .sa_flags = (int)SA_RESETHAND};
    block_all();
    sigaction(SIGSEGV, handled ? &action : &once, NULL);
    volatile int *volatile nowhere = (volatile int *)8;
    *nowhere = 1;
    return 1;
}

static int dies_in_the_middle(UNUSED void *unused) {
    for (int i = 1; i <= 64; i++) {
        struct action ignored = {1, 0, 0, 0};
        change(i, &ignored, NULL);
        if (i == 40) raise(SIGKILL);
    }
    return 0;
}

/// What a vfork child set before it was killed is not its parent's.
static int killed_child(UNUSED void *unused) {
    block_all();
    for (int i = 0; i < 20; i++) {
        int status = -1, pid = clone(dies_in_the_middle, stack + sizeof stack, CLONE_VM | CLONE_VFORK | SIGCHLD, NULL);
        if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFSIGNALED(status)) return 1;
        struct action now;
        for (int number = 1; number <= 64; number++)
            if (number != 32 && number != 33 && (change(number, NULL, &now) || now.handler != 0)) return 2;
    }
    return 0;
}

/// Ignored while it is blocked, in the program that is executed next.
static int executes(UNUSED void *unused) {
    block_all();
    for (int number = 34; number < 64; number++) {
        struct action ignored = {1, 0, 0, 0};
        change(number, &ignored, NULL);
    }
    execl("/bin/sh", "sh", "-c", "grep -q '^SigIgn:.7ffffffe00000000$' /proc/$$/status", (char *)NULL);
    return 3;
}

/// The mask is what was set, from everywhere and again and again.
static int mask_told(UNUSED void *unused) {
    for (uint64_t i = 0; i < 200; i++) {
        uint64_t wanted = (i * 0x9e3779b97f4a7c15ull) & ~(1ull << (SIGKILL - 1) | 1ull << (SIGSTOP - 1) | 3ull << 31), now = 1;
        syscall(SYS_rt_sigprocmask, SIG_SETMASK, &wanted, NULL, 8);
        for (int j = 0; j < 3; j++)
            if (syscall(SYS_rt_sigprocmask, j, NULL, &now, 8) || now != wanted) return 1;
        if (syscall(SYS_rt_sigprocmask, 77, NULL, &now, 8) || now != wanted) return 2;
        if (syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, NULL, 8)) return 3;
        if (syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &now, 4) != -1 || errno != EINVAL) return 4;
        if (syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, (void *)8, 8) != -1 || errno != EFAULT) return 5;
        if (syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, (void *)0xffffffff81000000, 8) != -1 || errno != EFAULT) return 6;
        if (i % 20 == 0) {
            int pid = fork(), status = -1;
            if (pid == 0) {
                syscall(SYS_rt_sigprocmask, 0, NULL, &now, 8);
                _exit(now != wanted);
            }
            waitpid(pid, &status, 0);
            if (status) return 7;
        }
    }
    return 0;
}

static struct {
    int (*run)(void *);
    void *argument;
} blocked;

static int with_all_blocked(UNUSED void *unused) {
    block_all();
    return blocked.run(blocked.argument);
}

static void check_blocked(const char *name, int (*run)(void *)) {
    blocked.run = run;
    check_child(name, with_all_blocked, NULL, "exit 0");
}

int main(void) {
    check_child("every signal", every_signal, NULL, "exit 0");
    check_child("the wanted and the old one in one place", in_place, NULL, "exit 0");
    check_child("bad places, numbers and sizes", errors, NULL, "exit 0");
    check_child("flags that there are not", unknown_flags, NULL, "exit 0");
    check_child("pending signals that the default ignores", dropped, NULL, "exit 0");
    check_child("threads and children", who_sees_it, NULL, "exit 0");
    check_child("handled, ignored and default again", changes_of_kind, NULL, "signal 10");
    check_blocked("every signal, blocked", every_signal);
    check_blocked("the wanted and the old one in one place, blocked", in_place);
    check_blocked("bad places, numbers and sizes, blocked", errors);
    check_blocked("flags that there are not, blocked", unknown_flags);
    check_blocked("pending signals that the default ignores, blocked", dropped);
    check_blocked("threads and children, blocked", who_sees_it);
    check_child("signals that come after changes", blocked_changes, NULL, "signal 10");
    check_child("a fault that is blocked and handled", blocked_fault, (void *)1, "signal 11");
    check_child("a fault that is blocked", blocked_fault, NULL, "signal 11");
    check_child("a vfork child that is killed", killed_child, NULL, "exit 0");
    check_child("a program executed", executes, NULL, "exit 0");
    check_child("the mask", mask_told, NULL, "exit 0");
    return check_failures != 0;
}
