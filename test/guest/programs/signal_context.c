// The context a handler is given: every register is in it, and what the handler changes takes effect.
#include "check.h"
#include <setjmp.h>
#include <ucontext.h>

static volatile greg_t seen[23];
static volatile unsigned long flags_seen;
static void record(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)info;
    ucontext_t *user = context;
    flags_seen = user->uc_flags;
    for (int i = 0; i < 23; i++) seen[i] = user->uc_mcontext.gregs[i];
    user->uc_mcontext.gregs[REG_RIP] += 2;
}

static void skip_to(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)info;
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    registers[REG_RIP] = registers[REG_RBX];
    registers[REG_RAX] = 0x1122334455667788;
    registers[REG_R15] = 77;
    registers[REG_EFL] |= 0x1; // the carry flag
}

static void open_mask(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)info;
    sigaddset(&((ucontext_t *)context)->uc_sigmask, SIGTERM);
    sigdelset(&((ucontext_t *)context)->uc_sigmask, SIGHUP);
}

static sigjmp_buf jump;
static void leap(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)info, (void)context;
    siglongjmp(jump, 5);
}

static ucontext_t main_context, other_context;
static char other_stack[65536];
static volatile int switches;
static void coroutine(int first, int second) {
    for (int i = 0; i < first + second; i++) {
        switches++;
        swapcontext(&other_context, &main_context);
    }
}

static void evil(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)info;
    ucontext_t *user = context;
    user->uc_mcontext.gregs[REG_EFL] |= 0x3000 | 0x20000 | 0x4000 | 0x100000; // IOPL, VM, NT, VIP
    user->uc_mcontext.gregs[REG_EFL] &= ~0x200;                                // interrupts off
}

static int with_bad_context(void *kind) {
    struct rlimit no_core = {0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    // sigreturn with the stack pointer on something that is no frame.
    if ((long)kind == 0) __asm__ volatile("mov $15, %%eax; mov $64, %%rsp; syscall" ::: "rax", "rcx", "r11", "memory");
    static char zeros[8192] __attribute__((aligned(64)));
    if ((long)kind == 1) __asm__ volatile("mov $15, %%eax; mov %0, %%rsp; syscall" ::"r"(zeros + 4096) : "rax", "rcx", "r11", "memory");
    return 0;
}

static void bad_segment(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)info;
    ((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP] = (greg_t)0xffff800000000000;
}
static int returns_to_kernel(void *unused) {
    struct rlimit no_core = {0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    handle(SIGUSR1, bad_segment, 0);
    raise(SIGUSR1);
    return unused != NULL;
}

int main(void) {
    handle(SIGILL, record, 0);
    unsigned long stack_at = 0, rip = 0, flags = 0;
    __asm__ volatile(
        "mov %%rsp, %0\n"
        "push %%rbx\npush %%rbp\npush %%r12\npush %%r13\npush %%r14\npush %%r15\n"
        "mov $0xb1, %%ebx\nmov $0xb2, %%ebp\nmov $0xc, %%r12d\nmov $0xd, %%r13d\nmov $0xe, %%r14d\nmov $0xf, %%r15d\n"
        "mov $0xa1, %%eax\nmov $0xa2, %%ecx\nmov $0xa3, %%edx\nmov $0xa4, %%esi\nmov $0xa5, %%edi\n"
        "mov $8, %%r8d\nmov $9, %%r9d\nmov $10, %%r10d\nmov $11, %%r11d\nstc\n"
        "ud2\n"
        "pushf\npop %%rax\n"
        "pop %%r15\npop %%r14\npop %%r13\npop %%r12\npop %%rbp\npop %%rbx\n"
        "mov %%rax, %2\nlea 0(%%rip), %%rax\nmov %%rax, %1\n"
        : "=m"(stack_at), "=m"(rip), "=m"(flags)
        :
        : "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "memory", "cc");
    const struct { int index; greg_t value; const char *name; } registers[] = {
        {REG_RAX, 0xa1, "rax"}, {REG_RBX, 0xb1, "rbx"}, {REG_RCX, 0xa2, "rcx"}, {REG_RDX, 0xa3, "rdx"},
        {REG_RSI, 0xa4, "rsi"}, {REG_RDI, 0xa5, "rdi"}, {REG_RBP, 0xb2, "rbp"}, {REG_R8, 8, "r8"},
        {REG_R9, 9, "r9"}, {REG_R10, 10, "r10"}, {REG_R11, 11, "r11"}, {REG_R12, 12, "r12"},
        {REG_R13, 13, "r13"}, {REG_R14, 14, "r14"}, {REG_R15, 15, "r15"}};
    for (size_t i = 0; i < COUNT(registers); i++) {
        char name[32];
        snprintf(name, sizeof name, "context holds %s", registers[i].name);
        CHECK_EQ(name, seen[registers[i].index], registers[i].value);
    }
    CHECK_EQ("context holds rsp", seen[REG_RSP], stack_at - 48);
    CHECK("context holds rip", rip - (unsigned long)seen[REG_RIP] < 64);
    CHECK("context holds the flags", (seen[REG_EFL] & 1) && (seen[REG_EFL] & 0x200));
    CHECK("flags are restored", (flags & 1) && (flags & 0x200));
    CHECK_EQ("cs, ss", seen[REG_CSGSFS] & 0xffff, 0x33);
    CHECK_EQ("ss is in the frame", (uint64_t)seen[REG_CSGSFS] >> 48, 0x2b);
    CHECK_EQ("uc_flags: extended state, ss", flags_seen, 7);

    handle(SIGILL, skip_to, 0);
    unsigned long result = 0, fifteen = 0;
    unsigned char carry = 0;
    __asm__ volatile("lea 1f(%%rip), %%rbx\nclc\nud2\nmov $1, %%eax\nud2\n1: setc %2\nmov %%rax, %0\nmov %%r15, %1"
                     : "=m"(result), "=m"(fifteen), "=m"(carry) : : "rax", "rbx", "r15", "cc", "memory");
    CHECK_EQ("a handler can move rip and set rax", result, 0x1122334455667788);
    CHECK_EQ("and r15", fifteen, 77);
    CHECK_EQ("and flags", carry, 1);

    handle(SIGUSR1, open_mask, 0);
    block_signal(SIGHUP);
    raise(SIGUSR1);
    sigset_t mask;
    sigprocmask(SIG_BLOCK, NULL, &mask);
    CHECK("a handler can change the mask it returns to", sigismember(&mask, SIGTERM) == 1 && sigismember(&mask, SIGHUP) == 0);
    handle(SIGUSR2, evil, 0);
    raise(SIGUSR2);
    __asm__ volatile("pushf\npop %0" : "=r"(flags));
    CHECK_EQ("privileged flags cannot be set so", flags & 0x1a3200, 0x200);
    CHECK("nor by popf", ({ __asm__ volatile("pushf\norl $0x3000, (%%rsp)\npopf\npushf\npop %0" : "=r"(flags)); (flags & 0x3000) == 0; }));

    handle(SIGUSR1, leap, 0);
    volatile int leaps = 0;
    for (volatile int i = 0; i < 1000; i++)
        if (sigsetjmp(jump, 1) == 0) raise(SIGUSR1);
        else leaps++;
    CHECK_EQ("a thousand siglongjmps out of a handler", leaps, 1000);
    getcontext(&other_context);
    other_context.uc_stack.ss_sp = other_stack, other_context.uc_stack.ss_size = sizeof other_stack;
    other_context.uc_link = &main_context;
    makecontext(&other_context, (void (*)(void))coroutine, 2, 600, 400);
    for (int i = 0; i < 1000; i++) swapcontext(&main_context, &other_context);
    CHECK_EQ("a thousand swapcontexts", switches, 1000);
    check_child("sigreturn without a readable frame", with_bad_context, (void *)0L, "signal 11");
    check_child("sigreturn of a frame of zeros", with_bad_context, (void *)1L, "signal 11");
    check_child("a handler that returns to a kernel address", returns_to_kernel, NULL, "signal 11");
    return check_done();
}
