// mprotect: every transition takes effect at once, for memory touched and untouched, one page and many.
#include "fault.h"
#include <pthread.h>
#include <sys/uio.h>

static const char *name_of(int protection) {
    static const char *names[] = {"none", "R", "W", "RW", "X", "RX", "WX", "RWX"};
    return names[protection & 7];
}

/// What each protection lets happen on x86-64: a writable or executable page is readable too.
static bool allows(int protection, enum access access) {
    if (access == READ) return protection != PROT_NONE;
    if (access == WRITE) return protection & PROT_WRITE;
    return protection & PROT_EXEC;
}

static void check_state(const char *name, char *page, int protection) {
    const char *verbs[] = {"read", "write", "execute"};
    char full[160];
    for (enum access access = READ; access <= EXECUTE; access++) {
        struct fault got = access == WRITE ? attempt_store(page + 8, 0x55) : attempt(page, access);
        bool may = allows(protection, access);
        snprintf(full, sizeof full, "%s: %s %s", name, verbs[access], may ? "works" : "faults");
        if (may) check_report(full, got.signal == 0, "got signal %d code %d address %p", got.signal, got.code, got.address);
        else {
            void *where = access == WRITE ? page + 8 : page;
            check_report(full, got.signal == SIGSEGV && got.code == SEGV_ACCERR && got.address == where,
                         "got signal %d code %d address %p, expected SIGSEGV ACCERR %p", got.signal, got.code, got.address, where);
        }
    }
}

static char *fresh(size_t pages, int kind) {
    char *memory;
    if (kind == 0) memory = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    else {
        int fd = memfd_create("pages", 0);
        MUST(ftruncate(fd, (off_t)(pages * PAGE)) == 0);
        memory = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, kind == 1 ? MAP_SHARED : MAP_PRIVATE, fd, 0);
        close(fd);
    }
    MUST(memory != MAP_FAILED);
    for (size_t i = 0; i < pages; i++) memory[i * PAGE] = (char)0xc3;
    return memory;
}

static volatile int phase;
static volatile char *contested;
static void *other_thread(void *unused) {
    while (phase == 0) {
    }
    for (int i = 0; i < 200; i++) {
        while (phase < 2 * i + 1) {
        }
        struct fault got = attempt_store(contested, (char)i);
        if (got.signal != SIGSEGV) return (void *)(long)(i + 1);
        phase = 2 * i + 2;
    }
    return unused;
}

int main(void) {
    catch_faults();
    const int all[] = {PROT_NONE, PROT_READ, PROT_READ | PROT_WRITE, PROT_READ | PROT_EXEC, PROT_READ | PROT_WRITE | PROT_EXEC};
    const char *kinds[] = {"anonymous", "shared file", "private file"};
    char name[128];
    for (int kind = 0; kind < 3; kind++) {
        for (size_t from = 0; from < COUNT(all); from++)
            for (size_t to = 0; to < COUNT(all); to++) {
                char *page = fresh(1, kind);
                MUST(mprotect(page, PAGE, all[from]) == 0);
                // Use what the first state allows, so that the translation is there to be taken away.
                if (allows(all[from], READ)) attempt(page, READ);
                if (allows(all[from], WRITE)) attempt_store(page + 8, 1);
                if (allows(all[from], EXECUTE)) attempt(page, EXECUTE);
                MUST(mprotect(page, PAGE, all[to]) == 0);
                snprintf(name, sizeof name, "%s %s to %s", kinds[kind], name_of(all[from]), name_of(all[to]));
                check_state(name, page, all[to]);
                munmap(page, PAGE);
            }
    }

    char *area = fresh(32, 0);
    for (size_t i = 0; i < 32; i++) area[i * PAGE + 1] = (char)i;
    MUST(mprotect(area + 10 * PAGE, 4 * PAGE, PROT_READ) == 0);
    check_fault("split: the middle is read-only", attempt_store(area + 12 * PAGE, 1), SIGSEGV, SEGV_ACCERR, area + 12 * PAGE);
    check_allowed("split: below it", attempt(area + 10 * PAGE - 1, WRITE));
    check_allowed("split: above it", attempt(area + 14 * PAGE, WRITE));
    for (size_t i = 0; i < 32; i += 2) MUST(mprotect(area + i * PAGE, PAGE, PROT_NONE) == 0);
    int right = 0;
    for (size_t i = 0; i < 32; i++) right += (attempt(area + i * PAGE, READ).signal == SIGSEGV) == (i % 2 == 0);
    CHECK_EQ("every second page", right, 32);
    MUST(mprotect(area, 32 * PAGE, PROT_READ | PROT_WRITE) == 0);
    right = 0;
    for (size_t i = 0; i < 32; i++) right += area[i * PAGE + 1] == (char)i && attempt(area + i * PAGE, WRITE).signal == 0;
    CHECK_EQ("merged again, bytes kept", right, 32);

    size_t large = 8 << 20;
    char *big = mmap(NULL, large, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    madvise(big, large, MADV_HUGEPAGE);
    memset(big, 1, large);
    MUST(mprotect(big + (3 << 20), PAGE, PROT_READ) == 0);
    check_fault("one page within a huge one", attempt_store(big + (3 << 20) + 5, 1), SIGSEGV, SEGV_ACCERR, big + (3 << 20) + 5);
    check_allowed("its neighbour", attempt(big + (3 << 20) + PAGE, WRITE));
    MUST(mprotect(big, large, PROT_READ) == 0);
    right = 0;
    for (size_t i = 0; i < large; i += 64 * PAGE) right += attempt_store(big + i, 1).signal == SIGSEGV;
    CHECK_EQ("eight megabytes at once", right, 32);
    munmap(big, large);

    CHECK_ERRNO("an odd address", mprotect(area + 1, PAGE, PROT_READ), EINVAL);
    CHECK_ERRNO("an unmapped page", (munmap(area + 31 * PAGE, PAGE), mprotect(area + 30 * PAGE, 2 * PAGE, PROT_READ)), ENOMEM);
    CHECK("the page before it was changed", attempt_store(area + 30 * PAGE, 1).signal == SIGSEGV);
    CHECK_EQ("length 0", mprotect(area, 0, PROT_READ), 0);
    CHECK_ERRNO("unknown bits", mprotect(area, PAGE, 0x100), EINVAL);
    int fd = open("/proc/self/exe", O_RDONLY);
    char *file = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);
    CHECK_ERRNO("a shared mapping of a read-only descriptor", mprotect(file, PAGE, PROT_READ | PROT_WRITE), EACCES);
    int zeros = open("/dev/zero", O_RDONLY), nulls = open("/dev/null", O_WRONLY);
    MUST(mprotect(area, PAGE, PROT_READ) == 0);
    CHECK_ERRNO("read(2) into read-only memory", read(zeros, area, 10), EFAULT);
    MUST(mprotect(area, PAGE, PROT_NONE) == 0);
    int ends[2];
    MUST(pipe(ends) == 0);
    CHECK_ERRNO("write(2) from PROT_NONE", write(ends[1], area, 10), EFAULT);
    MUST(mprotect(area, PAGE, PROT_READ | PROT_WRITE) == 0);
    struct iovec vectors[2] = {{area, 100}, {area + 31 * PAGE, 100}};
    CHECK_EQ("readv stops at a bad vector", readv(zeros, vectors, 2), 100);
    close(nulls);

    char *page = fresh(1, 0);
    contested = page + 16;
    pthread_t thread;
    pthread_create(&thread, NULL, other_thread, NULL);
    void *result;
    // The other thread's fault jumps through its own stack; this one only changes the protection.
    for (int i = 0; i < 200; i++) {
        mprotect(page, PAGE, PROT_READ | PROT_WRITE);
        *contested = 1;
        mprotect(page, PAGE, PROT_READ);
        phase = 2 * i + 1;
        while (phase != 2 * i + 2) {
            if (pthread_tryjoin_np(thread, &result) == 0) {
                CHECK_EQ("another thread sees a tightening at once, failed in turn", (long)result, 0);
                return check_done();
            }
        }
    }
    pthread_join(thread, &result);
    CHECK("another thread sees 200 tightenings at once", result == NULL);
    pid_t child = fork();
    if (child == 0) {
        mprotect(page, PAGE, PROT_READ | PROT_WRITE);
        _exit(attempt_store(page, 1).signal);
    }
    int status;
    waitpid(child, &status, 0);
    check_status("a forked child changes its own", status, "exit 0");
    CHECK("and not the parent's", attempt_store(page, 1).signal == SIGSEGV);
    return check_done();
}
