// Private futexes used over and over from the same places, as mutexes and condition variables do: a wake where nobody waits and
// a wait that is about to be over may be answered without the kernel (docs/exitless.md), and must be what the kernel would say.
#include "check.h"
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <sys/time.h>

#define ROUNDS 300

static int word, other;

static long futex(int *at, int operation, int value, const void *fourth, int *second, int last) {
    return syscall(SYS_futex, at, operation, value, fourth, second, last);
}
static int waited, woken;

static void *wait_rounds(UNUSED void *unused) {
    for (int i = 0; i < ROUNDS; i++) {
        long result = futex(&word, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
        if (result == 0) __atomic_add_fetch(&waited, 1, __ATOMIC_SEQ_CST);
        else if (errno != EINTR) return (void *)1;
        while (__atomic_load_n(&woken, __ATOMIC_SEQ_CST) < waited) sched_yield();
    }
    return NULL;
}

/// Every sleeper is found by a wake, at its first word or at the one it was moved to, and each wake tells of one.
static int found(void *moved) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, wait_rounds, NULL)) return 1;
    for (int i = 0; i < ROUNDS; i++) {
        long result = 0;
        if (moved) {
            while ((result = futex(&word, FUTEX_CMP_REQUEUE_PRIVATE, 0, (void *)1L, &other, 0)) == 0) sched_yield();
            if (result != 1 || futex(&word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0) != 0) return 2;
            result = futex(&other, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
        } else {
            while ((result = futex(&word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0)) == 0) sched_yield();
        }
        if (result != 1 || futex(&word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0) != 0) return 3;
        while (__atomic_load_n(&waited, __ATOMIC_SEQ_CST) <= i) sched_yield();
        __atomic_store_n(&woken, i + 1, __ATOMIC_SEQ_CST);
    }
    void *failed;
    pthread_join(thread, &failed);
    return failed || waited != ROUNDS;
}

struct waiter {
    uint64_t value, address;
    uint32_t flags, reserved;
};
#define PRIVATE_32 (2 | 128) // FUTEX2_SIZE_U32, FUTEX2_PRIVATE

static void *wait_at_two(void *unsupported) {
    struct waiter words[2] = {{0, (uint64_t)&word, PRIVATE_32, 0}, {0, (uint64_t)&other, PRIVATE_32, 0}};
    long result = syscall(449, words, 2, 0, NULL, CLOCK_MONOTONIC);
    *(bool *)unsupported = result == -1 && errno == ENOSYS;
    return (void *)result;
}

/// One who waits at two words at once (Linux 5.16).
static int at_two(UNUSED void *unused) {
    bool unsupported = false;
    pthread_t thread;
    void *result;
    if (pthread_create(&thread, NULL, wait_at_two, &unsupported)) return 1;
    long woken_now = 0;
    for (int i = 0; i < 20000 && !woken_now && !unsupported; i++) {
        sched_yield();
        woken_now = futex(&other, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
    }
    if (!unsupported && woken_now != 1) return 2;
    pthread_join(thread, &result);
    return !unsupported && result != (void *)1;
}

static int errors(UNUSED void *unused) {
    char *pages = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(pages + PAGE, PAGE);
    int *gone = (int *)(pages + PAGE);
    struct timespec bad = {0, 1000000000}, negative = {-1, 0}, brief = {0, 50000}, longer = {0, 2000000}, past = {1, 0};
    for (int i = 0; i < ROUNDS; i++) {
        int place = i % 2 ? 0 : 1; // what the word is compared with
        if (futex(&word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0) != 0) return 1;
        if (futex(gone, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0) != 0) return 2;
        if (futex((int *)((char *)&word + 2), FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0) != -1 || errno != EINVAL) return 3;
        if (futex((int *)(1ul << 63), FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0) != -1 || errno != EFAULT) return 4;
        if (futex(&word, FUTEX_WAIT_PRIVATE, 1, NULL, NULL, 0) != -1 || errno != EAGAIN) return 5;
        if (futex(&word, FUTEX_WAIT_BITSET_PRIVATE, 1, NULL, NULL, -1) != -1 || errno != EAGAIN) return 6;
        if (futex(&word, FUTEX_WAIT_BITSET_PRIVATE, 1, NULL, NULL, 0) != -1 || errno != EINVAL) return 7;
        if (futex(&word, FUTEX_WAIT_PRIVATE, place, &bad, NULL, 0) != -1 || errno != EINVAL) return 8;
        if (futex(&word, FUTEX_WAIT_PRIVATE, place, &negative, NULL, 0) != -1 || errno != EINVAL) return 9;
        if (futex(&word, FUTEX_WAIT_PRIVATE, place, (void *)gone, NULL, 0) != -1 || errno != EFAULT) return 10;
        if (futex(gone, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0) != -1 || errno != EFAULT) return 11;
        if (futex((int *)((char *)&word + 1), FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0) != -1 || errno != EINVAL) return 12;
        if (futex(&word, FUTEX_WAIT_BITSET_PRIVATE, 0, &past, NULL, -1) != -1 || errno != ETIMEDOUT) return 13;
        if (futex(&word, FUTEX_WAIT_BITSET_PRIVATE | FUTEX_CLOCK_REALTIME, 0, &past, NULL, -1) != -1 || errno != ETIMEDOUT) return 14;
        if (futex(&word, FUTEX_WAIT_PRIVATE, 0, &brief, NULL, 0) != -1 || errno != ETIMEDOUT) return 15;
        if (i % 8) continue;
        struct timespec before, after;
        clock_gettime(CLOCK_MONOTONIC, &before);
        if (futex(&word, FUTEX_WAIT_PRIVATE, 0, &longer, NULL, 0) != -1 || errno != ETIMEDOUT) return 16;
        clock_gettime(CLOCK_MONOTONIC, &after);
        if ((after.tv_sec - before.tv_sec) * 1000000000 + after.tv_nsec - before.tv_nsec < longer.tv_nsec) return 17;
    }
    return 0;
}

static void *partner(void *rounds) {
    for (long i = 0; i < (long)rounds; i++) {
        while (__atomic_load_n(&word, __ATOMIC_ACQUIRE) == 0) futex(&word, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
        __atomic_store_n(&word, 0, __ATOMIC_RELEASE);
        futex(&word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
    }
    return NULL;
}

static volatile sig_atomic_t ticks;
static void on_tick(UNUSED int number) { ticks++; }

/// Two threads that pass a turn to and fro, while a timer's signals come in between and children are made that do the same.
static int turns(void *rounds_of_each) {
    const long rounds = (long)rounds_of_each;
    struct sigaction action = {.sa_handler = on_tick};
    sigaction(SIGALRM, &action, NULL);
    struct itimerval often = {{0, 3000}, {0, 3000}};
    setitimer(ITIMER_REAL, &often, NULL);
    pthread_t thread;
    pid_t child = -1;
    word = 0;
    if (pthread_create(&thread, NULL, partner, (void *)rounds)) return 1;
    for (long i = 0; i < rounds; i++) {
        if (i == rounds / 2 && rounds > 500) {
            child = fork();
            if (child < 0) return 2;
            if (child == 0) _exit(turns((void *)500L));
        }
        __atomic_store_n(&word, 1, __ATOMIC_RELEASE);
        futex(&word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
        while (__atomic_load_n(&word, __ATOMIC_ACQUIRE) == 1) futex(&word, FUTEX_WAIT_PRIVATE, 1, NULL, NULL, 0);
    }
    pthread_join(thread, NULL);
    setitimer(ITIMER_REAL, &(struct itimerval){0}, NULL);
    int status = 0;
    while (child > 0 && waitpid(child, &status, 0) < 0)
        if (errno != EINTR) return 3;
    return child > 0 ? WEXITSTATUS(status) + WTERMSIG(status) : 0;
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t more = PTHREAD_COND_INITIALIZER, less = PTHREAD_COND_INITIALIZER;
static long queued, taken;
static bool closed;

static void *worker(UNUSED void *unused) {
    pthread_mutex_lock(&lock);
    for (;;) {
        while (!queued && !closed) pthread_cond_wait(&more, &lock);
        if (!queued) break;
        queued--;
        taken++;
        pthread_cond_signal(&less);
    }
    pthread_mutex_unlock(&lock);
    return NULL;
}

/// A queue before five workers: nothing is lost and nobody sleeps for ever.
static int queue(UNUSED void *unused) {
    enum { kWorkers = 5, kJobs = 5000 };
    pthread_t threads[kWorkers];
    for (int i = 0; i < kWorkers; i++)
        if (pthread_create(&threads[i], NULL, worker, NULL)) return 1;
    for (int i = 0; i < kJobs; i++) {
        pthread_mutex_lock(&lock);
        while (queued > 3) pthread_cond_wait(&less, &lock);
        queued++;
        pthread_cond_signal(&more);
        pthread_mutex_unlock(&lock);
    }
    pthread_mutex_lock(&lock);
    closed = true;
    pthread_cond_broadcast(&more);
    pthread_mutex_unlock(&lock);
    for (int i = 0; i < kWorkers; i++) pthread_join(threads[i], NULL);
    return taken != kJobs;
}

/// Woken by vfork children, who have their parent's memory and so its sleepers.
static int from_a_child_in_the_same_memory(UNUSED void *unused) {
    pthread_t sleeper;
    waited = woken = 0;
    __atomic_store_n(&woken, ROUNDS, __ATOMIC_SEQ_CST);
    if (pthread_create(&sleeper, NULL, wait_rounds, NULL)) return 1;
    for (int i = 0; i < 20; i++) {
        pid_t child = vfork();
        if (child < 0) return 2;
        if (child == 0) {
            while (syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0) == 0) syscall(SYS_sched_yield);
            _exit(7);
        }
        int status;
        if (waitpid(child, &status, 0) != child || WEXITSTATUS(status) != 7) return 3;
        while (__atomic_load_n(&waited, __ATOMIC_SEQ_CST) <= i) sched_yield();
    }
    for (int i = 20; i < ROUNDS; i++) {
        while (futex(&word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0) == 0) sched_yield();
        while (__atomic_load_n(&waited, __ATOMIC_SEQ_CST) <= i) sched_yield();
    }
    pthread_join(sleeper, NULL);
    return 0;
}

int main(void) {
    check_child("every sleeper is found", found, NULL, "exit 0");
    check_child("one that was moved is found", found, (void *)1, "exit 0");
    check_child("one who waits at two words", at_two, NULL, "exit 0");
    check_child("errors and time-outs", errors, NULL, "exit 0");
    check_child("turns, signals and children", turns, (void *)4000L, "exit 0");
    check_child("a queue", queue, NULL, "exit 0");
    check_child("a waker that shares the memory", from_a_child_in_the_same_memory, NULL, "exit 0");
    return check_failures != 0;
}
