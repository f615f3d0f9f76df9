// Orphans, subreapers, the parent-death signal, zombies.
#include "check.h"
#include <pthread.h>
#include <sys/prctl.h>

static volatile pid_t *shared;

static int makes_orphan(void *unused) {
    (void)unused;
    pid_t parent = getpid();
    if (fork() == 0) {
        while (getppid() == parent) sleep_ms(1);
        shared[0] = getppid();
        shared[1] = getpid();
        _exit(33);
    }
    return 0;
}

static volatile int signalled;
static void note(int signal, siginfo_t *info, void *context) {
    (void)context;
    signalled = signal;
    shared[4] = info->si_pid;
}

static int child_of_dying_parent(void *unused) {
    (void)unused;
    pid_t child = fork();
    if (child == 0) {
        block_signal(SIGUSR1);
        handle(SIGUSR1, note, 0);
        prctl(PR_SET_PDEATHSIG, SIGUSR1);
        shared[2] = 1;
        sigset_t empty;
        sigemptyset(&empty);
        while (!signalled) sigsuspend(&empty);
        shared[3] = signalled;
        _exit(0);
    }
    while (!shared[2]) sleep_ms(1);
    return 0;
}

static void *forks_and_leaves(void *unused) {
    pid_t child = fork();
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        shared[5] = 1;
        for (;;) pause();
    }
    while (!shared[5]) sleep_ms(1);
    *(pid_t *)unused = child;
    return NULL;
}

int main(void) {
    shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int is = -1;
    CHECK("not a subreaper at first", prctl(PR_GET_CHILD_SUBREAPER, &is) == 0 && is == 0);
    CHECK("becomes one", prctl(PR_SET_CHILD_SUBREAPER, 1) == 0 && prctl(PR_GET_CHILD_SUBREAPER, &is) == 0 && is == 1);
    check_child("makes an orphan", makes_orphan, NULL, "exit 0");
    int status;
    pid_t got = wait(&status);
    CHECK("the orphan came here", shared[0] == getpid() && shared[1] == got);
    check_status("and is reaped here", status, "exit 33");
    pid_t child = fork();
    if (child == 0) _exit(prctl(PR_GET_CHILD_SUBREAPER, &is) || is);
    waitpid(child, &status, 0);
    check_status("the trait is not inherited", status, "exit 0");

    check_child("parent dies before its child", child_of_dying_parent, NULL, "exit 0");
    wait(&status);
    CHECK_EQ("PR_SET_PDEATHSIG delivered", shared[3], SIGUSR1);
    int death = -1;
    prctl(PR_SET_PDEATHSIG, SIGUSR2);
    CHECK("PR_GET_PDEATHSIG", prctl(PR_GET_PDEATHSIG, &death) == 0 && death == SIGUSR2);
    child = fork();
    if (child == 0) _exit(prctl(PR_GET_PDEATHSIG, &death) || death);
    waitpid(child, &status, 0);
    check_status("a child begins without one", status, "exit 0");
    CHECK_ERRNO("PR_SET_PDEATHSIG of no signal", prctl(PR_SET_PDEATHSIG, 65), EINVAL);
    prctl(PR_SET_PDEATHSIG, 0);

    pthread_t thread;
    pid_t child_of_thread = 0;
    pthread_create(&thread, NULL, forks_and_leaves, &child_of_thread);
    pthread_join(thread, NULL);
    waitpid(child_of_thread, &status, 0);
    check_status("PDEATHSIG comes when the forking thread ends", status, "signal 9");

    signal(SIGCHLD, SIG_IGN);
    child = fork();
    if (child == 0) _exit(0);
    CHECK_ERRNO("ignored SIGCHLD reaps by itself", waitpid(child, &status, 0), ECHILD);
    signal(SIGCHLD, SIG_DFL);
    prctl(PR_SET_CHILD_SUBREAPER, 0);
    check_child("makes an orphan again", makes_orphan, NULL, "exit 0");
    for (int i = 0; i < 20000 && shared[1] == got; i++) sleep_ms(1);
    CHECK("that one went elsewhere", shared[0] != getpid());
    return check_done();
}
