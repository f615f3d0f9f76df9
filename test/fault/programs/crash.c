// Makes a process fault as its own code would: `crash PID` sends its first thread to an address where there is nothing.
// A signal sent from outside would be the guest's; this is the monitor's own mistake.
#include <errno.h>
#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>

int main(int count, char **words) {
    const pid_t pid = count == 2 ? atoi(words[1]) : 0;
    struct user_regs_struct registers;
    struct iovec all = {&registers, sizeof registers};
    int status;
    if (pid <= 0 || ptrace(PTRACE_SEIZE, pid, 0, 0) || ptrace(PTRACE_INTERRUPT, pid, 0, 0) || waitpid(pid, &status, __WALL) != pid ||
        ptrace(PTRACE_GETREGSET, pid, (void *)NT_PRSTATUS, &all)) {
        fprintf(stderr, "crash: %s\n", strerror(errno));
        return 1;
    }
#if defined(__x86_64__)
    registers.rip = 16;
    registers.orig_rax = (unsigned long)-1; // no call to make again
#else
    registers.pc = 16;
#endif
    if (ptrace(PTRACE_SETREGSET, pid, (void *)NT_PRSTATUS, &all) || ptrace(PTRACE_DETACH, pid, 0, 0)) {
        fprintf(stderr, "crash: %s\n", strerror(errno));
        return 1;
    }
    return 0;
}
