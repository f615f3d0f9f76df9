// kinds: static dynamic
// futex: every operation glibc or others use, within a process and across processes.
#include "check.h"
#include <linux/futex.h>
#include <pthread.h>
#include <sys/time.h>

static long futex(volatile void *word, int operation, uint32_t value, const void *timeout, volatile void *second,
                  uint32_t third) {
    return syscall(SYS_futex, word, operation, value, timeout, second, third);
}

static volatile uint32_t word, other;
static atomic_int woken;

static void *sleeper(void *operation) {
    if (futex(&word, (int)(long)operation, 0, NULL, NULL, FUTEX_BITSET_MATCH_ANY) == 0) woken++;
    return NULL;
}

static void *bit_sleeper(void *bits) {
    if (futex(&word, FUTEX_WAIT_BITSET_PRIVATE, 0, NULL, NULL, (uint32_t)(long)bits) == 0) woken++;
    return NULL;
}

/// Wakes until COUNT sleepers have come back, so that a sleeper that is still on its way is not missed.
static bool wake_all(int operation, int count) {
    for (int i = 0; i < 20000 && woken < count; i++) {
        futex(&word, operation, 1000, NULL, NULL, 0);
        if (woken < count) sleep_ms(1);
    }
    return woken == count;
}

static void *pi_holder(void *ready) {
    futex(&other, FUTEX_LOCK_PI, 0, NULL, NULL, 0);
    *(atomic_int *)ready = 1;
    sleep_ms(50);
    futex(&other, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0);
    return NULL;
}

static void interrupt(int signal) { (void)signal; }

struct shared_area {
    pthread_mutex_t mutex;
    pthread_cond_t condition;
    pthread_barrier_t barrier;
    volatile uint32_t word;
    volatile long counter;
    volatile int turn;
};

static int counts_across(void *area) {
    struct shared_area *shared = area;
    for (int i = 0; i < 5000; i++) {
        pthread_mutex_lock(&shared->mutex);
        shared->counter++;
        pthread_mutex_unlock(&shared->mutex);
    }
    return 0;
}

int main(void) {
    pthread_t threads[10];
    CHECK_ERRNO("WAIT on another value", futex(&word, FUTEX_WAIT_PRIVATE, 1, NULL, NULL, 0), EAGAIN);
    struct timespec brief = {0, 20000000}, invalid = {0, 2000000000};
    uint64_t started = now_ns();
    CHECK_ERRNO("WAIT with a time-out", futex(&word, FUTEX_WAIT_PRIVATE, 0, &brief, NULL, 0), ETIMEDOUT);
    CHECK("that lasted", now_ns() - started >= 20000000);
    CHECK_ERRNO("WAIT with a bad time-out", futex(&word, FUTEX_WAIT_PRIVATE, 0, &invalid, NULL, 0), EINVAL);
    CHECK_ERRNO("WAIT at an odd address", futex((char *)&word + 1, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0), EINVAL);
    CHECK_ERRNO("WAIT at a bad address", futex((void *)0x1000, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0), EFAULT);
    CHECK_ERRNO("an unknown operation", futex(&word, 99, 0, NULL, NULL, 0), ENOSYS);
    CHECK_EQ("WAKE of nobody", futex(&word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0), 0);
    CHECK_ERRNO("WAIT_BITSET with no bits", futex(&word, FUTEX_WAIT_BITSET_PRIVATE, 0, NULL, NULL, 0), EINVAL);
    struct timespec past = {1, 0};
    CHECK_ERRNO("WAIT_BITSET with an absolute time gone by",
                futex(&word, FUTEX_WAIT_BITSET_PRIVATE | FUTEX_CLOCK_REALTIME, 0, &past, NULL, ~0u), ETIMEDOUT);

    const struct { const char *name; int wait, wake; } pairs[] = {
        {"private", FUTEX_WAIT_PRIVATE, FUTEX_WAKE_PRIVATE}, {"shared", FUTEX_WAIT, FUTEX_WAKE}};
    for (size_t i = 0; i < COUNT(pairs); i++) {
        char name[64];
        woken = 0;
        for (int j = 0; j < 10; j++) pthread_create(&threads[j], NULL, sleeper, (void *)(long)pairs[i].wait);
        bool all = wake_all(pairs[i].wake, 10);
        for (int j = 0; j < 10; j++) pthread_join(threads[j], NULL);
        snprintf(name, sizeof name, "ten sleepers, %s", pairs[i].name);
        CHECK(name, all);
    }
    woken = 0;
    pthread_create(&threads[0], NULL, bit_sleeper, (void *)4L);
    sleep_ms(30);
    CHECK_EQ("WAKE_BITSET of other bits", futex(&word, FUTEX_WAKE_BITSET_PRIVATE, 1, NULL, NULL, 3), 0);
    for (int i = 0; i < 20000 && !woken; i++) futex(&word, FUTEX_WAKE_BITSET_PRIVATE, 1, NULL, NULL, 6), sleep_ms(1);
    pthread_join(threads[0], NULL);
    CHECK_EQ("WAKE_BITSET of its bit", woken, 1);

    woken = 0;
    for (int i = 0; i < 5; i++) pthread_create(&threads[i], NULL, sleeper, (void *)(long)FUTEX_WAIT_PRIVATE);
    long moved = 0;
    for (int i = 0; i < 20000 && moved < 5; i++) {
        long got = futex(&word, FUTEX_CMP_REQUEUE_PRIVATE, 0, (void *)100L, &other, 0);
        if (got > 0) moved += got;
        sleep_ms(1);
    }
    CHECK_EQ("CMP_REQUEUE moves five", moved, 5);
    CHECK_ERRNO("CMP_REQUEUE of another value", futex(&word, FUTEX_CMP_REQUEUE_PRIVATE, 0, (void *)100L, &other, 9), EAGAIN);
    CHECK_EQ("and none wakes at the first word", futex(&word, FUTEX_WAKE_PRIVATE, 10, NULL, NULL, 0), 0);
    CHECK_EQ("all wake at the second", futex(&other, FUTEX_WAKE_PRIVATE, 10, NULL, NULL, 0), 5);
    for (int i = 0; i < 5; i++) pthread_join(threads[i], NULL);
    CHECK_EQ("they came back", woken, 5);
    other = 10;
    CHECK_EQ("WAKE_OP", futex(&word, FUTEX_WAKE_OP_PRIVATE, 1, (void *)1L, &other,
                              FUTEX_OP(FUTEX_OP_ADD, 5, FUTEX_OP_CMP_EQ, 10)), 0);
    CHECK_EQ("did its arithmetic", other, 15);

    other = 0;
    atomic_int ready = 0;
    pthread_create(&threads[0], NULL, pi_holder, &ready);
    while (!ready) sleep_ms(1);
    CHECK_ERRNO("TRYLOCK_PI of a held lock", futex(&other, FUTEX_TRYLOCK_PI, 0, NULL, NULL, 0), EAGAIN);
    CHECK_EQ("LOCK_PI waits for the holder", futex(&other, FUTEX_LOCK_PI, 0, NULL, NULL, 0), 0);
    CHECK_EQ("the word holds this thread", other & FUTEX_TID_MASK, (pid_t)syscall(SYS_gettid));
    CHECK_ERRNO("LOCK_PI of one's own", futex(&other, FUTEX_LOCK_PI, 0, NULL, NULL, 0), EDEADLK);
    CHECK_EQ("UNLOCK_PI", futex(&other, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0), 0);
    pthread_join(threads[0], NULL);
    CHECK_ERRNO("UNLOCK_PI of a lock not held", futex(&other, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0), EPERM);

    struct sigaction action = {.sa_handler = interrupt};
    sigaction(SIGALRM, &action, NULL);
    struct itimerval soon = {{0, 20000}, {0, 20000}}, never = {0};  // again, lest the first comes before the wait
    setitimer(ITIMER_REAL, &soon, NULL);
    CHECK_ERRNO("WAIT interrupted by a handler", futex(&word, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0), EINTR);
    setitimer(ITIMER_REAL, &never, NULL);

    struct shared_area *shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pthread_mutexattr_t mutex;
    pthread_condattr_t condition;
    pthread_barrierattr_t barrier;
    pthread_mutexattr_init(&mutex), pthread_mutexattr_setpshared(&mutex, PTHREAD_PROCESS_SHARED);
    pthread_condattr_init(&condition), pthread_condattr_setpshared(&condition, PTHREAD_PROCESS_SHARED);
    pthread_barrierattr_init(&barrier), pthread_barrierattr_setpshared(&barrier, PTHREAD_PROCESS_SHARED);
    pthread_mutex_init(&shared->mutex, &mutex);
    pthread_cond_init(&shared->condition, &condition);
    pthread_barrier_init(&shared->barrier, &barrier, 4);
    for (int i = 0; i < 4; i++)
        if (fork() == 0) _exit(counts_across(shared));
    while (wait(NULL) > 0) {
    }
    CHECK_EQ("a mutex shared by four processes", shared->counter, 20000);
    pid_t child = fork();
    if (child == 0) {
        for (int i = 0; i < 200; i++) {
            pthread_mutex_lock(&shared->mutex);
            while (shared->turn % 2 == 0) pthread_cond_wait(&shared->condition, &shared->mutex);
            shared->turn++;
            pthread_cond_signal(&shared->condition);
            pthread_mutex_unlock(&shared->mutex);
        }
        _exit(0);
    }
    for (int i = 0; i < 200; i++) {
        pthread_mutex_lock(&shared->mutex);
        while (shared->turn % 2 == 1) pthread_cond_wait(&shared->condition, &shared->mutex);
        shared->turn++;
        pthread_cond_signal(&shared->condition);
        pthread_mutex_unlock(&shared->mutex);
    }
    waitpid(child, NULL, 0);
    CHECK_EQ("a condition shared by two processes", shared->turn, 400);
    for (int i = 0; i < 3; i++)
        if (fork() == 0) _exit(pthread_barrier_wait(&shared->barrier) > 0 ? 1 : 0);
    pthread_barrier_wait(&shared->barrier);
    int done = 0;
    while (wait(NULL) > 0) done++;
    CHECK_EQ("a barrier shared by four processes", done, 3);

    child = fork();
    if (child == 0) _exit(futex(&shared->word, FUTEX_WAIT, 0, NULL, NULL, 0) == 0 ? 0 : 1);
    long got = 0;
    for (int i = 0; i < 20000 && got == 0; i++) got = futex(&shared->word, FUTEX_WAKE, 1, NULL, NULL, 0), sleep_ms(1);
    int status;
    waitpid(child, &status, 0);
    check_status("WAKE across processes", status, "exit 0");
    enter_directory();
    int fd = open("file", O_RDWR | O_CREAT, 0600);
    MUST(ftruncate(fd, PAGE) == 0);
    volatile uint32_t *first = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    child = fork();
    if (child == 0) {
        volatile uint32_t *second = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        _exit(futex(second + 5, FUTEX_WAIT, 0, NULL, NULL, 0) == 0 ? 0 : 1);
    }
    for (int i = 0, got = 0; i < 20000 && got == 0; i++) got = (int)futex(first + 5, FUTEX_WAKE, 1, NULL, NULL, 0), sleep_ms(1);
    waitpid(child, &status, 0);
    check_status("WAKE through another mapping of a file", status, "exit 0");

    struct { uint64_t value, address; uint32_t flags, reserved; } waits[2] = {
        {0, (uintptr_t)&word, FUTEX_32 | FUTEX_PRIVATE_FLAG, 0}, {1, (uintptr_t)&other, FUTEX_32 | FUTEX_PRIVATE_FLAG, 0}};
    other = 0;
    CHECK_ERRNO("futex_waitv with one other value", syscall(449, waits, 2, 0, NULL, 0), EAGAIN);
    return check_done();
}
