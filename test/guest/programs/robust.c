// Robust mutexes: the next owner learns that the last one died.
#include "check.h"
#include <linux/futex.h>
#include <pthread.h>

struct area {
    pthread_mutex_t mutex;
    volatile int ready;
};

static struct area *area;

static void make_mutex(void) {
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    memset((void *)area, 0, sizeof *area);
    pthread_mutex_init(&area->mutex, &attributes);
}

static void *lock_and_leave(void *unused) {
    pthread_mutex_lock(&area->mutex);
    return unused;
}

static void *lock_and_raw_exit(void *unused) {
    pthread_mutex_lock(&area->mutex);
    syscall(SYS_exit, 0);
    return unused;
}

static int lock_and_exit(void *unused) {
    pthread_mutex_lock(&area->mutex);
    return unused != NULL;
}

static int lock_and_abort(void *unused) {
    pthread_mutex_lock(&area->mutex);
    *(volatile int *)unused = 1;
    return 0;
}

static int lock_and_exec(void *unused) {
    (void)unused;
    pthread_mutex_lock(&area->mutex);
    execl("/bin/sh", "sh", "-c", "exit 0", (char *)NULL);
    return 1;
}

static void expect_owner_died(const char *name) {
    struct timespec limit;
    clock_gettime(CLOCK_REALTIME, &limit);
    limit.tv_sec += 5;
    CHECK_EQ(name, pthread_mutex_timedlock(&area->mutex, &limit), EOWNERDEAD);
    pthread_mutex_consistent(&area->mutex);
    pthread_mutex_unlock(&area->mutex);
}

int main(void) {
    area = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pthread_t thread;
    make_mutex();
    pthread_create(&thread, NULL, lock_and_leave, NULL);
    pthread_join(thread, NULL);
    expect_owner_died("owner returned from its thread");
    make_mutex();
    pthread_create(&thread, NULL, lock_and_raw_exit, NULL);
    pthread_join(thread, NULL);
    expect_owner_died("owner called exit of one thread");
    make_mutex();
    in_child(lock_and_exit, NULL);
    expect_owner_died("owner's process exited");
    make_mutex();
    in_child(lock_and_exec, NULL);
    expect_owner_died("owner's process called exec");
    make_mutex();
    check_child("owner dies of a fault", lock_and_abort, NULL, "signal 11");
    expect_owner_died("owner died of a fault");

    make_mutex();
    pid_t child = fork();
    if (child == 0) {
        pthread_mutex_lock(&area->mutex);
        area->ready = 1;
        sleep_ms(60);
        _exit(0);
    }
    while (!area->ready) sleep_ms(1);
    expect_owner_died("a waiter is woken when the owner exits");
    waitpid(child, NULL, 0);

    make_mutex();
    in_child(lock_and_exit, NULL);
    CHECK_EQ("lock after death", pthread_mutex_lock(&area->mutex), EOWNERDEAD);
    CHECK_EQ("unlock without making it consistent", pthread_mutex_unlock(&area->mutex), 0);
    CHECK_EQ("then it is lost", pthread_mutex_lock(&area->mutex), ENOTRECOVERABLE);

    struct robust_list_head *head = NULL;
    size_t size = 0;
    CHECK("get_robust_list of oneself", syscall(SYS_get_robust_list, 0, &head, &size) == 0 && head && size == 24);
    CHECK_ERRNO("set_robust_list with a wrong size", syscall(SYS_set_robust_list, head, 12), EINVAL);
    CHECK_ERRNO("get_robust_list of nobody", syscall(SYS_get_robust_list, 0x3ffffff, &head, &size), ESRCH);
    CHECK_EQ("set_tid_address gives the thread", syscall(SYS_set_tid_address, NULL), syscall(SYS_gettid));
    return check_done();
}
