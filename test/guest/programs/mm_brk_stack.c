// The heap's end and the stack: growth, shrinking, limits, MAP_GROWSDOWN.
#include "fault.h"
#include <alloca.h>
#include <pthread.h>

static __attribute__((noinline)) long use_stack(size_t bytes) {
    volatile char *room = alloca(bytes);
    for (size_t i = bytes; i >= PAGE; i -= PAGE) room[i - 1] = (char)i;
    return room[PAGE - 1];
}

static __attribute__((noinline)) int descend(int level) {
    volatile char room[2048];
    room[0] = (char)level;
    if (level == 0) return 0;
    return descend(level - 1) + (room[0] == (char)level);
}

static int with_stack_limit(void *argument) {
    struct rlimit limit = {(rlim_t)(long)argument, RLIM_INFINITY};
    struct rlimit no_core = {0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    getrlimit(RLIMIT_STACK, &limit);
    limit.rlim_cur = (rlim_t)(long)argument;
    if (setrlimit(RLIMIT_STACK, &limit)) return 90;
    use_stack(1 << 20);
    return 0;
}

static void *on_thread(void *unused) {
    return (void *)(use_stack(4 << 20) + (unused != NULL));
}

int main(void) {
    // Before this stack has grown itself.
    check_child("a megabyte within the limit", with_stack_limit, (void *)(4L << 20), "exit 0");
    check_child("a megabyte beyond it", with_stack_limit, (void *)(512L << 10), "signal 11");
    catch_faults();
    char *start = sbrk(0);
    CHECK("the break is where it is told", (char *)syscall(SYS_brk, 0) == start);
    char *grown = sbrk(1 << 20);
    CHECK("sbrk grows", grown == start && sbrk(0) == start + (1 << 20));
    bool zero = true;
    for (size_t i = 0; i < 1 << 20; i++) zero &= grown[i] == 0;
    CHECK("new memory is zero", zero);
    memset(grown, 0x7e, 1 << 20);
    CHECK("sbrk shrinks", sbrk(-(1 << 19)) == start + (1 << 20) && sbrk(0) == start + (1 << 19));
    uintptr_t page_end = ((uintptr_t)start + (1 << 19) + PAGE - 1) & ~(PAGE - 1);
    check_fault("memory above the break is gone", attempt((void *)page_end, READ), SIGSEGV, SEGV_MAPERR, (void *)page_end);
    sbrk(1 << 19);
    CHECK("grown again it is zero", *(char *)page_end == 0 && grown[0] == 0x7e);
    CHECK_EQ("a break below the start changes nothing", syscall(SYS_brk, 4096), (long)sbrk(0));
    CHECK_EQ("nor one beyond all memory", syscall(SYS_brk, 0x7fffffffffff), (long)sbrk(0));
    char *end = sbrk(0);
    char *wall = mmap((void *)(((uintptr_t)end + 64 * PAGE) & ~(PAGE - 1)), PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    MUST(wall != MAP_FAILED);
    CHECK_ERRNO("nor over a mapping", (long)sbrk(100 * PAGE), ENOMEM);
    munmap(wall, PAGE);
    CHECK_EQ("an odd break", syscall(SYS_brk, end + 123), (long)(end + 123));
    CHECK("[heap] in maps", strstr(read_file("/proc/self/maps"), "[heap]") != NULL);
    pid_t child = fork();
    if (child == 0) {
        // glibc keeps its own idea of the break: ask the kernel.
        long own = syscall(SYS_brk, 0);
        _exit(own == (long)(end + 123) && syscall(SYS_brk, own + (long)PAGE) == own + (long)PAGE ? 0 : 1);
    }
    int status;
    waitpid(child, &status, 0);
    check_status("a child has its own break", status, "exit 0");
    CHECK_EQ("the parent's is as it was", syscall(SYS_brk, 0), (long)(end + 123));
    struct rlimit data;
    getrlimit(RLIMIT_DATA, &data);
    struct rlimit small = {1 << 20, data.rlim_max};
    setrlimit(RLIMIT_DATA, &small);
    CHECK_ERRNO("RLIMIT_DATA holds the break", (long)sbrk(64 << 20), ENOMEM);
    CHECK("and private memory", mmap(NULL, 64 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED);
    setrlimit(RLIMIT_DATA, &data);

    struct rlimit stack;
    getrlimit(RLIMIT_STACK, &stack);
    CHECK("two megabytes of stack at once", use_stack(2 << 20) >= -128);
    CHECK_EQ("two thousand frames", descend(2000), 2000);
    char *here = (char *)&stack;
    check_fault("far below the stack", attempt(here - (1ull << 30), READ), SIGSEGV, SEGV_MAPERR, here - (1ull << 30));
    check_allowed("within the limit, below the pointer", attempt(here - (5 << 20), READ));
    pthread_t thread;
    void *result;
    pthread_create(&thread, NULL, on_thread, NULL);
    CHECK_EQ("four megabytes of a thread's stack", pthread_join(thread, &result), 0);

    char *base = mmap(NULL, 600 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(base, 600 * PAGE);
    char *down = mmap(base + 590 * PAGE, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN | MAP_FIXED, -1, 0);
    MUST(down == base + 590 * PAGE);
    int grew = 0;
    for (int i = 1; i <= 100; i++) grew += attempt_store(down - (size_t)i * PAGE, (char)i).signal == 0;
    CHECK_EQ("MAP_GROWSDOWN grows a hundred pages", grew, 100);
    CHECK("each is its own", down[-5 * (long)PAGE] == 5 && down[-100 * (long)PAGE] == 100);
    int ends[2];
    MUST(pipe(ends) == 0 && write(ends[1], "grow", 4) == 4);
    CHECK_EQ("a system call grows it too", read(ends[0], down - 103 * PAGE, 4), 4);
    return check_done();
}
