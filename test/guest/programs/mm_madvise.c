// madvise: what each advice does to bytes, to children, to files.
#include "fault.h"

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif

int main(void) {
    catch_faults();
    char *area = map_pages(16, PROT_READ | PROT_WRITE);
    memset(area, 'x', 16 * PAGE);
    CHECK_EQ("DONTNEED", madvise(area + 2 * PAGE, 2 * PAGE, MADV_DONTNEED), 0);
    CHECK("its pages are zero, the others are not", area[2 * PAGE] == 0 && area[4 * PAGE - 1] == 0 && area[4 * PAGE] == 'x' && area[2 * PAGE - 1] == 'x');
    area[2 * PAGE] = 'y';
    CHECK("and can be written", area[2 * PAGE] == 'y');
    CHECK_EQ("FREE", madvise(area + 8 * PAGE, PAGE, MADV_FREE), 0);
    CHECK("its page is old or zero", area[8 * PAGE] == 'x' || area[8 * PAGE] == 0);
    area[8 * PAGE] = 'w';
    CHECK("a write after it stays", area[8 * PAGE] == 'w');

    char *forked = map_pages(4, PROT_READ | PROT_WRITE);
    memset(forked, 'f', 4 * PAGE);
    CHECK_EQ("DONTFORK", madvise(forked + PAGE, PAGE, MADV_DONTFORK), 0);
    CHECK_EQ("WIPEONFORK", madvise(forked + 3 * PAGE, PAGE, MADV_WIPEONFORK), 0);
    pid_t child = fork();
    int status;
    if (child == 0) {
        struct fault got = attempt(forked + PAGE, READ);
        if (got.signal != SIGSEGV || got.code != SEGV_MAPERR || got.address != forked + PAGE) _exit(1);
        if (forked[0] != 'f' || forked[2 * PAGE] != 'f') _exit(2);
        if (forked[3 * PAGE] != 0) _exit(3);
        forked[3 * PAGE] = 'c';
        pid_t grandchild = fork();
        if (grandchild == 0) _exit(forked[3 * PAGE] == 0 ? 0 : 1);
        waitpid(grandchild, &status, 0);
        _exit(status ? 4 : 0);
    }
    waitpid(child, &status, 0);
    check_status("the child has neither", status, "exit 0");
    CHECK("the parent has both", forked[PAGE] == 'f' && forked[3 * PAGE] == 'f');
    madvise(forked + PAGE, PAGE, MADV_DOFORK), madvise(forked + 3 * PAGE, PAGE, MADV_KEEPONFORK);
    child = fork();
    if (child == 0) _exit(forked[PAGE] == 'f' && forked[3 * PAGE] == 'f' ? 0 : 1);
    waitpid(child, &status, 0);
    check_status("undone, the child has them", status, "exit 0");

    int fd = memfd_create("file", 0);
    MUST(ftruncate(fd, 4 * PAGE) == 0);
    char *shared = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    char *private = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    memset(shared, 's', 4 * PAGE), private[0] = 'p';
    CHECK("DONTNEED of a private file page gives the file's", madvise(private, PAGE, MADV_DONTNEED) == 0 && private[0] == 's');
    CHECK("DONTNEED of shared memory loses nothing", madvise(shared, PAGE, MADV_DONTNEED) == 0 && shared[0] == 's');
    CHECK("REMOVE punches a hole", madvise(shared + PAGE, PAGE, MADV_REMOVE) == 0 && shared[PAGE] == 0 && shared[2 * PAGE] == 's');
    CHECK_ERRNO("FREE of shared memory", madvise(shared, PAGE, MADV_FREE), EINVAL);
    CHECK_ERRNO("WIPEONFORK of shared memory", madvise(shared, PAGE, MADV_WIPEONFORK), EINVAL);

    char *lazy = map_pages(64, PROT_READ | PROT_WRITE);
    unsigned char resident[64];
    CHECK_EQ("POPULATE_WRITE", madvise(lazy, 32 * PAGE, MADV_POPULATE_WRITE), 0);
    MUST(mincore(lazy, 64 * PAGE, resident) == 0);
    int present = 0;
    for (int i = 0; i < 64; i++) present += resident[i] & 1;
    CHECK_EQ("fills half", present, 32);
    CHECK_EQ("POPULATE_READ", madvise(lazy + 32 * PAGE, 32 * PAGE, MADV_POPULATE_READ), 0);
    char *none = map_pages(2, PROT_NONE);
    CHECK_ERRNO("POPULATE_WRITE of PROT_NONE", madvise(none, PAGE, MADV_POPULATE_WRITE), EINVAL);

    size_t size = 16 << 20;
    char *big = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK("HUGEPAGE and NOHUGEPAGE", madvise(big, size, MADV_HUGEPAGE) == 0 && madvise(big, size / 2, MADV_NOHUGEPAGE) == 0);
    for (size_t i = 0; i < size; i += PAGE) big[i] = (char)(i >> 12);
    CHECK_EQ("DONTNEED of one page within a huge one", madvise(big + (12 << 20), PAGE, MADV_DONTNEED), 0);
    int right = 0;
    for (size_t i = 0; i < size; i += PAGE) right += big[i] == (i == 12 << 20 ? 0 : (char)(i >> 12));
    CHECK_EQ("only that page is lost", right, size / PAGE);
    const struct { int advice; const char *name; } harmless[] = {
        {MADV_NORMAL, "NORMAL"}, {MADV_RANDOM, "RANDOM"}, {MADV_SEQUENTIAL, "SEQUENTIAL"}, {MADV_WILLNEED, "WILLNEED"},
        {MADV_DONTDUMP, "DONTDUMP"}, {MADV_DODUMP, "DODUMP"}, {20, "COLD"}, {21, "PAGEOUT"}};
    for (size_t i = 0; i < COUNT(harmless); i++) {
        char name[64];
        area[0] = 'k';
        snprintf(name, sizeof name, "%s keeps the bytes", harmless[i].name);
        CHECK(name, madvise(area, PAGE, harmless[i].advice) == 0 && area[0] == 'k');
    }
    CHECK_ERRNO("an unknown advice", madvise(area, PAGE, 12345), EINVAL);
    CHECK_ERRNO("an odd address", madvise(area + 1, PAGE, MADV_DONTNEED), EINVAL);
    CHECK_EQ("length 0", madvise(area, 0, MADV_DONTNEED), 0);
    munmap(area + 5 * PAGE, PAGE);
    memset(area + 6 * PAGE, 'z', PAGE);
    CHECK_ERRNO("over a hole: ENOMEM", madvise(area + 4 * PAGE, 3 * PAGE, MADV_DONTNEED), ENOMEM);
    CHECK("and both sides are done", area[4 * PAGE] == 0 && area[6 * PAGE] == 0);
    CHECK_ERRNO("beyond the user half", madvise((void *)0xffff800000000000, PAGE, MADV_DONTNEED), ENOMEM);
    for (int i = 0; i < 500; i++) {
        memset(lazy, i, 8 * PAGE);
        madvise(lazy, 8 * PAGE, MADV_DONTNEED);
        if (lazy[7 * PAGE]) {
            CHECK_EQ("DONTNEED in a loop: turn", i, -1);
            break;
        }
    }
    CHECK("five hundred DONTNEEDs in turn", lazy[0] == 0);
    return check_done();
}
