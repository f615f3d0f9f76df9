// Filters and the place of a call that is made so often that the monitor changes its site: what a filter and a handler of
// SIGSYS are told is the program's own place.
#include "check.h"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <ucontext.h>

// Both forms of a site: the number loaded right in front of the call, and not.
long near_call(void), far_call(long number);
extern const char near_end[], far_end[];
__asm__(".globl near_call, near_end, far_call, far_end\n"
        "near_call: mov $110, %eax\n syscall\nnear_end: ret\n"  // getppid
        "far_call: mov %rdi, %rax\n nop\n syscall\nfar_end: cmp $-4095, %rax\n jae 1f\n1: ret\n");

enum { kTimes = 300, kTrapped = SYS_getpgrp, kBecause = 7 };
static volatile int traps, misplaced;

static void on_trap(int number, siginfo_t *info, void *context) {
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    (void)number;
    traps++;
    if ((uint64_t)registers[REG_RIP] != (uint64_t)far_end || info->si_call_addr != (void *)far_end) misplaced++;
    if (registers[REG_RAX] != kTrapped || info->si_syscall != kTrapped || info->si_errno != kBecause) misplaced++;
    registers[REG_RAX] = 1000 + traps;
}

int main(void) {
    struct sigaction action = {.sa_sigaction = on_trap, .sa_flags = SA_SIGINFO};
    sigaction(SIGSYS, &action, NULL);
    pid_t parent = getppid();
    for (int i = 0; i < kTimes; i++) {
        if (near_call() != parent) CHECK_EQ("a call before there are filters", 0, 1);
        far_call(kTrapped);
    }
    const uint32_t low = (uint32_t)(uintptr_t)near_end, high = (uint32_t)((uintptr_t)near_end >> 32);
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kTrapped, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP | kBecause),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 5),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, instruction_pointer)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, low, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, instruction_pointer) + 4),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, high, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 55),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {COUNT(filter), filter};
    CHECK_EQ("no new privileges", prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    CHECK_EQ("a filter", prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
    int unlike = 0;
    for (int i = 0; i < kTimes; i++) {
        if (near_call() != -55) unlike++;
        if (far_call(SYS_getppid) != parent) unlike++;
        if (far_call(kTrapped) != 1000 + i + 1) unlike++;
    }
    CHECK_EQ("answers by place, and by the handler", unlike, 0);
    CHECK_EQ("each was trapped", traps, kTimes);
    CHECK_EQ("at the program's own place", misplaced, 0);
    return check_done();
}
