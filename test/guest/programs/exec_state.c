// kinds: static dynamic
// What an exec keeps and what it resets; exec from a thread that is not the first one.
#include "check.h"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <sys/timerfd.h>

static int after_exec(char **argv) {
    int expected_pid = atoi(argv[2]);
    CHECK_EQ("pid is kept", getpid(), expected_pid);
    CHECK_EQ("the thread is the process's first", (pid_t)syscall(SYS_gettid), expected_pid);
    CHECK("close-on-exec descriptor is closed", fcntl(40, F_GETFD) == -1 && errno == EBADF);
    CHECK("plain descriptor is open", fcntl(41, F_GETFD) == 0);
    struct sigaction action;
    sigaction(SIGUSR1, NULL, &action);
    CHECK("a handler becomes the default", action.sa_handler == SIG_DFL);
    sigaction(SIGUSR2, NULL, &action);
    CHECK("an ignored signal stays ignored", action.sa_handler == SIG_IGN);
    sigset_t set;
    sigprocmask(SIG_BLOCK, NULL, &set);
    CHECK("the mask is kept", sigismember(&set, SIGTERM) == 1 && sigismember(&set, SIGHUP) == 0);
    sigpending(&set);
    CHECK("a pending signal is kept", sigismember(&set, SIGTERM) == 1);
    stack_t stack;
    sigaltstack(NULL, &stack);
    CHECK("the alternate stack is gone", stack.ss_flags == SS_DISABLE);
    struct itimerval timer;
    getitimer(ITIMER_REAL, &timer);
    CHECK("ITIMER_REAL is kept", timer.it_value.tv_sec > 400);
    CHECK_EQ("umask is kept", umask(022), 0123);
    char directory[256], comm[17] = "";
    CHECK("working directory is kept", getcwd(directory, sizeof directory) && strcmp(directory, "/proc") == 0);
    prctl(PR_GET_NAME, comm);
    const char *base = strrchr(argv[3], '/');
    char wanted[16];
    snprintf(wanted, sizeof wanted, "%s", base + 1);
    CHECK_STRING("comm is the file's name", comm, wanted);
    CHECK_EQ("PR_SET_PDEATHSIG is kept", (prctl(PR_GET_PDEATHSIG, &expected_pid), expected_pid), SIGKILL);
    CHECK_EQ("PR_SET_KEEPCAPS is cleared", prctl(PR_GET_KEEPCAPS), 0);
    CHECK_EQ("PR_SET_DUMPABLE is set again", prctl(PR_GET_DUMPABLE), 1);
    CHECK_EQ("PR_SET_TIMERSLACK is kept", prctl(PR_GET_TIMERSLACK), 123456);
    struct rlimit limit;
    getrlimit(RLIMIT_CORE, &limit);
    CHECK_EQ("limits are kept", limit.rlim_cur, 0);
    CHECK_EQ("the timer of timer_create is gone", syscall(SYS_timer_gettime, 0, (char[64]){0}), -1);
    void *list;
    size_t size;
    CHECK("the memory is new", mmap((void *)0x300000000000, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS |
                                    MAP_FIXED_NOREPLACE, -1, 0) == (void *)0x300000000000);
    CHECK_EQ("a robust list is that of the new libc", syscall(SYS_get_robust_list, 0, &list, &size), 0);
    int threads = 0;
    char *status = strstr(read_file("/proc/self/status"), "Threads:");
    if (status) sscanf(status, "Threads: %d", &threads);
    CHECK_EQ("one thread is left", threads, 1);
    return check_done();
}

static char self[4096];

static void nothing(int signal) { (void)signal; }

static void *exec_from_thread(void *mode) {
    char pid[16];
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    snprintf(pid, sizeof pid, "%d", getpid());
    char *const arguments[] = {"exec_state", mode, pid, self, NULL};
    execv(self, arguments);
    _exit(97);
}

static void *sleep_for_ever(void *unused) {
    for (;;) pause();
    return unused;
}

static void prepare(void) {
    int null = open("/dev/null", O_RDWR);
    dup2(null, 40), dup2(null, 41);
    fcntl(40, F_SETFD, FD_CLOEXEC);
    signal(SIGUSR1, nothing), signal(SIGUSR2, SIG_IGN);
    block_signal(SIGTERM);
    kill(getpid(), SIGTERM);
    static char memory[65536];
    stack_t stack = {.ss_sp = memory, .ss_size = sizeof memory};
    sigaltstack(&stack, NULL);
    struct itimerval timer = {.it_value = {500, 0}};
    setitimer(ITIMER_REAL, &timer, NULL);
    umask(0123);
    MUST(chdir("/proc") == 0);
    prctl(PR_SET_NAME, "another");
    prctl(PR_SET_KEEPCAPS, 1);
    prctl(PR_SET_DUMPABLE, 0);
    prctl(PR_SET_TIMERSLACK, 123456);
    struct rlimit limit = {0, 0};
    setrlimit(RLIMIT_CORE, &limit);
    struct sigevent event = {.sigev_notify = SIGEV_NONE};
    timer_t made;
    timer_create(CLOCK_MONOTONIC, &event, &made);
    MUST(mmap((void *)0x300000000000, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) ==
         (void *)0x300000000000);
}

static int plain(void *unused) {
    (void)unused;
    prepare();
    exec_from_thread("--after");
    return 96;
}

static int threaded(void *unused) {
    (void)unused;
    prepare();
    pthread_t thread;
    for (int i = 0; i < 5; i++) pthread_create(&thread, NULL, sleep_for_ever, NULL);
    pthread_create(&thread, NULL, exec_from_thread, "--after");
    for (;;) pause();
    return 0;
}

static pthread_t first;

static void *exec_count(void *unused) {
    (void)unused;
    char *const arguments[] = {"exec_state", "--count", "0", self, NULL};
    execv(self, arguments);
    _exit(97);
}

/// A thread that executes a program is not one that has ended: who waits for it does not go on.
static int joined(void *unused) {
    (void)unused;
    if (pthread_create(&first, NULL, exec_count, NULL)) return 90;
    pthread_join(first, NULL);
    _exit(91);
}

static void check_joined(void) {
    for (int i = 0; i < 20; i++) {
        pid_t child = fork();
        if (child == 0) _exit(joined(NULL));
        int status = -1;
        waitpid(child, &status, 0);
        if (WIFEXITED(status) && WEXITSTATUS(status) == 7) continue;
        check_report("exec by a thread that another waits for", false, "time %d: status %x", i, (unsigned)status);
        return;
    }
    check_report("exec by a thread that another waits for", true, " ");
}

static int failing(void *unused) {
    (void)unused;
    pthread_t thread;
    pthread_create(&thread, NULL, sleep_for_ever, NULL);
    char *const arguments[] = {"x", NULL};
    execv("/nowhere", arguments);
    return errno == ENOENT && tgkill(getpid(), getpid(), 0) == 0 ? 0 : 1;
}

static int deep(void *unused) {
    (void)unused;
    char *const arguments[] = {"exec_state", "--count", "40", self, NULL};
    execv(self, arguments);
    return 96;
}

/// What an exec carries over is not held to the size that files may have.
static int without_files(void *unused) {
    (void)unused;
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_FSIZE, &none);
    char *const arguments[] = {"exec_state", "--count", "3", self, NULL};
    execv(self, arguments);
    return 96;
}

/// Nor is there too much of it: a hundred thousand bytes of filters.
static int with_filters(void *unused) {
    (void)unused;
    static struct sock_filter program[4096];
    for (int i = 0; i < 4095; i++) program[i] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0);
    program[4095] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    const struct sock_fprog filter = {4096, program};
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    for (int i = 0; i < 3; i++)
        if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter)) return 94;
    char *const arguments[] = {"exec_state", "--count", "2", self, NULL};
    execv(self, arguments);
    return 96;
}

int main(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "--after") == 0) return after_exec(argv);
    if (argc > 1 && strcmp(argv[1], "--count") == 0) {
        int left = atoi(argv[2]);
        if (left == 0) return 7;
        char next[16];
        snprintf(next, sizeof next, "%d", left - 1);
        char *const arguments[] = {"exec_state", "--count", next, argv[3], NULL};
        execv(argv[3], arguments);
        return 95;
    }
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    MUST(length > 0);
    check_child("exec from the only thread", plain, NULL, "exit 0");
    check_child("exec from another thread", threaded, NULL, "exit 0");
    check_joined();
    check_child("a failed exec leaves the threads", failing, NULL, "exit 0");
    check_child("forty execs in a row", deep, NULL, "exit 7");
    check_child("exec where no file may be written", without_files, NULL, "exit 7");
    check_child("exec with many filters", with_filters, NULL, "exit 7");
    return check_done();
}
