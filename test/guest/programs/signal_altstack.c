// sigaltstack: delivery on it, its flags, nesting, stack overflow, one a thread.
#include "fault.h"
#include <pthread.h>
#include <sys/auxv.h>

static char memory[65536] __attribute__((aligned(16)));
static volatile char *seen_stack;
static stack_t seen;
static volatile int depth, deepest, change_error;

static bool on_alternate(volatile void *address) { return (char *)address >= memory && (char *)address < memory + sizeof memory; }

static void note(int signal, siginfo_t *info, void *context) {
    (void)info;
    char here;
    seen_stack = &here;
    seen = ((ucontext_t *)context)->uc_stack;
    stack_t now;
    sigaltstack(NULL, &now);
    depth++;
    if (depth > deepest) deepest = depth;
    stack_t other = {.ss_sp = memory, .ss_size = sizeof memory};
    change_error = sigaltstack(&other, NULL) == 0 ? 0 : errno;
    if (signal == SIGUSR1 && depth < 3) raise(SIGUSR1);
    depth--;
}

static volatile int autodisarmed;
static void note_disarmed(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)info, (void)context;
    stack_t now;
    sigaltstack(NULL, &now);
    char here;
    autodisarmed = on_alternate(&here) && now.ss_flags == SS_DISABLE;
}

static volatile unsigned overflow_depth;
static __attribute__((noinline)) int recurse(int level) {
    volatile char room[4096];
    room[0] = (char)level;
    overflow_depth = (unsigned)level;
    if (level < 0) return 0;
    return recurse(level + 1) + room[0];
}

static void *thread_stack(void *unused) {
    stack_t none;
    sigaltstack(NULL, &none);
    bool fresh = none.ss_flags == SS_DISABLE;
    char *own = malloc(32768);
    stack_t mine = {.ss_sp = own, .ss_size = 32768};
    sigaltstack(&mine, NULL);
    pthread_kill(pthread_self(), SIGUSR2);
    bool there = seen_stack >= own && seen_stack < own + 32768;
    return (void *)(long)(fresh && there && unused == NULL);
}

int main(void) {
    stack_t stack = {.ss_sp = memory, .ss_size = sizeof memory}, old;
    sigaltstack(NULL, &old);
    CHECK("none at first", old.ss_flags == SS_DISABLE);
    handle(SIGUSR1, note, SA_ONSTACK | SA_NODEFER);
    handle(SIGUSR2, note, SA_ONSTACK);
    handle(SIGHUP, note, 0);
    raise(SIGUSR2);
    CHECK("without one the handler runs on the stack", !on_alternate(seen_stack));
    MUST(sigaltstack(&stack, NULL) == 0);
    raise(SIGUSR2);
    CHECK("SA_ONSTACK handler runs on it", on_alternate(seen_stack));
    CHECK("uc_stack tells it", seen.ss_sp == memory && seen.ss_size == sizeof memory);
    CHECK_EQ("changing it there is refused", change_error, EPERM);
    raise(SIGHUP);
    CHECK("a handler without SA_ONSTACK does not", !on_alternate(seen_stack));
    raise(SIGUSR1);
    CHECK_EQ("nested deliveries stay on it", deepest, 3);
    sigaltstack(NULL, &old);
    CHECK("it is as it was", old.ss_sp == memory && old.ss_flags == 0);
    stack_t small = {.ss_sp = memory, .ss_size = 1000};
    CHECK_ERRNO("too small", sigaltstack(&small, NULL), ENOMEM);
    stack_t odd = {.ss_sp = memory, .ss_size = sizeof memory, .ss_flags = 77};
    CHECK_ERRNO("bad flags", sigaltstack(&odd, NULL), EINVAL);

    MUST(getauxval(51) > 0);
    stack_t disarming = {.ss_sp = memory, .ss_size = sizeof memory, .ss_flags = (int)(1u << 31)};
    CHECK_EQ("SS_AUTODISARM is taken", sigaltstack(&disarming, NULL), 0);
    handle(SIGUSR2, note_disarmed, SA_ONSTACK);
    raise(SIGUSR2);
    CHECK("it is disarmed in the handler", autodisarmed == 1);
    sigaltstack(NULL, &old);
    CHECK("and armed again after it", old.ss_sp == memory && old.ss_flags == (int)(1u << 31));
    handle(SIGUSR2, note, SA_ONSTACK);
    sigaltstack(&stack, NULL);

    struct sigaction action = {.sa_sigaction = fault_handler, .sa_flags = SA_ONSTACK | SA_SIGINFO | SA_NODEFER};
    sigaction(SIGSEGV, &action, NULL);
    volatile int overflows = 0;
    for (volatile int i = 0; i < 3; i++)
        if (sigsetjmp(fault_jump, 1) == 0) recurse(0);
        else overflows += fault_seen.signal == SIGSEGV && overflow_depth > 1500;
    CHECK_EQ("three stack overflows are survived", overflows, 3);

    pthread_t thread;
    void *result;
    pthread_create(&thread, NULL, thread_stack, NULL);
    pthread_join(thread, &result);
    CHECK("each thread has one of its own", result == (void *)1);
    pid_t child = fork();
    if (child == 0) {
        sigaltstack(NULL, &old);
        raise(SIGUSR2);
        _exit(old.ss_sp == memory && on_alternate(seen_stack) ? 0 : 1);
    }
    int status;
    waitpid(child, &status, 0);
    check_status("a forked child inherits it", status, "exit 0");

    signal(SIGSEGV, SIG_DFL);
    stack_t off = {.ss_flags = SS_DISABLE};
    sigaltstack(&off, NULL);
    handle(SIGSEGV, fault_handler, 0);
    child = fork();
    if (child == 0) {
        struct rlimit no_core = {0, 0};
        setrlimit(RLIMIT_CORE, &no_core);
        recurse(0);
        _exit(0);
    }
    waitpid(child, &status, 0);
    check_status("overflow without one kills", status, "signal 11");
    child = fork();
    if (child == 0) {
        struct rlimit no_core = {0, 0};
        setrlimit(RLIMIT_CORE, &no_core);
        signal(SIGSEGV, SIG_DFL);
        char *bad = map_pages(16, PROT_NONE);
        stack_t unusable = {.ss_sp = bad, .ss_size = 16 * PAGE};
        sigaltstack(&unusable, NULL);
        handle(SIGUSR2, note, SA_ONSTACK);
        raise(SIGUSR2);
        _exit(0);
    }
    waitpid(child, &status, 0);
    check_status("a frame that cannot be written kills by SIGSEGV", status, "signal 11");
    return check_done();
}
