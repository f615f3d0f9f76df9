// Runs a command and makes its N-th host call fail, or kills it there, when a guest asks for it: everything that the guest's
// monitors ask of the kernel goes by here (ptrace), so that the monitor itself holds nothing of it.
//
//   injector [-v] COMMAND [ARGUMENT...]
//
// The guest's words are in failures.h. Exit status: the command's; 97 where something of it is left behind.
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "failures.h"

enum { kTasks = 4096, kLeftBehind = 97, kOptions = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
                                              PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL };

struct task {
    pid_t tid;
    bool waits;     // stopped before its parent's event came
    bool announced; // by its parent's event
    bool answers;   // the call at hand gets `answer`
    long answer;
};
static struct task tasks[kTasks];
static bool verbose;

// What is being injected. One at a time.
static struct {
    bool open, done;
    pid_t owner, child;
    enum failure_side side;
    int failure; // an errno, or 0: SIGKILL
    int at, seen;
} window;

static struct task *find(pid_t tid) {
    for (int i = 0; i < kTasks; i++)
        if (tasks[i].tid == tid) return &tasks[i];
    for (int i = 0; i < kTasks; i++)
        if (!tasks[i].tid) {
            tasks[i] = (struct task){.tid = tid};
            return &tasks[i];
        }
    fprintf(stderr, "injector: too many tasks\n");
    exit(98);
}

static void go_on(pid_t tid, int signal) { ptrace(PTRACE_SYSCALL, tid, 0, signal); }

// The kernel may answer this call with this error.
static bool may_fail(const struct __ptrace_syscall_info *info, int failure) {
    const __uint64_t *a = info->entry.args;
    const bool makes_descriptor =
        info->entry.nr == SYS_openat || info->entry.nr == SYS_memfd_create || info->entry.nr == SYS_pipe2 ||
        info->entry.nr == SYS_dup || (info->entry.nr == SYS_fcntl && (a[1] == F_DUPFD || a[1] == F_DUPFD_CLOEXEC)) ||
        (info->entry.nr == SYS_ioctl && (a[1] == KVM_CREATE_VM || a[1] == KVM_CREATE_VCPU));
    const bool makes_task = info->entry.nr == SYS_clone3 || info->entry.nr == SYS_clone;
    switch (failure) {
    case EMFILE:
    case ENFILE: return makes_descriptor;
    case EAGAIN: return makes_task || info->entry.nr == SYS_execveat;
    case ENOMEM:
        switch (info->entry.nr) {
        case SYS_mmap:
        case SYS_mremap:
        case SYS_mprotect:
        case SYS_madvise:
        case SYS_execveat: return true;
        case SYS_munmap: return false; // only where a mapping is split
        case SYS_ioctl: return _IOC_TYPE(a[1]) == KVMIO && a[1] != KVM_RUN;
        default: return makes_descriptor || makes_task;
        }
    default: return false;
    }
}

static void set_number(pid_t tid, long number, bool result, long value) {
    struct user_regs_struct registers;
    struct iovec all = {&registers, sizeof registers};
    if (ptrace(PTRACE_GETREGSET, tid, (void *)NT_PRSTATUS, &all)) return;
    if (result) registers.rax = (unsigned long)value;
    else registers.orig_rax = (unsigned long)number;
    ptrace(PTRACE_SETREGSET, tid, (void *)NT_PRSTATUS, &all);
}

static void answer(struct task *task, long value) {
    set_number(task->tid, -1, false, 0);
    task->answers = true;
    task->answer = value;
}

// The guest's own words to us. False: none of them.
static bool command(struct task *task, const __uint64_t *a) {
    if ((a[0] & ~0xffull) != FAILURE_MARK) return false;
    const uint32_t value = (uint32_t)a[1];
    switch (a[0] & 0xff) {
    case FAILURE_BEGIN_PARENT:
    case FAILURE_BEGIN_CHILD:
        window.open = true;
        window.done = false;
        window.owner = task->tid;
        window.child = 0;
        window.side = (enum failure_side)(a[0] & 0xff);
        window.failure = (int)(value >> 16);
        window.at = (int)(value & 0xffff);
        window.seen = 0;
        break;
    case FAILURE_END:
        if (task->tid == (window.side == FAILURE_BEGIN_PARENT ? window.owner : window.child)) window.open = false;
        break;
    case FAILURE_RESULT: answer(task, window.done); return true;
    default: return false;
    }
    answer(task, 0);
    return true;
}

static void at_entry(struct task *task, const struct __ptrace_syscall_info *info) {
    if (info->entry.nr == SYS_getpriority && command(task, info->entry.args)) return;
    if (!window.open || task->tid != (window.side == FAILURE_BEGIN_PARENT ? window.owner : window.child)) return;
    if (window.failure && !may_fail(info, window.failure)) return;
    if (++window.seen != window.at) return;
    window.done = true;
    window.open = false;
    if (verbose)
        fprintf(stderr, "injector: %s %d at call %d: %llu(%#llx, %#llx, %#llx)\n", strerrorname_np(window.failure), task->tid,
                window.at, (unsigned long long)info->entry.nr, (unsigned long long)info->entry.args[0],
                (unsigned long long)info->entry.args[1], (unsigned long long)info->entry.args[2]);
    if (window.failure) answer(task, -window.failure);
    else kill(task->tid, SIGKILL);
}

static void at_stop(pid_t tid, int status) {
    struct task *task = find(tid);
    const int signal = WSTOPSIG(status), event = status >> 16;
    if (signal == (SIGTRAP | 0x80)) {
        struct __ptrace_syscall_info info;
        if (ptrace(PTRACE_GET_SYSCALL_INFO, tid, sizeof info, &info) > 0) {
            if (info.op == PTRACE_SYSCALL_INFO_ENTRY) at_entry(task, &info);
            else if (info.op == PTRACE_SYSCALL_INFO_EXIT && task->answers) {
                task->answers = false;
                set_number(tid, 0, true, task->answer);
            }
        }
        return go_on(tid, 0);
    }
    unsigned long made = 0;
    switch (event) {
    case 0: return go_on(tid, signal);
    case PTRACE_EVENT_FORK:
    case PTRACE_EVENT_VFORK:
    case PTRACE_EVENT_CLONE:
        ptrace(PTRACE_GETEVENTMSG, tid, 0, &made);
        if (window.open && tid == window.owner && !window.child) window.child = (pid_t)made;
        struct task *child = find((pid_t)made);
        child->announced = true;
        if (child->waits) go_on(child->tid, 0);
        child->waits = false;
        return go_on(tid, 0);
    case PTRACE_EVENT_STOP:
        if (signal == SIGTRAP) {
            if (task->announced) return go_on(tid, 0);
            task->waits = true;
            return;
        }
        ptrace(PTRACE_LISTEN, tid, 0, 0);
        return;
    default: go_on(tid, 0);
    }
}

int main(int count, char **arguments) {
    int first = 1;
    if (count > 1 && !strcmp(arguments[1], "-v")) verbose = true, first++;
    if (first >= count) return 98;
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    int go[2];
    if (pipe2(go, O_CLOEXEC)) return 98;
    const pid_t command_pid = fork();
    char byte = 0;
    if (command_pid == 0) {
        if (read(go[0], &byte, 1) != 1) _exit(98);
        execvp(arguments[first], arguments + first);
        _exit(98);
    }
    find(command_pid)->announced = true;
    if (ptrace(PTRACE_SEIZE, command_pid, 0, kOptions)) return 98;
    if (write(go[1], &byte, 1) != 1) return 98;
    int end = 98;
    time_t over = 0;
    for (;;) {
        int status;
        const pid_t tid = waitpid(-1, &status, __WALL | (over ? WNOHANG : 0));
        if (tid < 0) return end; // nobody is left
        if (tid == 0) {
            // The command has ended: what it made has to be gone soon.
            if (time(NULL) > over + 10) break;
            usleep(1000);
            continue;
        }
        if (WIFSTOPPED(status)) {
            at_stop(tid, status);
            continue;
        }
        find(tid)->tid = 0;
        if (tid == command_pid) {
            end = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
            over = time(NULL);
        }
    }
    for (int i = 0; i < kTasks; i++)
        if (tasks[i].tid) {
            fprintf(stderr, "injector: left behind: %d\n", tasks[i].tid);
            kill(tasks[i].tid, SIGKILL);
        }
    return kLeftBehind;
}
