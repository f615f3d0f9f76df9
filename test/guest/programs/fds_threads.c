// Threads that open, close and make more threads at once: no call fails that another thread's made fail, whatever the limits are.
#include "check.h"
#include <pthread.h>
#include <sys/epoll.h>

static atomic_int stop, failures;
static void *opens(void *unused) {
    (void)unused;
    while (!stop) {
        const int fd = open("/dev/null", O_RDONLY);
        if (fd < 0 || close(fd)) failures++;
    }
    return NULL;
}
static void *opens_once(void *unused) {
    (void)unused;
    usleep(1000);
    const int fd = open("/proc/self/stat", O_RDONLY);
    if (fd < 0 || close(fd)) failures++;
    return NULL;
}
static void *waits(void *unused) {
    (void)unused;
    while (!stop) usleep(1000);
    return NULL;
}

static int beside_each_other(void *limit) {
    const rlim_t hard = (rlim_t)limit;
    if (setrlimit(RLIMIT_NOFILE, &(struct rlimit){hard < 1024 ? hard : 1024, hard})) return 1;
    pthread_t threads[6];
    for (size_t i = 0; i < COUNT(threads); i++)
        if (pthread_create(&threads[i], NULL, opens, NULL)) return 2;
    for (int i = 0; i < 20; i++) {
        pthread_t once;
        if (pthread_create(&once, NULL, opens_once, NULL) || pthread_join(once, NULL)) return 3;
    }
    stop = 1;
    for (size_t i = 0; i < COUNT(threads); i++) pthread_join(threads[i], NULL);
    return failures ? 4 : 0;
}

/// As many threads as there may be leave room for what every one of them does.
static int with_all_threads(void *limit) {
    const rlim_t hard = (rlim_t)limit;
    if (setrlimit(RLIMIT_NOFILE, &(struct rlimit){hard, hard})) return 1;
    pthread_t threads[80];
    size_t made = 0;
    while (made < COUNT(threads) && pthread_create(&threads[made], NULL, waits, NULL) == 0) made++;
    const int fd = open("/dev/null", O_RDONLY);
    const bool opened = fd >= 0 && fcntl(fd, F_GETFD) == 0 && close(fd) == 0;
    stop = 1;
    for (size_t i = 0; i < made; i++) pthread_join(threads[i], NULL);
    return !opened ? 2 : made < 40 ? 3 : 0;
}

int main(void) {
    struct rlimit limit;
    MUST(getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_max >= 4096);
    check_child("a limit that nothing of the process comes near", beside_each_other, (void *)limit.rlim_max, "exit 0");
    check_child("a hard limit of 2048", beside_each_other, (void *)2048l, "exit 0");
    check_child("a hard limit of 1200", beside_each_other, (void *)1200l, "exit 0");
    check_child("all threads, a hard limit of 1200", with_all_threads, (void *)1200l, "exit 0");
    return check_done();
}
