// Attacks run in children of their own: whatever becomes of those, this process must go on working.
#pragma once
#include "check.h"

/// Runs an attack in a child for 20 seconds at most. The child may end in any way but by being stuck or by a
/// monitor's abort (SIGABRT); exit 77 is the attack's own word for "I got what I must not get".
UNUSED static void survive(const char *name, int (*attack)(void *), void *argument) {
    pid_t child = fork();
    if (child < 0) {
        check_report(name, false, "fork failed, errno %d", errno);
        return;
    }
    if (child == 0) {
        struct rlimit no_core = {0, 0};
        setrlimit(RLIMIT_CORE, &no_core);
        setpgid(0, 0);
        _exit(attack(argument));
    }
    int status = 0;
    pid_t got = 0;
    for (int i = 0; i < 20000 && (got = waitpid(child, &status, WNOHANG)) == 0; i++) sleep_ms(1);
    if (got == 0) {
        kill(child, SIGKILL);
        waitpid(child, &status, 0);
        check_report(name, false, "the child was stuck");
        return;
    }
    bool bad = got != child || (WIFEXITED(status) && WEXITSTATUS(status) == 77) || (WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    check_report(name, !bad, "child ended with %s", describe_status(status));
}

/// As survive, but only these endings will do.
UNUSED static void dies_of(const char *name, int (*attack)(void *), void *argument, int signal) {
    struct rlimit no_core = {0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    int status = in_child(attack, argument);
    check_report(name, WIFSIGNALED(status) && WTERMSIG(status) == signal, "child ended with %s, expected signal %d",
                 describe_status(status), signal);
}

/// Memory, files, processes, threads and signals still work here.
UNUSED static int still_works(void *unused) {
    (void)unused;
    char *memory = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return 1;
    memset(memory, 7, 1 << 20);
    int ends[2];
    if (pipe(ends)) return 2;
    if (write(ends[1], memory, 100) != 100) return 3;
    if (read(ends[0], memory + 4096, 100) != 100 || memory[4096] != 7) return 4;
    pid_t child = fork();
    if (child == 0) _exit(memory[5] == 7 ? 42 : 1);
    int status;
    if (waitpid(child, &status, 0) != child || status != EXITED(42)) return 5;
    close(ends[0]), close(ends[1]);
    return munmap(memory, 1 << 20);
}

UNUSED static void check_works(const char *name) {
    int got = still_works(NULL);
    check_report(name, got == 0, "step %d failed, errno %d", got, errno);
}
