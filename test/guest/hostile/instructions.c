// Instructions a program may not execute, and odd ways to make a system call.
#include "survive.h"
#include <ucontext.h>

typedef int (*code_function)(void);

/// Copies bytes to executable memory and calls them; gives 0 when they return.
static int run_bytes(void *bytes_and_length) {
    const unsigned char *bytes = bytes_and_length;
    unsigned char *code = map_pages(2, PROT_READ | PROT_WRITE | PROT_EXEC);
    memcpy(code, bytes + 1, bytes[0]);
    code[bytes[0]] = 0xc3;
    ((code_function)(uintptr_t)code)();
    return 0;
}

#define BYTES(...) ((unsigned char[]){sizeof((unsigned char[]){__VA_ARGS__}), __VA_ARGS__})

static volatile int counted;
static void count_fault(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)info;
    counted++;
    // Over the instruction, which is one byte long: one nop behind it goes too.
    ((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP] += 2;
}

/// Every port in steps: each access must fault.
static int port_accesses(void *first) {
    handle(SIGSEGV, count_fault, SA_NODEFER);
    int done = 0;
    for (unsigned port = (unsigned)(long)first; port < 65536; port += 97) {
        __asm__ volatile("xor %%eax, %%eax; outb %%al, %%dx; nop; nop; nop" ::"d"(port) : "eax");
        __asm__ volatile("xor %%eax, %%eax; outl %%eax, %%dx; nop; nop; nop" ::"d"(port) : "eax");
        __asm__ volatile("inl %%dx, %%eax; nop; nop; nop" ::"d"(port) : "eax");
        done += 3;
    }
    return counted == done ? 0 : 77;
}

static int with_flags(void *flags) {
    long result;
    __asm__ volatile("pushf; orq %1, (%%rsp); popf; mov $39, %%eax; syscall; pushf; andq $~0x44100, (%%rsp); popf; cld; mov %%rax, %0"
                     : "=r"(result) : "r"(flags) : "rax", "rcx", "r11", "memory", "cc");
    return result == getpid() ? 0 : 1;
}

static int with_stack(void *stack) {
    long result;
    __asm__ volatile("mov %%rsp, %%rbx; mov %1, %%rsp; mov $39, %%eax; syscall; mov %%rbx, %%rsp; mov %%rax, %0"
                     : "=r"(result) : "r"(stack) : "rax", "rbx", "rcx", "r11", "memory");
    return result == getpid() ? 0 : 77;
}

static int jump(void *address) { return ((code_function)(uintptr_t)address)(); }

static int syscall_at_edge(void *unused) {
    // The last user page cannot be mapped on Linux; the one before it can. A syscall as its last bytes returns
    // to where nothing is.
    (void)unused;
    unsigned char *page = mmap((void *)0x7fffffffe000, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    if (page == MAP_FAILED) return 3;
    page[PAGE - 2] = 0x0f, page[PAGE - 1] = 0x05;
    __asm__ volatile("mov $39, %%eax; jmp *%0" ::"r"(page + PAGE - 2) : "rax", "rcx", "r11");
    return 77;
}

static int syscall_across_pages(void *unused) {
    (void)unused;
    unsigned char *page = map_pages(2, PROT_READ | PROT_WRITE | PROT_EXEC);
    const unsigned char code[] = {0xb8, 39, 0, 0, 0, 0x0f, 0x05, 0xc3};
    memcpy(page + PAGE - 6, code, sizeof code);
    return ((code_function)(uintptr_t)(page + PAGE - 6))() == getpid() ? 0 : 77;
}

static int long_nops(void *unused) {
    (void)unused;
    unsigned char *page = map_pages(2, PROT_READ | PROT_WRITE | PROT_EXEC);
    memset(page, 0x66, 15), page[15] = 0x90;
    ((code_function)(uintptr_t)page)();
    return 0;
}

static int compat_jump(void *unused) {
    (void)unused;
    // A far return into a 32-bit code segment, where `int $0x80` would be the way in.
    unsigned char *low = mmap((void *)0x20000000, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    if (low == MAP_FAILED) return 1;
    const unsigned char code[] = {0xb8, 20, 0, 0, 0, 0xcd, 0x80, 0xf4};
    memcpy(low, code, sizeof code);
    __asm__ volatile("mov %0, %%rsp; pushq $0x23; pushq %1; lretq" ::"r"(low + 2048), "r"((long)low) : "memory");
    return 1;
}

int main(void) {
    const struct { const char *name; unsigned char *bytes; int signal; } faulting[] = {
        {"hlt", BYTES(0xf4), SIGSEGV},
        {"cli", BYTES(0xfa), SIGSEGV},
        {"sti", BYTES(0xfb), SIGSEGV},
        {"rdmsr", BYTES(0x0f, 0x32), SIGSEGV},
        {"wrmsr to LSTAR", BYTES(0xb9, 0x82, 0, 0, 0xc0, 0x0f, 0x30), SIGSEGV},
        {"wrmsr to EFER", BYTES(0xb9, 0x80, 0, 0, 0xc0, 0x0f, 0x30), SIGSEGV},
        {"mov to cr0", BYTES(0x0f, 0x22, 0xc0), SIGSEGV},
        {"mov to cr3", BYTES(0x0f, 0x22, 0xd8), SIGSEGV},
        {"mov from cr3", BYTES(0x0f, 0x20, 0xd8), SIGSEGV},
        {"mov to cr4", BYTES(0x0f, 0x22, 0xe0), SIGSEGV},
        {"mov to dr7", BYTES(0x0f, 0x23, 0xf8), SIGSEGV},
        {"mov to cr8", BYTES(0x44, 0x0f, 0x22, 0xc0), SIGSEGV},
        {"lgdt", BYTES(0x0f, 0x01, 0x14, 0x24), SIGSEGV},
        {"lidt", BYTES(0x0f, 0x01, 0x1c, 0x24), SIGSEGV},
        {"lldt", BYTES(0x31, 0xc0, 0x0f, 0x00, 0xd0), SIGSEGV},
        {"ltr", BYTES(0x31, 0xc0, 0x0f, 0x00, 0xd8), SIGSEGV},
        {"lmsw", BYTES(0x0f, 0x01, 0xf0), SIGSEGV},
        {"clts", BYTES(0x0f, 0x06), SIGSEGV},
        {"invd", BYTES(0x0f, 0x08), SIGSEGV},
        {"wbinvd", BYTES(0x0f, 0x09), SIGSEGV},
        {"invlpg", BYTES(0x0f, 0x01, 0x3c, 0x24), SIGSEGV},
        {"swapgs", BYTES(0x0f, 0x01, 0xf8), SIGSEGV},
        {"sysretq", BYTES(0x48, 0x0f, 0x07), SIGSEGV},
        {"sysexit", BYTES(0x0f, 0x35), SIGSEGV},
        {"xsetbv", BYTES(0x31, 0xc9, 0x31, 0xd2, 0x0f, 0x01, 0xd1), SIGSEGV},
        {"insb", BYTES(0x6c), SIGSEGV},
        {"outsb", BYTES(0x6e), SIGSEGV},
        {"outb to an immediate port", BYTES(0xe6, 0x80), SIGSEGV},
        {"inb from an immediate port", BYTES(0xe4, 0x60), SIGSEGV},
        {"int 0x20", BYTES(0xcd, 0x20), SIGSEGV},
        {"int 8", BYTES(0xcd, 8), SIGSEGV},
        {"int 14", BYTES(0xcd, 14), SIGSEGV},
        {"int 2", BYTES(0xcd, 2), SIGSEGV},
        {"int 0xff", BYTES(0xcd, 0xff), SIGSEGV},
        {"mov to ss of null", BYTES(0x31, 0xc0, 0x8e, 0xd0), SIGSEGV},
        {"mov to ds of a bad selector", BYTES(0x66, 0xb8, 0x78, 0x56, 0x8e, 0xd8), SIGSEGV},
        {"ud2", BYTES(0x0f, 0x0b), SIGILL},
        {"ud1", BYTES(0x0f, 0xb9, 0xc0), SIGILL},
        {"into", BYTES(0xce), SIGILL},
        {"les", BYTES(0xc4, 0x00, 0x00), SIGILL},
        {"pusha", BYTES(0x60), SIGILL},
        {"vmlaunch", BYTES(0x0f, 0x01, 0xc2), SIGILL},
        {"lock on a register", BYTES(0xf0, 0x01, 0xc0), SIGILL},
    };
    for (size_t i = 0; i < COUNT(faulting); i++) dies_of(faulting[i].name, run_bytes, faulting[i].bytes, faulting[i].signal);
    const struct { const char *name; unsigned char *bytes; } any[] = {
        {"int 0x80", BYTES(0xb8, 20, 0, 0, 0, 0xcd, 0x80)},
        {"int 1", BYTES(0xcd, 1)},
        {"int 3 by two bytes", BYTES(0xcd, 3)},
        {"int 4", BYTES(0xcd, 4)},
        {"icebp", BYTES(0xf1)},
        {"sysenter", BYTES(0x0f, 0x34)},
        {"vmcall", BYTES(0x0f, 0x01, 0xc1)},
        {"vmmcall", BYTES(0x0f, 0x01, 0xd9)},
        {"vmrun", BYTES(0x0f, 0x01, 0xd8)},
        {"vmfunc", BYTES(0x0f, 0x01, 0xd4)},
        {"encls", BYTES(0x0f, 0x01, 0xcf)},
        {"enclu", BYTES(0x0f, 0x01, 0xd7)},
        {"rdpmc", BYTES(0x31, 0xc9, 0x0f, 0x33)},
        {"monitor", BYTES(0x0f, 0x01, 0xc8)},
        {"mwait", BYTES(0x0f, 0x01, 0xc9)},
        {"umonitor", BYTES(0xf3, 0x0f, 0xae, 0xf0)},
        {"sgdt", BYTES(0x0f, 0x01, 0x44, 0x24, 0xe0)},
        {"sidt", BYTES(0x0f, 0x01, 0x4c, 0x24, 0xe0)},
        {"str", BYTES(0x0f, 0x00, 0xc8)},
        {"smsw", BYTES(0x0f, 0x01, 0xe0)},
        {"rsm", BYTES(0x0f, 0xaa)},
        {"getsec", BYTES(0x0f, 0x37)},
        {"xrstors", BYTES(0x48, 0x0f, 0xc7, 0x1c, 0x24)},
        {"iretq of nothing", BYTES(0x48, 0xcf)},
        {"far return of nothing", BYTES(0x48, 0xcb)},
        {"far call through memory", BYTES(0xff, 0x1c, 0x24)},
        {"serialize", BYTES(0x0f, 0x01, 0xe8)},
        {"clzero", BYTES(0x48, 0x89, 0xe0, 0x48, 0x2d, 0, 1, 0, 0, 0x0f, 0x01, 0xfc)},
        {"wrpkru", BYTES(0xb8, 0, 0, 0, 0, 0x31, 0xc9, 0x31, 0xd2, 0x0f, 0x01, 0xef)},
        {"wrpkru that denies all", BYTES(0xb8, 0xff, 0xff, 0xff, 0xff, 0x31, 0xc9, 0x31, 0xd2, 0x0f, 0x01, 0xef)},
        {"wrfsbase of a kernel address", BYTES(0x48, 0xb8, 0, 0, 0, 0, 0, 0x80, 0xff, 0xff, 0xf3, 0x48, 0x0f, 0xae, 0xd0)},
        {"wrgsbase of a non-canonical address", BYTES(0x48, 0xb8, 0, 0, 0, 0, 0, 0, 0x80, 0x12, 0xf3, 0x48, 0x0f, 0xae, 0xd8)},
        {"fxrstor of garbage", BYTES(0x0f, 0xae, 0x0c, 0x24)},
        {"a trap flag and a syscall", BYTES(0x9c, 0x81, 0x0c, 0x24, 0, 1, 0, 0, 0x9d, 0xb8, 39, 0, 0, 0, 0x0f, 0x05)},
    };
    for (size_t i = 0; i < COUNT(any); i++) survive(any[i].name, run_bytes, any[i].bytes);
    survive("every kind of port access faults", port_accesses, (void *)0);
    survive("ports from another start", port_accesses, (void *)0x3f0);
    const long flags[] = {0x100, 0x400, 0x4000, 0x40000, 0x200000, 0x1, 0x3000, 0x10000, 0x20000};
    for (size_t i = 0; i < COUNT(flags); i++) {
        char name[64];
        snprintf(name, sizeof name, "a system call with flag %#lx", flags[i]);
        survive(name, with_flags, (void *)flags[i]);
    }
    const long stacks[] = {0, 8, 0x1000, -8, 0x7fffffffffff, (long)0x8000000000000000, (long)0xffff800000000000, 0x123456789abcdef0};
    for (size_t i = 0; i < COUNT(stacks); i++) {
        char name[64];
        snprintf(name, sizeof name, "a system call with the stack at %#lx", stacks[i]);
        survive(name, with_stack, (void *)stacks[i]);
    }
    const long targets[] = {0, 0x1000, 0x7fffffffffff, 0x7ffffffff000, (long)0xffffffffff600000, (long)0xffffffff81000000, (long)0xffff800000000000, (long)0xffffffffffffffff,
                            (long)0x8000000000000000, 0x0000800000000000};
    for (size_t i = 0; i < COUNT(targets); i++) {
        char name[64];
        snprintf(name, sizeof name, "a jump to %#lx", targets[i]);
        dies_of(name, jump, (void *)targets[i], SIGSEGV);
    }
    survive("a system call at the very end of user memory", syscall_at_edge, NULL);
    survive("a system call across two pages", syscall_across_pages, NULL);
    survive("an instruction of sixteen bytes", long_nops, NULL);
    survive("a far return to 32-bit code", compat_jump, NULL);
    check_works("the parent still works");
    return check_done();
}
