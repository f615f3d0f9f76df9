// wait4 and waitid: which children, which states, usage, WNOWAIT, errors.
#include "check.h"
#include <linux/wait.h>
#include <sys/times.h>

static pid_t child_exiting(int code) {
    pid_t child = fork();
    if (child == 0) _exit(code);
    return child;
}

static pid_t child_waiting(void) {
    pid_t child = fork();
    if (child == 0) {
        // A group of its own has a parent outside, so it is not orphaned and SIGTSTP stops it.
        if (setpgid(0, 0)) _exit(1);
        for (;;) pause();
    }
    setpgid(child, child);
    return child;
}

static volatile int caught;
static siginfo_t caught_info;
static void on_child(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)context;
    caught_info = *info;
    caught++;
}

// Executes itself so often; nobody's child has used any time then.
static int exec_chain(int left) {
    if (left) {
        char number[16];
        snprintf(number, sizeof number, "%d", left - 1);
        execl("/proc/self/exe", "wait", number, (char *)NULL);
        return 1;
    }
    struct tms times_used;
    struct rusage used;
    if (times(&times_used) == (clock_t)-1 || getrusage(RUSAGE_CHILDREN, &used)) return 2;
    if (times_used.tms_cutime || times_used.tms_cstime) return 3;
    return used.ru_utime.tv_sec || used.ru_utime.tv_usec || used.ru_stime.tv_sec || used.ru_stime.tv_usec ? 4 : 0;
}

static int many_execs(void *times_wanted) { return exec_chain((int)(long)times_wanted); }

int main(int argc, char **argv) {
    if (argc > 1) return exec_chain(atoi(argv[1]));
    int status;
    struct rusage usage;
    siginfo_t info;
    CHECK_ERRNO("no child", waitpid(-1, &status, 0), ECHILD);
    CHECK_ERRNO("no child, WNOHANG", waitpid(-1, &status, WNOHANG), ECHILD);
    CHECK_ERRNO("not a child", waitpid(1, &status, 0), ECHILD);
    CHECK_ERRNO("bad options", wait4(-1, &status, 0x1234567, NULL), EINVAL);
    CHECK_ERRNO("waitid without a state", waitid(P_ALL, 0, &info, 0), EINVAL);
    CHECK_ERRNO("waitid of a bad kind", waitid(77, 0, &info, WEXITED), EINVAL);

    pid_t child = child_exiting(7);
    CHECK_EQ("waitid WNOWAIT finds the child", waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT), 0);
    CHECK("its siginfo", info.si_pid == child && info.si_signo == SIGCHLD && info.si_code == CLD_EXITED &&
                             info.si_status == 7 && info.si_uid == getuid());
    CHECK("it is a zombie", task_state(child) == 'Z');
    CHECK_EQ("kill of a zombie", kill(child, 0), 0);
    CHECK_EQ("then wait4 takes it", wait4(child, &status, 0, &usage), child);
    CHECK_EQ("its status", status, EXITED(7));
    CHECK_ERRNO("and it is gone", waitpid(child, &status, 0), ECHILD);
    CHECK_ERRNO("gone for kill", kill(child, 0), ESRCH);

    child = child_waiting();
    CHECK_EQ("WNOHANG while it runs", waitpid(child, &status, WNOHANG), 0);
    info.si_pid = 99;
    CHECK("waitid WNOHANG clears si_pid", waitid(P_PID, (id_t)child, &info, WEXITED | WNOHANG) == 0 && info.si_pid == 0);
    kill(child, SIGSTOP);
    CHECK_EQ("WUNTRACED sees the stop", waitpid(child, &status, WUNTRACED), child);
    CHECK("as stopped by SIGSTOP", WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
    CHECK_EQ("a stop is reported once", waitpid(child, &status, WUNTRACED | WNOHANG), 0);
    kill(child, SIGCONT);
    CHECK_EQ("WCONTINUED", waitpid(child, &status, WCONTINUED), child);
    CHECK("is continued", WIFCONTINUED(status));
    kill(child, SIGTSTP);
    CHECK("waitid WSTOPPED", waitid(P_PID, (id_t)child, &info, WSTOPPED) == 0 && info.si_code == CLD_STOPPED &&
                                 info.si_status == SIGTSTP);
    kill(child, SIGCONT);
    CHECK("waitid WCONTINUED", waitid(P_PID, (id_t)child, &info, WCONTINUED) == 0 && info.si_code == CLD_CONTINUED &&
                                   info.si_status == SIGCONT);
    kill(child, SIGKILL);
    CHECK("waitid of a killed one", waitid(P_PID, (id_t)child, &info, WEXITED) == 0 && info.si_code == CLD_KILLED &&
                                        info.si_status == SIGKILL);

    struct rlimit no_core = {0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    const int deadly[] = {SIGHUP, SIGINT, SIGQUIT, SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGKILL, SIGUSR1, SIGSEGV,
                          SIGUSR2, SIGPIPE, SIGALRM, SIGTERM, SIGSTKFLT, SIGXCPU, SIGXFSZ, SIGVTALRM, SIGPROF, SIGIO,
                          SIGPWR, SIGSYS, 34, 64};
    int right = 0;
    for (size_t i = 0; i < COUNT(deadly); i++) {
        child = child_waiting();
        kill(child, deadly[i]);
        waitpid(child, &status, 0);
        right += WIFSIGNALED(status) && WTERMSIG(status) == deadly[i] && !WCOREDUMP(status);
    }
    CHECK_EQ("every deadly signal is the status", right, COUNT(deadly));
    const int harmless[] = {SIGCHLD, SIGURG, SIGWINCH, SIGCONT};
    right = 0;
    for (size_t i = 0; i < COUNT(harmless); i++) {
        child = child_waiting();
        kill(child, harmless[i]);
        sleep_ms(5);
        right += waitpid(child, &status, WNOHANG) == 0;
        kill(child, SIGKILL);
        waitpid(child, &status, 0);
    }
    CHECK_EQ("signals ignored by default do nothing", right, COUNT(harmless));

    child = fork();
    if (child == 0) {
        char *memory = map_pages(5000, PROT_READ | PROT_WRITE);
        for (int i = 0; i < 5000; i++) memory[(size_t)i * PAGE] = 1;
        // So much of the processor's time, however long that takes.
        struct timespec used;
        do clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
        while (used.tv_sec == 0 && used.tv_nsec < 60000000);
        _exit(0);
    }
    CHECK_EQ("wait4 with usage", wait4(child, &status, 0, &usage), child);
    long spent = usage.ru_utime.tv_usec + usage.ru_stime.tv_usec + 1000000 * (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec);
    CHECK("its time was counted", spent >= 20000 && spent < 60000000);
    CHECK("its largest size was counted", usage.ru_maxrss >= 20000);
    struct rusage all;
    getrusage(RUSAGE_CHILDREN, &all);
    CHECK("RUSAGE_CHILDREN holds it", all.ru_maxrss >= usage.ru_maxrss);
    CHECK_EQ("RUSAGE_THREAD answers", getrusage(RUSAGE_THREAD, &all), 0);

    child = fork();
    if (child == 0) {
        setpgid(0, 0);
        _exit(3);
    }
    setpgid(child, child);
    CHECK_EQ("wait for a process group", waitpid(-child, &status, 0), child);
    child = child_exiting(4);
    CHECK_EQ("wait for one's own group", waitpid(0, &status, 0), child);
    child = child_exiting(5);
    CHECK("waitid P_PGID", waitid(P_PGID, (id_t)getpgrp(), &info, WEXITED) == 0 && info.si_status == 5);

    pid_t first = child_waiting(), second = child_exiting(6);
    CHECK_EQ("any child: the one that ended", waitpid(-1, &status, 0), second);
    handle(SIGCHLD, on_child, 0);
    kill(first, SIGTERM);
    while (!caught) sleep_ms(1);
    CHECK("SIGCHLD's siginfo", caught_info.si_pid == first && caught_info.si_code == CLD_KILLED &&
                                   caught_info.si_status == SIGTERM && caught_info.si_uid == getuid());
    CHECK_EQ("the zombie is still there", waitpid(first, &status, 0), first);
    CHECK_EQ("the raw call may leave the pointers out", (child = child_exiting(0), syscall(SYS_waitid, P_PID, child, NULL, WEXITED, NULL)), 0);
    child = child_exiting(1);
    CHECK_ERRNO("a bad status pointer", syscall(SYS_wait4, child, (void *)8, 0, NULL), EFAULT);
    CHECK_ERRNO("has reaped all the same", waitpid(child, NULL, 0), ECHILD);
    check_child("a process that executed 60 times has no children's time", many_execs, (void *)60, "exit 0");
    return check_done();
}
