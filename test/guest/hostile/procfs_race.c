// One thread opens files of /proc while others use whatever numbers come up: nothing of the host's may be there, not
// even for a moment.
#include "survive.h"
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

static atomic_int stop, caught;
static _Atomic uint32_t secret = 0x5ec2e7;

/// Where the monitor has this memory, if guest and host addresses differ by the highest user bit.
static off_t host_place(void) { return (off_t)((uintptr_t)&secret ^ (1ull << 46)); }

static void *uses_numbers(void *unused) {
    (void)unused;
    uint32_t word;
    while (!stop)
        for (int fd = 3; fd < 12; fd++) {
            if (pread(fd, &word, sizeof word, host_place()) == sizeof word && word == secret) caught = 1;
            // A splice does not come by the calls that positions are translated in.
            off_t place = host_place();
            if (caught) stop = 1;
            if (copy_file_range(fd, &place, 1, NULL, 0, 0) > 0) caught = 2;
        }
    return NULL;
}

static void *renames(void *directory) {
    while (!stop) {
        if (symlinkat("/proc/self/mem", *(int *)directory, "next") == 0) renameat(*(int *)directory, "next", *(int *)directory, "file");
        if (symlinkat("/dev/null", *(int *)directory, "next") == 0) renameat(*(int *)directory, "next", *(int *)directory, "file");
    }
    return NULL;
}

static int race(void *path) {
    int directory = -1;
    pthread_t threads[3];
    enter_directory();
    directory = open(".", O_RDONLY | O_DIRECTORY);
    for (size_t i = 0; i < 2; i++)
        if (pthread_create(&threads[i], NULL, uses_numbers, NULL)) return 1;
    if (pthread_create(&threads[2], NULL, renames, &directory)) return 1;
    char copies[64];
    for (uint64_t end = now_ns() + 3000000000ull; now_ns() < end && !stop;) {
        int fd = open(path, O_RDWR);
        if (fd < 0) continue;
        // Once more through the descriptor's own magic link.
        snprintf(copies, sizeof copies, "/proc/self/fd/%d", fd);
        int again = open(copies, O_RDWR);
        if (again >= 0) close(again);
        close(fd);
        int found = open(path, O_PATH);
        snprintf(copies, sizeof copies, "/proc/self/fd/%d", found);
        again = open(copies, O_RDWR);
        if (again >= 0) close(again);
        close(found);
    }
    stop = 1;
    for (size_t i = 0; i < COUNT(threads); i++) pthread_join(threads[i], NULL);
    remove_directory();
    return caught ? 77 : 0;
}

/// The same by a process that shares the descriptors only.
static int race_of_processes(void *unused) {
    (void)unused;
    pid_t child = (pid_t)syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0);
    if (child < 0) return 1;
    if (child == 0) {
        for (uint64_t end = now_ns() + 3000000000ull; now_ns() < end && !caught;) {
            uint32_t word;
            for (int fd = 3; fd < 8; fd++)
                if (pread(fd, &word, sizeof word, host_place()) == sizeof word && word == secret) caught = 1;
        }
        _exit(caught ? 77 : 0);
    }
    for (uint64_t end = now_ns() + 3000000000ull; now_ns() < end;) {
        int fd = open("/proc/self/mem", O_RDWR);
        if (fd >= 0) close(fd);
    }
    int status;
    return waitpid(child, &status, 0) == child && WIFEXITED(status) ? WEXITSTATUS(status) : 2;
}

int main(void) {
    survive("/proc/self/mem by name", race, "/proc/self/mem");
    survive("/proc/thread-self/mem by name", race, "/proc/thread-self/mem");
    survive("a link that is sometimes /proc/self/mem", race, "file");
    survive("/proc/self/mem with shared descriptors", race_of_processes, NULL);
    check_works("the parent still works");
    return check_done();
}
