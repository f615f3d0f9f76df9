// A fork is an instant: the child's memory is the parent's of one moment, whole, and afterwards neither side sees
// the other's writes, whatever other threads do meanwhile.
// kinds: dynamic static
#include "check.h"

#include <pthread.h>

enum { kRounds = 6, kStable = 512, kPairs = 256, kWriters = 2 };

static uint64_t *stable;              // pages that nobody writes: page i holds a pattern of i
static volatile uint64_t *first;      // a writer counts up here...
static volatile uint64_t *second;     // ... and then here: never ahead, at most one behind
static volatile uint64_t *code_words; // the same in memory that may be executed
static atomic_bool stop;

static uint64_t pattern(uint64_t page, uint64_t word) { return (page * 0x9e3779b97f4a7c15u) ^ (word << 7) ^ 0x5a5a; }

static uint64_t *map(size_t bytes, int prot, int flags) {
    void *memory = mmap(NULL, bytes, prot, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
    MUST(memory != MAP_FAILED);
    return memory;
}

static void *count_up(void *unused) {
    (void)unused;
    for (uint64_t n = 1; !atomic_load(&stop); n++)
        for (size_t i = 0; i < kPairs; i++) {
            size_t at = i * PAGE / 8;
            first[at] = n;
            code_words[at] = n;
            second[at] = n;
        }
    return NULL;
}

// Maps, writes, moves, protects and unmaps without end: mappings change while others fork.
static void *shuffle(void *seed) {
    for (uintptr_t n = (uintptr_t)seed; !atomic_load(&stop); n++) {
        size_t bytes = PAGE * (1 + n % 37);
        char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED) continue;
        memset(memory, (int)n, bytes);
        char *moved = mremap(memory, bytes, bytes + PAGE, MREMAP_MAYMOVE);
        if (moved != MAP_FAILED) memory = moved, bytes += PAGE;
        mprotect(memory, PAGE, PROT_READ);
        if (n % 3 == 0) mprotect(memory, bytes, PROT_READ | PROT_WRITE | PROT_EXEC);
        munmap(memory, bytes);
    }
    return NULL;
}

static bool stable_is_right(uint64_t seed) {
    for (uint64_t page = 0; page < kStable; page++)
        for (uint64_t word = 0; word < PAGE / 8; word += 61)
            if (stable[page * PAGE / 8 + word] != pattern(page + seed, word)) return false;
    return true;
}

static void write_stable(uint64_t seed) {
    for (uint64_t page = 0; page < kStable; page++)
        for (uint64_t word = 0; word < PAGE / 8; word++) stable[page * PAGE / 8 + word] = pattern(page + seed, word);
}

// 0: this memory is of one instant and stays as it is.
static int judge_instant(void) {
    uint64_t seen[3][kPairs];
    uint64_t newest = first[0];
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < kPairs; i++) {
            size_t at = i * PAGE / 8;
            uint64_t now[3] = {first[at], code_words[at], second[at]};
            if (now[0] < now[1] || now[1] < now[2] || now[0] > now[2] + 1) return 1;
            // Written in order: at one instant the pages before the writer's are of this round, those behind of the last.
            if (now[0] > newest || newest > now[0] + 1) return 2;
            newest = now[0];
            for (int k = 0; k < 3; k++) {
                if (pass && seen[k][i] != now[k]) return 3;
                seen[k][i] = now[k];
            }
        }
        newest = first[0];
        usleep(2000);
    }
    return 0;
}

static int busy_child(void *unused) {
    (void)unused;
    if (!stable_is_right(0)) return 10;
    int wrong = judge_instant();
    if (wrong) return wrong;
    write_stable(1000);
    return stable_is_right(1000) ? 0 : 11;
}

static void beside_busy_threads(void) {
    pthread_t threads[1 + kWriters];
    MUST(pthread_create(&threads[0], NULL, count_up, NULL) == 0);
    for (uintptr_t i = 0; i < kWriters; i++) MUST(pthread_create(&threads[1 + i], NULL, shuffle, (void *)(i * 7)) == 0);
    while (!second[(kPairs - 1) * PAGE / 8]) usleep(100);
    int right = 0;
    for (int round = 0; round < kRounds; round++) {
        int status = in_child(busy_child, NULL);
        if (status == 0) right++;
        else check_report("child", false, "%s", describe_status(status));
    }
    CHECK_EQ("children hold an instant of their parent's memory", right, kRounds);
    CHECK("the parent's memory is untouched", stable_is_right(0));
    atomic_store(&stop, true);
    for (int i = 0; i < 1 + kWriters; i++) pthread_join(threads[i], NULL);
}

static bool resident(void *page) {
    unsigned char in = 0;
    return mincore(page, PAGE, &in) == 0 && (in & 1);
}

struct Kinds {
    uint64_t *read_only, *without_access, *wiped, *not_inherited, *shared, *of_file, *of_file_shared, *huge, *untouched;
    uint64_t wiped_value;
    int file;
};

static int kinds_child(void *argument) {
    struct Kinds *k = argument;
    if (k->read_only[0] != 1 || k->wiped[0] != k->wiped_value || k->shared[0] != 4 || k->of_file[0] != 5 || k->of_file_shared[0] != 7) return 1;
    if (mprotect(k->without_access, PAGE, PROT_READ | PROT_WRITE) || k->without_access[0] != 2) return 2;
    unsigned char in;
    if (k->wiped_value == 0 && (mincore(k->not_inherited, PAGE, &in) == 0 || errno != ENOMEM)) return 3;
    if (mprotect(k->read_only, PAGE, PROT_READ | PROT_WRITE)) return 4;
    for (size_t i = 0; i < (8u << 20) / 8; i += PAGE / 8)
        if (k->huge[i] != i) return 5;
    if (resident(k->untouched) || resident(k->untouched + (1u << 29) / 8)) return 6;
    k->read_only[0] = k->without_access[0] = k->wiped[0] = k->of_file[0] = k->huge[0] = k->huge[(4u << 20) / 8] = 99;
    k->shared[0] = 44;
    k->of_file_shared[0] = 77;
    return 0;
}

static void kinds_of_memory(bool advice) {
    struct Kinds k = {.wiped_value = advice ? 0 : 3, .file = memfd_create("kinds", MFD_CLOEXEC)};
    MUST(k.file >= 0 && ftruncate(k.file, 2 * PAGE) == 0);
    k.read_only = map(PAGE, PROT_READ | PROT_WRITE, 0), k.read_only[0] = 1;
    MUST(mprotect(k.read_only, PAGE, PROT_READ) == 0);
    k.without_access = map(PAGE, PROT_READ | PROT_WRITE, 0), k.without_access[0] = 2;
    MUST(mprotect(k.without_access, PAGE, PROT_NONE) == 0);
    k.wiped = map(PAGE, PROT_READ | PROT_WRITE, 0), k.wiped[0] = 3;
    MUST(!advice || madvise(k.wiped, PAGE, MADV_WIPEONFORK) == 0);
    k.not_inherited = map(4 * PAGE, PROT_READ | PROT_WRITE, 0), k.not_inherited[0] = 3;
    MUST(!advice || madvise(k.not_inherited, 4 * PAGE, MADV_DONTFORK) == 0);
    k.shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0), k.shared[0] = 4;
    k.of_file = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, k.file, 0), k.of_file[0] = 5;
    k.of_file_shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, k.file, (off_t)PAGE), k.of_file_shared[0] = 7;
    k.huge = map(8u << 20, PROT_READ | PROT_WRITE, 0);
    for (size_t i = 0; i < (8u << 20) / 8; i += PAGE / 8) k.huge[i] = i;
    k.untouched = map(1u << 30, PROT_READ | PROT_WRITE, MAP_NORESERVE);

    CHECK_STRING("each kind of memory reaches the child as it must", describe_status(in_child(kinds_child, &k)), "exit 0");
    CHECK_EQ("read-only memory", k.read_only[0], 1);
    MUST(mprotect(k.without_access, PAGE, PROT_READ) == 0);
    CHECK_EQ("memory without access", k.without_access[0], 2);
    CHECK_EQ("memory that is wiped in the child", k.wiped[0], 3);
    CHECK_EQ("memory that is not inherited", k.not_inherited[0], 3);
    CHECK_EQ("a private mapping of a file", k.of_file[0], 5);
    CHECK_EQ("shared memory", k.shared[0], 44);
    uint64_t word;
    MUST(pread(k.file, &word, 8, (off_t)PAGE) == 8);
    CHECK_EQ("a shared mapping of a file", word, 77);
    CHECK_EQ("huge pages", k.huge[0] + k.huge[(4u << 20) / 8], (4u << 20) / 8);
}

// A chain of forks, each with its own mark in all the pages.
static int descend(void *depth) {
    uintptr_t level = (uintptr_t)depth;
    if (!stable_is_right(level)) return 1;
    write_stable(level + 1);
    if (level < 5 && in_child(descend, (void *)(level + 1)) != 0) return 2;
    return stable_is_right(level + 1) ? 0 : 3;
}

static void on_signal(int number) {
    (void)number;
    pid_t child = fork();
    if (child == 0) _exit(stable_is_right(0) ? 0 : 1);
    int status = -1;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {}
    if (status != 0) check_failures++;
}

// An argument: qemu-user runs this, which drops MADV_WIPEONFORK and MADV_DONTFORK.
static int open_descriptors(void) {
    int open = 0;
    for (int fd = 0; fd < 1024; fd++) open += fcntl(fd, F_GETFD) >= 0;
    return open;
}

// Children that are killed at every moment of their coming into being, and after it.
static void killed_on_the_way(void) {
    int before = open_descriptors(), clean = 0;
    for (int i = 0; i < 60; i++) {
        pid_t child = fork();
        MUST(child >= 0);
        if (child == 0)
            for (;;) pause();
        if (i) usleep((useconds_t)i * 60);
        MUST(kill(child, SIGKILL) == 0);
        int status = -1;
        MUST(waitpid(child, &status, 0) == child);
        clean += WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    }
    CHECK_EQ("children killed while they are made die of just that", clean, 60);
    CHECK_ERRNO("and leave nobody", wait(NULL), ECHILD);
    CHECK_EQ("and no descriptor", open_descriptors(), before);
    CHECK("and the parent's memory as it was", stable_is_right(0));
}

int main(int count, char **arguments) {
    (void)arguments;
    stable = map(kStable * PAGE, PROT_READ | PROT_WRITE, 0);
    first = map(kPairs * PAGE, PROT_READ | PROT_WRITE, 0);
    second = map(kPairs * PAGE, PROT_READ | PROT_WRITE, 0);
    code_words = map(kPairs * PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, 0);
    write_stable(0);
    beside_busy_threads();
    kinds_of_memory(count == 1);
    CHECK_STRING("children of children", describe_status(in_child(descend, 0)), "exit 0");
    signal(SIGUSR1, on_signal);
    raise(SIGUSR1);
    CHECK_EQ("a fork inside a signal handler", check_failures, 0);
    killed_on_the_way();
    struct rlimit none = {0, 0};
    pid_t child = fork();
    if (child == 0) {
        MUST(setrlimit(RLIMIT_NPROC, &none) == 0);
        if (getuid() == 0 && (setgid(65534) || setuid(65534))) _exit(3);
        pid_t further = fork();
        _exit(further == -1 && errno == EAGAIN && stable_is_right(0) ? 0 : 1);
    }
    int status = -1;
    MUST(waitpid(child, &status, 0) == child);
    CHECK_STRING("EAGAIN at RLIMIT_NPROC leaves the caller as it was", describe_status(status), "exit 0");
    return check_failures != 0;
}
