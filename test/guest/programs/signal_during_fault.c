// A signal that comes while a fault is on its way: the fault's handler runs first, and what its sa_mask blocks waits
// until it returns. Collectors that learn of writes by mprotect rest on it.
#include "check.h"
#include <ucontext.h>

enum { ROUNDS = 2000 };

static volatile sig_atomic_t nested, arrived;
static volatile char *page;

static void on_fault(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)info, (void)context;
    mprotect((void *)page, PAGE, PROT_READ | PROT_WRITE);
}

static void on_trap(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)info, (void)context;
}

/// The mask it interrupted may not hold the signal itself: it was blocked then.
static void note(int signal, siginfo_t *info, void *context) {
    (void)info;
    arrived++;
    if (sigismember(&((ucontext_t *)context)->uc_sigmask, signal)) nested++;
}

static void catch_with(int signal, void (*handler)(int, siginfo_t *, void *), bool block) {
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_RESTART};
    sigemptyset(&action.sa_mask);
    if (block) sigaddset(&action.sa_mask, SIGUSR1);
    sigaction(signal, &action, NULL);
}

/// A child that sends SIGUSR1 until it is killed, and leaves time to do something between two.
static pid_t start_sender(void) {
    pid_t parent = getpid(), child = fork();
    if (child == 0)
        for (;;) {
            kill(parent, SIGUSR1);
            usleep(200);
        }
    return child;
}

static void stop(pid_t child) {
    kill(child, SIGKILL);
    while (waitpid(child, NULL, 0) < 0 && errno == EINTR) {
    }
}

int main(void) {
    page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    catch_with(SIGUSR1, note, false);
    catch_with(SIGSEGV, on_fault, true);
    pid_t sender = start_sender();
    int written = 0;
    for (int i = 0; i < ROUNDS; i++) {
        mprotect((void *)page, PAGE, PROT_READ);
        *page = (char)i;
        written += *page == (char)i;
    }
    CHECK_EQ("every write was made", written, ROUNDS);
    CHECK_EQ("SIGSEGV's handler: none of what it blocks", nested, 0);

#if defined(__x86_64__)
    catch_with(SIGTRAP, on_trap, true);
    for (int i = 0; i < ROUNDS; i++) __asm__ volatile("int3");
    CHECK_EQ("SIGTRAP's handler: none of what it blocks", nested, 0);
#endif
    int before = arrived;
    for (int i = 0; i < 20000 && arrived == before; i++) usleep(1000);
    CHECK("signals still arrive", arrived != before);
    stop(sender);
    return check_done();
}
