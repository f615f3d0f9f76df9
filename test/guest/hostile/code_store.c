// Libraries are mapped while other threads change the mapping, or what is behind the descriptor: whatever this process gets
// of that, the next one that maps these files gets what is in them.
#include "survive.h"
#include <pthread.h>

#define LIBRARIES 48
#define PAGES ((size_t)24)
#define FIXED (MAP_PRIVATE | MAP_DENYWRITE | MAP_FIXED)

static void name_of(char (*name)[32], int i) { snprintf(*name, sizeof *name, "library%d", i); }
static void write_pages(const char *name, char letter) {
    int fd = open(name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
    char page[PAGE];
    memset(page, letter, PAGE);
    for (size_t i = 0; i < PAGES; i++) MUST(write(fd, page, PAGE) == (ssize_t)PAGE);
    close(fd);
}

static _Atomic int stop;
static char *target;
static int shown, hidden;

static void *writes_memory(void *unused) {
    (void)unused;
    int memory = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
    while (!atomic_load(&stop))
        for (size_t i = 0; i < PAGES; i += 5) (void)!pwrite(memory, "EVIL", 4, (off_t)(uintptr_t)(target + i * PAGE));
    return NULL;
}
static void *changes_protection(void *unused) {
    (void)unused;
    while (!atomic_load(&stop)) {
        if (mprotect(target + PAGE, 8 * PAGE, PROT_READ | PROT_WRITE) == 0) memcpy(target + 3 * PAGE, "EVIL", 4);
        mprotect(target + PAGE, 8 * PAGE, PROT_READ | PROT_EXEC);
    }
    return NULL;
}
static void *changes_descriptor(void *unused) {
    (void)unused;
    while (!atomic_load(&stop)) {
        dup2(hidden, 500);
        dup2(shown, 500);
    }
    return NULL;
}

static int each(void *(*disturb)(void *), int first, int last) {
    pthread_t thread;
    target = mmap(NULL, PAGES * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    hidden = open("evil", O_RDONLY | O_CLOEXEC);
    struct sigaction ignore = {.sa_handler = SIG_DFL};
    sigaction(SIGSEGV, &ignore, NULL);
    char name[32];
    name_of(&name, first);
    shown = open(name, O_RDONLY | O_CLOEXEC);
    dup2(shown, 500);
    if (pthread_create(&thread, NULL, disturb, NULL)) return 1;
    for (int i = first; i < last; i++) {
        name_of(&name, i);
        int fd = open(name, O_RDONLY | O_CLOEXEC);
        dup2(fd, shown);
        close(fd);
        for (int turn = 0; turn < 3; turn++) {
            if (mmap(target, PAGES * PAGE, PROT_READ, FIXED, disturb == changes_descriptor ? 500 : shown, 0) == MAP_FAILED) return 2;
            if (mmap(target + 4 * PAGE, (PAGES - 4) * PAGE, PROT_READ | PROT_EXEC, FIXED, disturb == changes_descriptor ? 500 : shown, 4 * PAGE) == MAP_FAILED) return 3;
        }
    }
    atomic_store(&stop, 1);
    pthread_join(thread, NULL);
    return 0;
}
static int by_memory(void *unused) { return (void)unused, each(writes_memory, 0, LIBRARIES / 3); }
static int by_protection(void *unused) { return (void)unused, each(changes_protection, LIBRARIES / 3, 2 * LIBRARIES / 3); }
static int by_descriptor(void *unused) { return (void)unused, each(changes_descriptor, 2 * LIBRARIES / 3, LIBRARIES); }

/// Maps each library as `each` did and reads all of it.
static int wrong_bytes(void) {
    int wrong = 0;
    char name[32];
    for (int i = 0; i < LIBRARIES; i++) {
        name_of(&name, i);
        int fd = open(name, O_RDONLY | O_CLOEXEC);
        char *at = mmap(NULL, PAGES * PAGE, PROT_READ, MAP_PRIVATE | MAP_DENYWRITE, fd, 0);
        MUST(at != MAP_FAILED && mmap(at, PAGES * PAGE, PROT_READ, FIXED, fd, 0) == at);
        MUST(mmap(at + 4 * PAGE, (PAGES - 4) * PAGE, PROT_READ | PROT_EXEC, FIXED, fd, 4 * PAGE) != MAP_FAILED);
        for (size_t byte = 0; byte < PAGES * PAGE; byte++) wrong += at[byte] != (char)('a' + i % 20);
        munmap(at, PAGES * PAGE);
        close(fd);
    }
    return wrong;
}
static int as_they_are(void *unused) { return (void)unused, wrong_bytes() != 0; }

/// Another process's code changes for it, or the writer is told that it did not.
static int watches(void *raw) {
    int *ends = raw;
    char name[32], byte;
    name_of(&name, 0);
    int fd = open(name, O_RDONLY | O_CLOEXEC);
    volatile char *at = mmap(target, PAGES * PAGE, PROT_READ | PROT_EXEC, FIXED, fd, 0);
    if (at == MAP_FAILED || at[100] != 'a') return 1;
    if (write(ends[1], "", 1) != 1 || read(ends[2], &byte, 1) != 1) return 2;
    return at[100];
}
static int writes_across(void *unused) {
    (void)unused;
    int ready[2], go[2], status;
    char byte, path[32];
    MUST(pipe(ready) == 0 && pipe(go) == 0);
    target = mmap(NULL, PAGES * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    pid_t child = fork();
    if (child == 0) _exit(watches((int[]){ready[0], ready[1], go[0], go[1]}));
    MUST(read(ready[0], &byte, 1) == 1);
    snprintf(path, sizeof path, "/proc/%d/mem", child);
    int memory = open(path, O_RDWR);
    ssize_t written = pwrite(memory, "E", 1, (off_t)(uintptr_t)target + 100);
    MUST(write(go[1], "", 1) == 1 && waitpid(child, &status, 0) == child && WIFEXITED(status));
    return WEXITSTATUS(status) == (written == 1 ? 'E' : 'a') ? 0 : 77;
}

int main(void) {
    enter_directory();
    char name[32];
    for (int i = 0; i < LIBRARIES; i++) {
        name_of(&name, i);
        write_pages(name, (char)('a' + i % 20));
    }
    write_pages("evil", 'E');
    sleep_ms(2100);
    survive("written by way of /proc/self/mem while they are mapped", by_memory, NULL);
    survive("made writable while they are mapped", by_protection, NULL);
    survive("another file put behind the descriptor", by_descriptor, NULL);
    survive("another process's code written", writes_across, NULL);
    CHECK_EQ("this process maps what is in the files", wrong_bytes(), 0);
    check_child("so does another", as_they_are, NULL, "exit 0");
    check_works("and all goes on");
    return check_done();
}
