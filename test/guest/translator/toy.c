// A stand-in for a translator such as Rosetta, which cannot run on test machines: it runs programs of an instruction
// set of its own by making code at run time, and keeps its state as such translators do: a code cache in memory that
// is writable and executable, a table for indirect calls, lists of blocks, a slab of state for each thread, all at
// far-apart addresses. Every piece bears the mark of the process that wrote it, and every use is checked: it ends
// with status 70 and a line on standard error when another process's write reaches it, or when it finds itself with
// an update half made.
//
// A program is an ELF header of another processor and, at byte 64, instructions of 4 bytes:
//   A n  add n     S n  subtract n     L n  repeat all before this n times     F  fork     W  wait for a child
//   P    print the accumulator and whether this is a child (accumulators differ by 1 after a fork)     E  end
// Threads beside the one that runs it translate, run and throw away blocks of their own all the time.
#include <elf.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { kBlocks = 512, kBlockBytes = 256, kThreads = 2, kSlabBytes = 1 << 16, kMaximum = 4096 };

// Where such translators live: slabs in the lower half, caches at the top (qemu, Rosetta: docs/translators.md).
static const uintptr_t kSlabs = 0x550000000000, kCache = 0x7e0000000000, kTable = 0x7d0000000000;

typedef uint64_t (*Code)(uint64_t);

// One translated block, in the cache.
struct Block {
    uint64_t owner;     // the process that made it
    uint64_t sum;       // over the code
    uint32_t source, value;
    struct Block *next; // the list of blocks of one kind of instruction
    unsigned char code[kBlockBytes - 32];
};

static struct Block *cache;
static Code *table;  // indirect calls: where the code of block i is
static struct Block *lists[2];
static pthread_mutex_t locks[2] = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER};
static _Thread_local uint64_t *slab;
static atomic_bool stop;
static uint64_t self;  // a call for it would cost more than everything else

static void misbehave(const char *what) {
    char line[128];
    int n = snprintf(line, sizeof line, "toy: process %d: %s\n", (int)getpid(), what);
    if (write(2, line, (size_t)n) != n) _exit(71);
    _exit(70);
}

static void *at(uintptr_t address, size_t bytes, int prot) {
    void *memory = mmap((void *)address, bytes, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    if (memory == MAP_FAILED) misbehave("no memory at its place");
    return memory;
}

static size_t emit(unsigned char *to, uint32_t value, bool subtract) {
#if defined(__x86_64__)
    int32_t displacement = subtract ? -(int32_t)value : (int32_t)value;
    const unsigned char lea[3] = {0x48, 0x8d, 0x87};  // lea rax, [rdi + displacement]
    memcpy(to, lea, 3), memcpy(to + 3, &displacement, 4), to[7] = 0xc3;
    return 8;
#else
    uint32_t code[2] = {(subtract ? 0xd1000000u : 0x91000000u) | (value & 0xfff) << 10, 0xd65f03c0u};
    memcpy(to, code, 8);
    return 8;
#endif
}

static uint64_t sum_of(const struct Block *block) {
    uint64_t sum = block->source * 31u + block->value;
    for (size_t i = 0; i < 16; i++) sum = sum * 131 + block->code[i];
    return sum;
}

// Blocks with even numbers add, the others subtract; each list has a lock.
static void translate(uint32_t number, uint32_t value) {
    struct Block *block = &cache[number];
    table[number] = NULL;
    block->owner = self;
    block->source = number;
    block->value = value;
    size_t bytes = emit(block->code, value, number & 1);
    __builtin___clear_cache((char *)block->code, (char *)block->code + bytes);
    block->sum = sum_of(block);
    table[number] = (Code)(uintptr_t)block->code;
}

static uint64_t run(uint32_t number, uint32_t value, uint64_t accumulator) {
    struct Block *block = &cache[number];
    pthread_mutex_lock(&locks[number & 1]);
    if (!table[number] || block->value != value) translate(number, value);
    if (block->sum != sum_of(block)) misbehave("a block that is not what was translated");
    if (table[number] != (Code)(uintptr_t)block->code) misbehave("an indirect call that leads elsewhere");
    accumulator = table[number](accumulator);
    pthread_mutex_unlock(&locks[number & 1]);
    return accumulator;
}

static void new_slab(void) {
    static atomic_uint slabs;
    slab = at(kSlabs + atomic_fetch_add(&slabs, 1) * (uintptr_t)kSlabBytes * 16, kSlabBytes, PROT_READ | PROT_WRITE);
    for (size_t i = 0; i < kSlabBytes / 8; i++) slab[i] = self;
}

// Every block belongs to this process or to the parent it came from, is whole, and is in its list once.
static void judge(uint64_t parent) {
    unsigned listed = 0;
    for (int list = 0; list < 2; list++)
        for (struct Block *block = lists[list]; block; block = block->next) {
            if (block < cache || block >= cache + kBlocks || (block->source & 1) != (uint32_t)list) misbehave("a broken list");
            if (++listed > kBlocks) misbehave("a list without end");
        }
    if (listed != kBlocks) misbehave("a list that lost a block");
    for (unsigned i = 0; i < kBlocks; i++) {
        if (cache[i].owner != self && cache[i].owner != parent) misbehave("a block of another process");
        if (!table[i] || cache[i].sum != sum_of(&cache[i])) misbehave("a half-made block");
    }
    for (size_t i = 0; i < kSlabBytes / 8; i++)
        if (slab[i] != self && slab[i] != parent) misbehave("a slab of another process");
}

static void relist(void) {
    for (int list = 0; list < 2; list++) lists[list] = NULL;
    for (unsigned i = 0; i < kBlocks; i++) cache[i].next = lists[i & 1], lists[i & 1] = &cache[i];
}

static void *work(void *seed) {
    new_slab();
    for (uint32_t n = (uint32_t)(uintptr_t)seed; !atomic_load(&stop); n = n * 1664525u + 1013904223u) {
        uint32_t number = 64 + (n >> 8) % (kBlocks - 64), value = (n >> 20) & 0xff;
        uint64_t expected = number & 1 ? 5000 - value : 5000 + value;
        if (run(number, value, 5000) != expected) misbehave("code of another block");
        if (n % 32 == 0) usleep(50);  // whoever runs the program wants the locks too
        slab[n % (kSlabBytes / 8)] = self;
        if (slab[(n >> 9) % (kSlabBytes / 8)] != self) misbehave("a slab of another process");
        if (number % 8 == 0) {  // moves a block to the front of its list
            pthread_mutex_lock(&locks[number & 1]);
            struct Block **link = &lists[number & 1];
            while (*link != &cache[number]) link = &(*link)->next;
            *link = cache[number].next;
            cache[number].next = lists[number & 1];
            lists[number & 1] = &cache[number];
            pthread_mutex_unlock(&locks[number & 1]);
        }
    }
    return NULL;
}

static pthread_t threads[kThreads];

static void start_threads(void) {
    for (uintptr_t i = 0; i < kThreads; i++)
        if (pthread_create(&threads[i], NULL, work, (void *)(i * 77 + (uintptr_t)getpid()))) misbehave("no thread");
}

// A translator forks between updates: it holds its locks. The child takes everything over as its own.
static pid_t fork_program(void) {
    uint64_t parent = self;
    for (int i = 0; i < 2; i++) pthread_mutex_lock(&locks[i]);
    pid_t child = fork();
    if (child == 0) self = (uint64_t)getpid(), judge(parent);
    for (int i = 0; i < 2; i++) pthread_mutex_unlock(&locks[i]);
    if (child != 0) return child;
    for (unsigned i = 0; i < kBlocks; i++) translate(i, cache[i].value);
    for (size_t i = 0; i < kSlabBytes / 8; i++) slab[i] = self;
    usleep(3000);  // the parent's threads go on writing
    judge(self);
    start_threads();
    return 0;
}

int main(void) {
    self = (uint64_t)getpid();
    static unsigned char program[kMaximum];
    int fd = (int)getauxval(AT_EXECFD);
    ssize_t got = fd > 0 ? pread(fd, program, sizeof program, sizeof(Elf64_Ehdr)) : -1;
    if (got <= 0) misbehave("no program");
    cache = at(kCache, kBlocks * sizeof(struct Block), PROT_READ | PROT_WRITE | PROT_EXEC);
    table = at(kTable, kBlocks * sizeof(Code), PROT_READ | PROT_WRITE);
    new_slab();
    for (uint32_t i = 0; i < kBlocks; i++) translate(i, i & 0xff);
    relist();
    start_threads();
    uint64_t accumulator = 0;
    bool child = false;
    for (ssize_t i = 0; i + 4 <= got; i += 4) {
        uint32_t value = program[i + 1] | (uint32_t)program[i + 2] << 8;
        switch (program[i]) {
            case 'A': accumulator = run((uint32_t)(i / 4 * 2) % 64, value & 0xfff, accumulator); break;
            case 'S': accumulator = run((uint32_t)(i / 4 * 2 + 1) % 64, value & 0xfff, accumulator); break;
            case 'L':
                for (uint32_t round = 1; round < value; round++)
                    for (ssize_t j = 0; j < i; j += 4) {
                        uint32_t inner = program[j + 1] | (uint32_t)program[j + 2] << 8;
                        if (program[j] == 'A') accumulator = run((uint32_t)(j / 4 * 2) % 64, inner & 0xfff, accumulator);
                        if (program[j] == 'S') accumulator = run((uint32_t)(j / 4 * 2 + 1) % 64, inner & 0xfff, accumulator);
                    }
                break;
            case 'F':
                if (fork_program() == 0) child = true, accumulator++;
                break;
            case 'W': {
                int status = 0;
                if (wait(&status) >= 0 && status != 0) misbehave("a child that misbehaved");
                break;
            }
            case 'P': {
                char line[64];
                int n = snprintf(line, sizeof line, "%llu%s\n", (unsigned long long)accumulator, child ? " child" : "");
                if (write(1, line, (size_t)n) != n) return 71;
                break;
            }
            case 'E':
                atomic_store(&stop, true);
                for (int t = 0; t < kThreads; t++) pthread_join(threads[t], NULL);
                judge(self);
                return 0;
            default: misbehave("an unknown instruction");
        }
    }
    return 72;
}
