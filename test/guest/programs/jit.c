// kinds: static dynamic
// Code made at run time: protection flips, dual mappings, self-modification, many threads.
#include "fault.h"
#include <pthread.h>

/// mov $value, %eax; ret
static void emit(char *at, int value) {
    at[0] = (char)0xb8;
    memcpy(at + 1, &value, 4);
    at[5] = (char)0xc3;
}

static int run(const void *code) { return ((int (*)(void))(uintptr_t)code)(); }

static void *thread_jit(void *seed) {
    char *page = map_pages(1, PROT_READ | PROT_WRITE);
    long wrong = 0;
    for (int i = 0; i < 300; i++) {
        mprotect(page, PAGE, PROT_READ | PROT_WRITE);
        emit(page, (int)(long)seed * 1000 + i);
        mprotect(page, PAGE, PROT_READ | PROT_EXEC);
        wrong += run(page) != (int)(long)seed * 1000 + i;
    }
    return (void *)wrong;
}

static char *volatile published;
static atomic_int stop;
static void *runner(void *unused) {
    long turns = 0, wrong = 0;
    int last = 0;
    while (!stop) {
        int got = run(published);
        wrong += got < last;
        last = got;
        turns++;
    }
    return unused ? NULL : (void *)(wrong ? -wrong : turns);
}

int main(void) {
    catch_faults();
    char *page = map_pages(2, PROT_READ | PROT_WRITE | PROT_EXEC);
    emit(page, 1);
    CHECK_EQ("code in an RWX page", run(page), 1);
    int right = 0;
    for (int i = 0; i < 1000; i++) emit(page, i), right += run(page) == i;
    CHECK_EQ("rewritten a thousand times", right, 1000);
    for (int i = right = 0; i < 500; i++) {
        MUST(mprotect(page, PAGE, PROT_READ | PROT_WRITE) == 0);
        emit(page, i + 7);
        MUST(mprotect(page, PAGE, PROT_READ | PROT_EXEC) == 0);
        right += run(page) == i + 7;
    }
    CHECK_EQ("five hundred W^X flips", right, 500);
    check_fault("an X page is not writable", attempt_store(page, 1), SIGSEGV, SEGV_ACCERR, page);
    mprotect(page, PAGE, PROT_READ | PROT_WRITE);
    check_fault("a W page is not executable", attempt(page, EXECUTE), SIGSEGV, SEGV_ACCERR, page);
    mprotect(page, PAGE, PROT_READ);
    check_fault("an R page is not executable", attempt(page, EXECUTE), SIGSEGV, SEGV_ACCERR, page);
    mprotect(page, PAGE, PROT_EXEC);
    CHECK("an X page runs", run(page) == 506);

    int fd = memfd_create("code", 0);
    MUST(ftruncate(fd, 16 * PAGE) == 0);
    char *writing = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    char *running = mmap(NULL, 16 * PAGE, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
    for (int i = right = 0; i < 1000; i++) {
        emit(writing + (size_t)(i % 16) * PAGE + 64, i);
        right += run(running + (size_t)(i % 16) * PAGE + 64) == i;
    }
    CHECK_EQ("a dual mapping, a thousand times", right, 1000);

    // A function that changes the instruction after the one that changes it.
    static const char self[] = {
        (char)0xc7, 0x05, 0x01, 0, 0, 0, 77, 0, 0, 0, // movl $77, 1(%rip): the next instruction's immediate
        (char)0xb8, 1, 0, 0, 0,                       // mov $1, %eax
        (char)0xc3};
    mprotect(page, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC);
    for (int i = right = 0; i < 200; i++) {
        memcpy(page + 128, self, sizeof self);
        right += run(page + 128) == 77;
    }
    CHECK_EQ("code that modifies itself", right, 200);
    char *edge = page + PAGE - 3;
    mprotect(page, 2 * PAGE, PROT_READ | PROT_WRITE | PROT_EXEC);
    emit(edge, 99);
    CHECK_EQ("code across a page's edge", run(edge), 99);
    mprotect(page + PAGE, PAGE, PROT_READ | PROT_WRITE);
    check_fault("whose second page is not executable", attempt(edge, EXECUTE), SIGSEGV, SEGV_ACCERR, page + PAGE);

    pthread_t threads[6];
    void *result;
    long wrong = 0;
    for (long i = 0; i < 6; i++) pthread_create(&threads[i], NULL, thread_jit, (void *)(i + 1));
    for (int i = 0; i < 6; i++) pthread_join(threads[i], &result), wrong += (long)result;
    CHECK_EQ("six threads with pages of their own", wrong, 0);
    char *code = map_pages(1, PROT_READ | PROT_WRITE | PROT_EXEC);
    emit(code, 0);
    published = code;
    pthread_create(&threads[0], NULL, runner, NULL);
    for (int i = 1; i < 2000; i++) {
        char *next = code + (i % 2 ? 64 : 128);
        emit(next, i);
        __sync_synchronize();
        published = next;
        sched_yield();
    }
    sleep_ms(20);
    stop = 1;
    pthread_join(threads[0], &result);
    CHECK("one thread writes what another runs", (long)result > 0 || (long)result > -100);
    pid_t child = fork();
    if (child == 0) {
        emit(code, 31);
        mprotect(code, PAGE, PROT_READ | PROT_EXEC);
        _exit(run(code));
    }
    int status;
    emit(code, 32);
    waitpid(child, &status, 0);
    check_status("a child's code is its own", status, "exit 31");
    CHECK_EQ("the parent's too", run(code), 32);
    size_t large = 32 << 20;
    char *heap = mmap(NULL, large, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    for (int i = right = 0; i < 64; i++) {
        char *at = heap + (size_t)i * (large / 64);
        mprotect(at, PAGE, PROT_READ | PROT_WRITE);
        emit(at, i);
        mprotect(at, PAGE, PROT_READ | PROT_EXEC);
        right += run(at) == i;
    }
    CHECK_EQ("pages committed in a reserved span, as V8 does", right, 64);
    madvise(heap, PAGE, MADV_DONTNEED);
    CHECK("DONTNEED takes the code away", heap[0] == 0);
    munmap(heap, large);
    check_fault("and munmap all", attempt(heap + large / 64, EXECUTE), SIGSEGV, SEGV_MAPERR, heap + large / 64);
    return check_done();
}
