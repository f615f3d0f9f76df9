// kinds: static dynamic
// Faults and the siginfo they bring: SIGSEGV (MAPERR, ACCERR, general protection), SIGFPE, SIGILL, SIGTRAP.
#include "fault.h"
#include <fenv.h>
#include <sys/prctl.h>

static void divide_by_zero(void) { __asm__ volatile("xor %%edx, %%edx; mov $1, %%eax; xor %%ecx, %%ecx; idivl %%ecx" ::: "eax", "ecx", "edx"); }
static void divide_overflow(void) { __asm__ volatile("mov $0x80000000, %%eax; cltd; mov $-1, %%ecx; idivl %%ecx" ::: "eax", "ecx", "edx"); }
static void undefined(void) { __asm__ volatile("ud2"); }
static void breakpoint(void) { __asm__ volatile("int3"); }
static void halt(void) { __asm__ volatile("hlt"); }
static void clear_interrupts(void) { __asm__ volatile("cli"); }
static void input(void) { __asm__ volatile("inb $0x80, %%al" ::: "al"); }
static void write_msr(void) { __asm__ volatile("xor %%ecx, %%ecx; wrmsr" ::: "eax", "ecx", "edx"); }
static void load_cr3(void) { __asm__ volatile("mov %%rax, %%cr3" ::: "rax"); }
static void interrupt_32(void) { __asm__ volatile("int $0x20"); }
static void non_canonical_read(void) { __asm__ volatile("movabs $0x8000000000000000, %%rax; mov (%%rax), %%rax" ::: "rax"); }
static void non_canonical_jump(void) { __asm__ volatile("movabs $0x0000900000000000, %%rax; jmp *%%rax" ::: "rax"); }
static void misaligned_sse(void) {
    static char room[64] __attribute__((aligned(16)));
    __asm__ volatile("movaps %%xmm0, 1(%0)" ::"r"(room) : "memory");
}
static void sse_divide(void) {
    uint32_t control = 0x1f80 & ~(1u << 9);
    double zero = 0, one = 1;
    __asm__ volatile("ldmxcsr %0; divsd %2, %1; movl $0x1f80, -4(%%rsp); ldmxcsr -4(%%rsp)" : "+m"(control), "+x"(one) : "x"(zero));
}
static void x87_divide(void) {
    uint16_t control = 0x37f & ~4;
    __asm__ volatile("fninit; fldcw %0; fldz; fld1; fdivp; fwait; fninit" : "+m"(control));
}
static void sse_inexact(void) {
    uint32_t control = 0x1f80 & ~(1u << 12);
    double one = 1, three = 3;
    __asm__ volatile("ldmxcsr %0; divsd %2, %1; movl $0x1f80, -4(%%rsp); ldmxcsr -4(%%rsp)" : "+m"(control), "+x"(one) : "x"(three));
}
static void single_step(void) {
    __asm__ volatile("pushf; orl $0x100, (%%rsp); popf; nop; nop; pushf; andl $~0x100, (%%rsp); popf" ::: "memory", "cc");
}

static struct fault provoke(void (*body)(void)) {
    fault_seen.signal = 0;
    fault_seen.address = NULL;
    if (sigsetjmp(fault_jump, 1) == 0) body();
    __asm__ volatile("fninit");
    uint32_t control = 0x1f80;
    __asm__ volatile("ldmxcsr %0" ::"m"(control));
    return fault_seen;
}

static void expect(const char *name, void (*body)(void), int signal, int code) {
    struct fault got = provoke(body);
    check_report(name, got.signal == signal && got.code == code, "got signal %d code %d trap %d, expected signal %d code %d",
                 got.signal, got.code, (int)got.trap, signal, code);
}

static volatile unsigned long rip_seen, next_seen;
static void note_rip(int signal, siginfo_t *info, void *context) {
    ucontext_t *user = context;
    rip_seen = (unsigned long)user->uc_mcontext.gregs[REG_RIP];
    next_seen = (unsigned long)info->si_addr;
    fault_seen.signal = signal;
    fault_seen.trap = user->uc_mcontext.gregs[REG_TRAPNO];
}

int main(void) {
    catch_faults();
    char *page = map_pages(4, PROT_READ | PROT_WRITE);
    munmap(page + PAGE, PAGE);
    mprotect(page + 2 * PAGE, PAGE, PROT_NONE);
    mprotect(page + 3 * PAGE, PAGE, PROT_READ);
    struct fault got = attempt(page + PAGE + 123, READ);
    check_fault("read of unmapped memory", got, SIGSEGV, SEGV_MAPERR, page + PAGE + 123);
    CHECK_EQ("its error code", got.error, 4);
    CHECK_EQ("its trap number", got.trap, 14);
    got = attempt_store(page + PAGE + 7, 1);
    check_fault("write to unmapped memory", got, SIGSEGV, SEGV_MAPERR, page + PAGE + 7);
    CHECK_EQ("its error code", got.error, 6);
    got = attempt(page + PAGE, EXECUTE);
    check_fault("execution of unmapped memory", got, SIGSEGV, SEGV_MAPERR, page + PAGE);
    CHECK_EQ("its error code", got.error & 0x14, 0x14);
    check_fault("read of PROT_NONE", attempt(page + 2 * PAGE + 5, READ), SIGSEGV, SEGV_ACCERR, page + 2 * PAGE + 5);
    got = attempt_store(page + 3 * PAGE + 9, 1);
    check_fault("write to read-only memory never touched", got, SIGSEGV, SEGV_ACCERR, page + 3 * PAGE + 9);
    got = attempt(page + 3 * PAGE + 9, WRITE);
    check_fault("write to read-only memory just read", got, SIGSEGV, SEGV_ACCERR, page + 3 * PAGE + 9);
    CHECK_EQ("its error code", got.error, 7);
    page[0] = (char)0xc3;
    check_fault("execution of data", attempt(page, EXECUTE), SIGSEGV, SEGV_ACCERR, page);
    check_fault("null pointer", attempt((void *)0, READ), SIGSEGV, SEGV_MAPERR, NULL);
    check_fault("null pointer with an offset", attempt_store((void *)0x18, 1), SIGSEGV, SEGV_MAPERR, (void *)0x18);
    check_fault("write to program text", attempt((void *)(uintptr_t)main, WRITE), SIGSEGV, SEGV_ACCERR, (void *)(uintptr_t)main);
    check_fault("kernel address", attempt((void *)0xffffffff81000000, READ), SIGSEGV, SEGV_MAPERR, (void *)0xffffffff81000000);
    check_fault("the last user page's end", attempt((void *)0x7ffffffff000, READ), SIGSEGV, SEGV_MAPERR, (void *)0x7ffffffff000);
    got = attempt(page + PAGE - 1, READ);
    check_allowed("read up to the last byte", got);
    if (sigsetjmp(fault_jump, 1) == 0) __asm__ volatile("mov (%0), %%rax" ::"r"(page + PAGE - 3) : "rax");
    check_fault("an access across the edge names the edge", fault_seen, SIGSEGV, SEGV_MAPERR, page + PAGE);

    expect("non-canonical address", non_canonical_read, SIGSEGV, SI_KERNEL);
    expect("jump to a non-canonical address", non_canonical_jump, SIGSEGV, SI_KERNEL);
    expect("misaligned movaps", misaligned_sse, SIGSEGV, SI_KERNEL);
    expect("hlt", halt, SIGSEGV, SI_KERNEL);
    expect("cli", clear_interrupts, SIGSEGV, SI_KERNEL);
    expect("in", input, SIGSEGV, SI_KERNEL);
    expect("wrmsr", write_msr, SIGSEGV, SI_KERNEL);
    expect("mov to cr3", load_cr3, SIGSEGV, SI_KERNEL);
    expect("int 0x20", interrupt_32, SIGSEGV, SI_KERNEL);
    got = provoke(halt);
    CHECK("general protection has address 0", got.address == NULL && got.trap == 13);

    expect("integer division by zero", divide_by_zero, SIGFPE, FPE_INTDIV);
    expect("integer division overflow", divide_overflow, SIGFPE, FPE_INTDIV);
    expect("SSE division by zero", sse_divide, SIGFPE, FPE_FLTDIV);
    expect("SSE inexact result", sse_inexact, SIGFPE, FPE_FLTRES);
    expect("x87 division by zero", x87_divide, SIGFPE, FPE_FLTDIV);
    got = provoke(divide_by_zero);
    CHECK("si_addr of SIGFPE is the instruction", (uintptr_t)got.address - (uintptr_t)divide_by_zero < 64 && got.trap == 0);
    expect("ud2", undefined, SIGILL, ILL_ILLOPN);
    got = provoke(undefined);
    CHECK("si_addr of SIGILL is the instruction", (uintptr_t)got.address - (uintptr_t)undefined < 16 && got.trap == 6);
    expect("int3", breakpoint, SIGTRAP, SI_KERNEL);
    expect("single step", single_step, SIGTRAP, TRAP_TRACE);

    handle(SIGTRAP, note_rip, 0);
    extern char after_breakpoint[];
    __asm__ volatile("int3; .globl after_breakpoint; after_breakpoint:");
    CHECK("int3: rip is after the instruction", rip_seen == (unsigned long)after_breakpoint);
    CHECK_EQ("trap number 3", fault_seen.trap, 3);
    prctl(PR_SET_TSC, PR_TSC_ENABLE);
    return check_done();
}
