// Touching memory that may not be touched, and saying which signal came of it.
#pragma once
#include "check.h"
#include <setjmp.h>
#include <ucontext.h>

struct fault {
    int signal, code;
    void *address;
    greg_t error, trap;
};

static sigjmp_buf fault_jump;
static volatile struct fault fault_seen;

UNUSED static void fault_handler(int signal, siginfo_t *info, void *context) {
    ucontext_t *user = context;
    fault_seen.signal = signal;
    fault_seen.code = info->si_code;
    fault_seen.address = info->si_addr;
    fault_seen.error = user->uc_mcontext.gregs[REG_ERR];
    fault_seen.trap = user->uc_mcontext.gregs[REG_TRAPNO];
    siglongjmp(fault_jump, 1);
}

UNUSED static void catch_faults(void) {
    const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP};
    for (size_t i = 0; i < COUNT(signals); i++) handle(signals[i], fault_handler, SA_NODEFER);
}

enum access { READ, WRITE, EXECUTE };

/// Does one access and gives the fault it made (signal 0: none).
UNUSED static struct fault attempt(volatile void *address, enum access access) {
    fault_seen.signal = 0;
    fault_seen.code = 0;
    fault_seen.address = NULL;
    if (sigsetjmp(fault_jump, 1) == 0) {
        if (access == READ) (void)*(volatile char *)address;
        else if (access == WRITE) *(volatile char *)address = *(volatile char *)address;
        else ((void (*)(void))(uintptr_t)address)();
    }
    return fault_seen;
}

/// A write that does not read first.
UNUSED static struct fault attempt_store(volatile void *address, char value) {
    fault_seen.signal = 0;
    if (sigsetjmp(fault_jump, 1) == 0) *(volatile char *)address = value;
    return fault_seen;
}

UNUSED static void check_fault(const char *name, struct fault got, int signal, int code, const volatile void *address) {
    check_report(name, got.signal == signal && got.code == code && got.address == address,
                 "got signal %d code %d address %p, expected signal %d code %d address %p", got.signal, got.code,
                 got.address, signal, code, (void *)address);
}

UNUSED static void check_allowed(const char *name, struct fault got) {
    check_report(name, got.signal == 0, "got signal %d code %d address %p, expected none", got.signal, got.code,
                 got.address);
}
