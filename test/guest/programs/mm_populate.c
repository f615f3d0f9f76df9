// What madvise answers where memory cannot be made resident.
#include "check.h"
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif

int main(void) {
    enter_directory();
    const int both = PROT_READ | PROT_WRITE, plain = MAP_PRIVATE | MAP_ANONYMOUS;
    char *area = mmap(NULL, 16 * PAGE, both, plain, -1, 0);
    MUST(area != MAP_FAILED && mprotect(area + 4 * PAGE, PAGE, PROT_READ) == 0 && mprotect(area + 5 * PAGE, PAGE, PROT_NONE) == 0 &&
         mprotect(area + 6 * PAGE, PAGE, PROT_WRITE) == 0 && munmap(area + 8 * PAGE, 2 * PAGE) == 0);
    unsigned char resident[4];
    CHECK_EQ("POPULATE_READ", madvise(area, 2 * PAGE, MADV_POPULATE_READ), 0);
    CHECK_EQ("POPULATE_WRITE", madvise(area + 2 * PAGE, 2 * PAGE, MADV_POPULATE_WRITE), 0);
    CHECK("they are there", mincore(area, 4 * PAGE, resident) == 0 && (resident[2] & resident[3] & 1));
    CHECK_EQ("POPULATE_READ of what may be read", madvise(area + 4 * PAGE, PAGE, MADV_POPULATE_READ), 0);
    CHECK_ERRNO("POPULATE_WRITE of what may only be read", madvise(area + 4 * PAGE, PAGE, MADV_POPULATE_WRITE), EINVAL);
    CHECK_ERRNO("POPULATE_READ of PROT_NONE", madvise(area + 5 * PAGE, PAGE, MADV_POPULATE_READ), EINVAL);
    CHECK_ERRNO("POPULATE_WRITE of PROT_NONE", madvise(area + 5 * PAGE, PAGE, MADV_POPULATE_WRITE), EINVAL);
    CHECK_ERRNO("POPULATE_READ of what may only be written", madvise(area + 6 * PAGE, PAGE, MADV_POPULATE_READ), EINVAL);
    CHECK_EQ("POPULATE_WRITE of what may only be written", madvise(area + 6 * PAGE, PAGE, MADV_POPULATE_WRITE), 0);
    CHECK_ERRNO("POPULATE_READ of nothing", madvise(area + 8 * PAGE, PAGE, MADV_POPULATE_READ), ENOMEM);
    CHECK_ERRNO("POPULATE_WRITE of nothing", madvise(area + 8 * PAGE, PAGE, MADV_POPULATE_WRITE), ENOMEM);
    MUST(mprotect(area + 11 * PAGE, PAGE, PROT_NONE) == 0);
    // It stops at the first page that it cannot make.
    CHECK_ERRNO("a hole before what may not be read", madvise(area + 7 * PAGE, 5 * PAGE, MADV_POPULATE_READ), ENOMEM);
    CHECK_ERRNO("a hole behind it", madvise(area + 5 * PAGE, 5 * PAGE, MADV_POPULATE_READ), EINVAL);
    CHECK("nothing behind the hole is made", madvise(area + 7 * PAGE, 6 * PAGE, MADV_POPULATE_WRITE) == -1 && mincore(area + 12 * PAGE, PAGE, resident) == 0);
    CHECK_ERRNO("an odd address", madvise(area + 1, PAGE, MADV_POPULATE_READ), EINVAL);
    CHECK_EQ("no length", madvise(area + 8 * PAGE, 0, MADV_POPULATE_READ), 0);

    int fd = open("file", O_RDWR | O_CREAT, 0600);
    MUST(fd >= 0 && ftruncate(fd, PAGE) == 0);
    const int kinds[] = {MAP_SHARED, MAP_PRIVATE};
    for (size_t i = 0; i < COUNT(kinds); i++) {
        char *file = mmap(NULL, 2 * PAGE, both, kinds[i], fd, 0);
        MUST(file != MAP_FAILED);
        CHECK_EQ("POPULATE_WRITE of a file", madvise(file, PAGE, MADV_POPULATE_WRITE), 0);
        CHECK_ERRNO("POPULATE_READ past its end", madvise(file, 2 * PAGE, MADV_POPULATE_READ), EFAULT);
        CHECK_ERRNO("POPULATE_WRITE past its end", madvise(file + PAGE, PAGE, MADV_POPULATE_WRITE), EFAULT);
    }
    char *only_read = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);
    CHECK_EQ("POPULATE_READ of a file that may be read", madvise(only_read, PAGE, MADV_POPULATE_READ), 0);
    CHECK_ERRNO("POPULATE_WRITE of it", madvise(only_read, PAGE, MADV_POPULATE_WRITE), EINVAL);
    return check_done();
}
