// A process forks and spawns while its other threads move the heap's end, map memory, change signals' actions and make
// threads: whatever the monitor locks for each, nobody may wait for ever.
#include "check.h"
#include <pthread.h>
#include <spawn.h>

#define ROUNDS 24

extern char **environ;
static atomic_bool stop;
static atomic_long made;

static void handler(UNUSED int number) {}
static void *nothing(void *argument) { return argument; }

static void *moves_heap(UNUSED void *unused) {
    while (!atomic_load(&stop)) {
        if (sbrk((intptr_t)PAGE) == (void *)-1 || sbrk(-(intptr_t)PAGE) == (void *)-1) _exit(97);
    }
    return NULL;
}

static void *changes_actions(UNUSED void *unused) {
    struct sigaction one = {.sa_handler = handler}, other = {.sa_handler = SIG_IGN};
    while (!atomic_load(&stop)) {
        sigaction(SIGUSR1, &one, NULL);
        sigaction(SIGUSR1, &other, NULL);
    }
    return NULL;
}

static void *makes_threads(UNUSED void *unused) {
    while (!atomic_load(&stop)) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, nothing, NULL)) _exit(98);
        pthread_join(thread, NULL);
        atomic_fetch_add(&made, 1);
    }
    return NULL;
}

static void *maps(UNUSED void *unused) {
    while (!atomic_load(&stop)) {
        char *memory = mmap(NULL, 256 << 10, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        memory[0] = memory[200 << 10] = 1;
        munmap(memory, 256 << 10);
    }
    return NULL;
}

int main(void) {
    void *(*work[])(void *) = {moves_heap, changes_actions, makes_threads, maps};
    pthread_t threads[COUNT(work)];
    for (size_t i = 0; i < COUNT(work); i++) CHECK("a thread", pthread_create(&threads[i], NULL, work[i], NULL) == 0);
    int right = 0;
    for (int i = 0; i < ROUNDS; i++) {
        pid_t child;
        int status = -1;
        if (i % 3) {
            child = fork();
            if (child == 0) _exit(7);
        } else {
            char *argv[] = {(char *)"sh", (char *)"-c", (char *)"exit 7", NULL};
            if (posix_spawn(&child, "/bin/sh", NULL, NULL, argv, environ)) child = -1;
        }
        right += child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 7;
    }
    atomic_store(&stop, true);
    for (size_t i = 0; i < COUNT(work); i++) pthread_join(threads[i], NULL);
    CHECK_EQ("every child ended as it should", right, ROUNDS);
    CHECK("threads were made meanwhile", atomic_load(&made) > 0);
    return check_failures != 0;
}
