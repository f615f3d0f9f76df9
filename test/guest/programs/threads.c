// kinds: static dynamic
// Threads: many in turn, many at once, thread-local storage, cancellation, the last one out.
#include "check.h"
#include <pthread.h>
#include <semaphore.h>
#include <dirent.h>

static __thread long local = 5;
static atomic_int sum;
static pthread_barrier_t barrier;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;

static void *add(void *value) {
    if (local != 5) return (void *)-1L;
    local = (long)value;
    sum += 1;
    return (void *)local;
}

static void *meet(void *value) {
    local = (long)value;
    pthread_barrier_wait(&barrier);
    bool kept = local == (long)value && syscall(SYS_gettid) != getpid();
    pthread_barrier_wait(&barrier);
    return (void *)(long)kept;
}

static void *deep(void *unused) {
    volatile char room[1 << 20];
    for (size_t i = 0; i < sizeof room; i += PAGE) room[i] = 1;
    return unused;
}

static long counter;
static void *count(void *unused) {
    for (int i = 0; i < 20000; i++) {
        pthread_mutex_lock(&mutex);
        counter++;
        pthread_mutex_unlock(&mutex);
    }
    return unused;
}

static int turn;
static void *ping(void *mine) {
    for (int i = 0; i < 500; i++) {
        pthread_mutex_lock(&mutex);
        while (turn % 2 != (int)(long)mine) pthread_cond_wait(&condition, &mutex);
        turn++;
        pthread_cond_broadcast(&condition);
        pthread_mutex_unlock(&mutex);
    }
    return NULL;
}

static atomic_int cleaned;
static void cleanup(void *unused) { cleaned += 1 + (unused != NULL); }
static void *wait_for_cancel(void *unused) {
    pthread_cleanup_push(cleanup, NULL);
    for (;;) pause();
    pthread_cleanup_pop(0);
    return unused;
}

static pthread_key_t key;
static atomic_int destroyed;
static void destroy(void *value) { destroyed += (int)(long)value; }
static void *set_specific(void *unused) {
    pthread_setspecific(key, (void *)7L);
    return unused;
}

static pthread_once_t once = PTHREAD_ONCE_INIT;
static void run_once(void) { sum += 1000; }
static void *call_once(void *unused) {
    pthread_once(&once, run_once);
    return unused;
}

static atomic_int last_out;
static void *outlives(void *main_thread) {
    pthread_join(*(pthread_t *)main_thread, NULL);
    last_out = 1;
    exit(12);
}
static int main_thread_leaves(void *unused) {
    static pthread_t self, other;
    self = pthread_self();
    pthread_create(&other, NULL, outlives, &self);
    pthread_exit(unused);
}

static void *pass_token(void *semaphores) {
    sem_t *pair = semaphores;
    for (int i = 0; i < 1000; i++) sem_wait(&pair[0]), sem_post(&pair[1]);
    return NULL;
}

static int tasks(void) {
    DIR *directory = opendir("/proc/self/task");
    int count = 0;
    for (struct dirent *entry; (entry = readdir(directory));) count += entry->d_name[0] != '.';
    closedir(directory);
    return count;
}

int main(void) {
    pthread_t threads[200];
    void *result;
    long right = 0;
    for (long i = 1; i <= 1000; i++) {
        MUST(pthread_create(&threads[0], NULL, add, (void *)i) == 0);
        pthread_join(threads[0], &result);
        right += result == (void *)i;
    }
    CHECK_EQ("a thousand threads in turn", right, 1000);
    CHECK_EQ("each ran once", sum, 1000);
    CHECK_EQ("thread-local storage of the first thread is its own", local, 5);

    pthread_barrier_init(&barrier, NULL, 201);
    for (long i = 0; i < 200; i++) MUST(pthread_create(&threads[i], NULL, meet, (void *)i) == 0);
    pthread_barrier_wait(&barrier);
    CHECK_EQ("/proc/self/task lists 201", tasks(), 201);
    pthread_barrier_wait(&barrier);
    right = 0;
    for (long i = 0; i < 200; i++) pthread_join(threads[i], &result), right += (long)result;
    CHECK_EQ("two hundred at once", right, 200);

    for (int i = 0; i < 100; i++) {
        pthread_attr_t detached;
        pthread_attr_init(&detached);
        pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
        MUST(pthread_create(&threads[0], &detached, add, (void *)1L) == 0);
    }
    for (int i = 0; i < 20000 && sum < 1100; i++) sleep_ms(1);
    CHECK_EQ("a hundred detached", sum, 1100);
    for (int i = 0; i < 20000 && tasks() > 1; i++) sleep_ms(1);
    CHECK_EQ("/proc/self/task lists one again", tasks(), 1);

    MUST(pthread_create(&threads[0], NULL, deep, NULL) == 0);
    CHECK_EQ("a megabyte of thread stack", pthread_join(threads[0], NULL), 0);
    for (int i = 0; i < 8; i++) pthread_create(&threads[i], NULL, count, NULL);
    for (int i = 0; i < 8; i++) pthread_join(threads[i], NULL);
    CHECK_EQ("a mutex under eight threads", counter, 160000);
    for (long i = 0; i < 2; i++) pthread_create(&threads[i], NULL, ping, (void *)i);
    for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
    CHECK_EQ("a condition variable passes a thousand turns", turn, 1000);

    pthread_create(&threads[0], NULL, wait_for_cancel, NULL);
    pthread_cancel(threads[0]);
    pthread_join(threads[0], &result);
    CHECK("a cancelled thread", result == PTHREAD_CANCELED && cleaned == 1);
    pthread_key_create(&key, destroy);
    pthread_create(&threads[0], NULL, set_specific, NULL);
    pthread_join(threads[0], NULL);
    CHECK_EQ("destructor of a key", destroyed, 7);
    sum = 0;
    for (int i = 0; i < 10; i++) pthread_create(&threads[i], NULL, call_once, NULL);
    for (int i = 0; i < 10; i++) pthread_join(threads[i], NULL);
    CHECK_EQ("pthread_once", sum, 1000);

    sem_t pair[2];
    sem_init(&pair[0], 0, 0), sem_init(&pair[1], 0, 0);
    pthread_create(&threads[0], NULL, pass_token, pair);
    for (int i = 0; i < 1000; i++) sem_post(&pair[0]), sem_wait(&pair[1]);
    CHECK_EQ("semaphores pass a thousand tokens", pthread_join(threads[0], NULL), 0);

    check_child("the first thread leaves, another exits", main_thread_leaves, NULL, "exit 12");
    struct rlimit limit;
    getrlimit(RLIMIT_NPROC, &limit);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    CHECK_EQ("a stack below the minimum is refused", pthread_attr_setstacksize(&attributes, 1000), EINVAL);
    char name[16] = "";
    pthread_setname_np(pthread_self(), "renamed");
    pthread_getname_np(pthread_self(), name, sizeof name);
    CHECK_STRING("pthread_setname_np", name, "renamed");
    size_t size = 0;
    void *low = NULL;
    pthread_getattr_np(pthread_self(), &attributes);
    pthread_attr_getstack(&attributes, &low, &size);
    CHECK("pthread_getattr_np finds this stack", (char *)&size > (char *)low && (char *)&size < (char *)low + size);
    return check_done();
}
