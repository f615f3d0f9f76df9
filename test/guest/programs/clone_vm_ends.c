// Children that share memory and go their own way leave nothing in it when they end.
#include "check.h"
#include <sched.h>

static char stacks[4][65536] __attribute__((aligned(16)));
static volatile int ran;

static int runs(void *unused) {
    (void)unused;
    __atomic_fetch_add(&ran, 1, __ATOMIC_RELAXED);
    return 7;
}
static int waits(void *unused) {
    (void)unused;
    for (;;) pause();
    return 0;
}

int main(void) {
    int right = 0, killed = 0;
    enum { ROUNDS = 900 };  // more than there may be tasks at once
    for (int round = 0; round < ROUNDS; round++) {
        const bool kills = round % 3 == 2;
        pid_t child = clone(kills ? waits : runs, stacks[round % 4] + sizeof stacks[0], CLONE_VM | SIGCHLD, NULL);
        if (child < 0) break;
        if (kills) kill(child, SIGKILL);
        int status;
        if (waitpid(child, &status, 0) != child) break;
        right += WIFEXITED(status) && WEXITSTATUS(status) == 7;
        killed += WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    }
    CHECK_EQ("children that ended by themselves", right, ROUNDS - ROUNDS / 3);
    CHECK_EQ("children that were killed", killed, ROUNDS / 3);
    CHECK_EQ("each ran once", ran, ROUNDS - ROUNDS / 3);
    return check_done();
}
