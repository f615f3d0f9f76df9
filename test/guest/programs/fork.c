// kinds: static dynamic
// fork: identity, memory, descriptors, what the child inherits and what it does not.
#include "check.h"
#include <pthread.h>
#include <sys/file.h>
#include <sys/time.h>

static int value = 1;
static char *shared;

static int changes_memory(void *parent) {
    value = 2;
    shared[0] = 'c';
    return getppid() == *(pid_t *)parent && getpid() != *(pid_t *)parent ? 0 : 1;
}

static int inherits(void *unused) {
    (void)unused;
    sigset_t set;
    sigpending(&set);
    if (sigismember(&set, SIGUSR1)) return 1;
    sigprocmask(SIG_BLOCK, NULL, &set);
    if (!sigismember(&set, SIGUSR1)) return 2;
    struct itimerval timer;
    getitimer(ITIMER_REAL, &timer);
    if (timer.it_value.tv_sec) return 3;
    struct rusage usage;
    getrusage(RUSAGE_CHILDREN, &usage);
    if (usage.ru_utime.tv_sec || usage.ru_utime.tv_usec) return 4;
    return 0;
}

static int chain(void *depth) {
    long left = (long)depth;
    if (left == 0) return 42;
    int status = in_child(chain, (void *)(left - 1));
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

static int single_thread(void *unused) {
    (void)unused;
    int threads = 0;
    char *status = strstr(read_file("/proc/self/status"), "Threads:");
    if (status) sscanf(status, "Threads: %d", &threads);
    return threads;
}

static atomic_int stop;

static void *busy(void *counter) {
    while (!stop) ++*(volatile long *)counter;
    return NULL;
}

static int order[3], orders;
static void before(void) { order[orders++ % 3] = 1; }
static void in_parent(void) { order[orders++ % 3] = 2; }
static void in_forked(void) { order[orders++ % 3] = 3; }

static int saw_handlers(void *unused) {
    (void)unused;
    return orders == 2 && order[0] == 1 && order[1] == 3 ? 0 : 1;
}

static int many_pages(void *memory) {
    for (size_t i = 0; i < 4096; i++)
        if (((long *)memory)[i * 512] != (long)i) return 1;
    for (size_t i = 0; i < 4096; i++) ((long *)memory)[i * 512] = -1;
    return 0;
}

int main(void) {
    pid_t parent = getpid();
    shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    MUST(shared != MAP_FAILED);
    check_child("child has its own pid and this parent", changes_memory, &parent, "exit 0");
    CHECK_EQ("private memory is the parent's", value, 1);
    CHECK_EQ("shared memory is one", shared[0], 'c');

    block_signal(SIGUSR1);
    kill(getpid(), SIGUSR1);
    struct itimerval timer = {.it_value = {1000, 0}};
    setitimer(ITIMER_REAL, &timer, NULL);
    check_child("mask is inherited; pending signals, timers and usage are not", inherits, NULL, "exit 0");
    check_child("twenty generations", chain, (void *)20, "exit 42");

    enter_directory();
    int fd = open("offset", O_RDWR | O_CREAT, 0600);
    pid_t child = fork();
    if (child == 0) _exit(write(fd, "12345", 5) == 5 ? 0 : 1);
    waitpid(child, NULL, 0);
    CHECK_EQ("file offset is shared", lseek(fd, 0, SEEK_CUR), 5);
    child = fork();
    if (child == 0) _exit(close(fd));
    waitpid(child, NULL, 0);
    CHECK_EQ("the child's close is its own", lseek(fd, 0, SEEK_CUR), 5);
    MUST(flock(fd, LOCK_EX) == 0);
    child = fork();
    if (child == 0) _exit(flock(fd, LOCK_EX | LOCK_NB) == 0 ? 0 : 1);
    int status;
    waitpid(child, &status, 0);
    check_status("flock is inherited", status, "exit 0");
    struct flock range = {.l_type = F_WRLCK};
    MUST(fcntl(fd, F_SETLK, &range) == 0);
    child = fork();
    if (child == 0) _exit(fcntl(fd, F_SETLK, &range) == -1 && errno == EAGAIN ? 0 : 1);
    waitpid(child, &status, 0);
    check_status("record locks are not inherited", status, "exit 0");

    long *memory = mmap(NULL, 16 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (size_t i = 0; i < 4096; i++) memory[i * 512] = (long)i;
    check_child("the child sees 4096 pages and writes them", many_pages, memory, "exit 0");
    bool intact = true;
    for (size_t i = 0; i < 4096; i++) intact &= memory[i * 512] == (long)i;
    CHECK("the parent's pages are intact", intact);

    child = fork();
    if (child == 0) {
        int64_t sum = 0;
        sleep_ms(50);
        for (size_t i = 0; i < 4096; i++) sum += memory[i * 512];
        _exit(sum == 4095 * 4096 / 2 ? 0 : 1);
    }
    for (size_t i = 0; i < 4096; i++) memory[i * 512] = 7;
    waitpid(child, &status, 0);
    check_status("the child does not see later writes of the parent", status, "exit 0");

    pthread_t threads[4];
    long counters[4] = {0};
    for (int i = 0; i < 4; i++) pthread_create(&threads[i], NULL, busy, &counters[i]);
    int right = 0;
    for (int i = 0; i < 20; i++) right += in_child(single_thread, NULL) == EXITED(1);
    CHECK_EQ("a fork beside busy threads has one thread", right, 20);
    stop = 1;
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);

    pthread_atfork(before, in_parent, in_forked);
    check_child("pthread_atfork handlers run in the child", saw_handlers, NULL, "exit 0");
    CHECK("and in the parent", orders == 2 && order[1] == 2);

    pid_t children[100];
    for (int i = 0; i < 100; i++) {
        children[i] = fork();
        if (children[i] == 0) _exit(i);
    }
    right = 0;
    for (int i = 0; i < 100; i++)
        right += waitpid(children[i], &status, 0) == children[i] && status == EXITED(i);
    CHECK_EQ("a hundred children at once", right, 100);
    for (right = 0; right < 200; right++) {
        child = fork();
        if (child == 0) _exit(right & 127);
        if (child < 0 || waitpid(child, &status, 0) != child || status != EXITED(right & 127)) break;
    }
    CHECK_EQ("two hundred in turn", right, 200);
    CHECK_ERRNO("and none is left", wait(NULL), ECHILD);
    return check_done();
}
