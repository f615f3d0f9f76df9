// kinds: static dynamic
// mmap and munmap: flags, placement, splitting, refusals.
#include "fault.h"

static void *map(void *at, size_t length, int protection, int flags) {
    return mmap(at, length, protection, flags | MAP_ANONYMOUS, -1, 0);
}

int main(void) {
    catch_faults();
    const int both = PROT_READ | PROT_WRITE;
    char *area = map(NULL, 16 * PAGE, both, MAP_PRIVATE);
    CHECK("anonymous memory", area != MAP_FAILED && (uintptr_t)area % PAGE == 0);
    bool zero = true;
    for (size_t i = 0; i < 16 * PAGE; i++) zero &= area[i] == 0;
    CHECK("is zero", zero);
    memset(area, 'a', 16 * PAGE);

    MUST(munmap(area + 5 * PAGE, 3 * PAGE) == 0);
    check_fault("a hole in the middle: its first byte", attempt(area + 5 * PAGE, READ), SIGSEGV, SEGV_MAPERR, area + 5 * PAGE);
    check_fault("its last byte", attempt(area + 8 * PAGE - 1, READ), SIGSEGV, SEGV_MAPERR, area + 8 * PAGE - 1);
    CHECK("the sides keep their bytes", area[5 * PAGE - 1] == 'a' && area[8 * PAGE] == 'a');
    CHECK("munmap of a hole is no error", munmap(area + 5 * PAGE, 3 * PAGE) == 0);
    char *again = map(area + 5 * PAGE, 3 * PAGE, both, MAP_PRIVATE | MAP_FIXED_NOREPLACE);
    CHECK("MAP_FIXED_NOREPLACE into the hole", again == area + 5 * PAGE && again[0] == 0);
    CHECK_ERRNO("MAP_FIXED_NOREPLACE over something", (long)map(area + 4 * PAGE, 3 * PAGE, both, MAP_PRIVATE | MAP_FIXED_NOREPLACE), EEXIST);
    CHECK("that kept its bytes", area[4 * PAGE] == 'a');
    char *replaced = map(area + 2 * PAGE, 2 * PAGE, PROT_READ, MAP_PRIVATE | MAP_FIXED);
    CHECK("MAP_FIXED replaces", replaced == area + 2 * PAGE && replaced[0] == 0 && area[2 * PAGE - 1] == 'a');
    check_fault("with its protection", attempt_store(replaced, 1), SIGSEGV, SEGV_ACCERR, replaced);
    CHECK("a hint that is free is taken", map(area + 64 * PAGE, PAGE, both, MAP_PRIVATE) != MAP_FAILED);
    char *far = (char *)0x123450000000;
    CHECK("a far hint is taken", map(far, PAGE, both, MAP_PRIVATE) == far);
    char *moved = map(far, PAGE, both, MAP_PRIVATE);
    CHECK("a hint that is taken is not", moved != far && moved != MAP_FAILED);
    CHECK("an odd hint is rounded", (uintptr_t)map(far + 3 * PAGE + 5, PAGE, both, MAP_PRIVATE) % PAGE == 0);
    CHECK("MAP_32BIT", (uintptr_t)map(NULL, PAGE, both, MAP_PRIVATE | MAP_32BIT) < 1ull << 31);
    char *low = (char *)0x10000;
    CHECK("the lowest address", map(low, PAGE, both, MAP_PRIVATE | MAP_FIXED_NOREPLACE) == low && (low[5] = 3) == 3);
    char *high = (char *)0x7ffffff00000;
    void *highest = map(high, PAGE, both, MAP_PRIVATE | MAP_FIXED_NOREPLACE);
    CHECK("near the highest address", highest == high || errno == EEXIST);

    CHECK_ERRNO("length 0", (long)map(NULL, 0, both, MAP_PRIVATE), EINVAL);
    CHECK_ERRNO("neither private nor shared", (long)map(NULL, PAGE, both, 0), EINVAL);
    CHECK_ERRNO("MAP_FIXED at an odd address", (long)map(area + 1, PAGE, both, MAP_PRIVATE | MAP_FIXED), EINVAL);
    CHECK_ERRNO("MAP_FIXED beyond the user half", (long)map((void *)0x7ffffffff000, PAGE, both, MAP_PRIVATE | MAP_FIXED), ENOMEM);
    CHECK_ERRNO("MAP_FIXED at a kernel address", (long)map((void *)0xffff800000000000, PAGE, both, MAP_PRIVATE | MAP_FIXED), ENOMEM);
    CHECK_ERRNO("a length beyond everything", (long)map(NULL, (size_t)1 << 62, both, MAP_PRIVATE), ENOMEM);
    CHECK_ERRNO("the largest length", (long)map(NULL, ~(size_t)0, both, MAP_PRIVATE), ENOMEM);
    CHECK_ERRNO("a closed descriptor", (long)mmap(NULL, PAGE, both, MAP_PRIVATE, 777, 0), EBADF);
    CHECK_ERRNO("an odd offset", (long)mmap(NULL, PAGE, both, MAP_PRIVATE, 0, 5), EINVAL);
    CHECK_ERRNO("munmap at an odd address", munmap(area + 1, PAGE), EINVAL);
    CHECK_ERRNO("munmap of length 0", munmap(area, 0), EINVAL);
    CHECK_ERRNO("munmap beyond the user half", munmap((void *)0x7fffffffe000, 0x10000), EINVAL);
    CHECK_ERRNO("munmap that wraps", munmap((void *)area, ~(size_t)0 & ~(PAGE - 1)), EINVAL);
    CHECK("munmap of an odd length takes the page", munmap(area + 15 * PAGE, 10) == 0 && attempt(area + 15 * PAGE + 100, READ).signal == SIGSEGV);

    char *none = map(NULL, (size_t)1 << 36, PROT_NONE, MAP_PRIVATE | MAP_NORESERVE);
    CHECK("64 GiB of PROT_NONE", none != MAP_FAILED);
    check_fault("which cannot be read", attempt(none + (1ull << 35), READ), SIGSEGV, SEGV_ACCERR, none + (1ull << 35));
    CHECK_EQ("a page in it is opened", mprotect(none + (1ull << 35), PAGE, both), 0);
    check_allowed("and used", attempt(none + (1ull << 35), WRITE));
    // Where MemorySanitizer's first mappings stand, one above the other.
    const uintptr_t halves[] = {(uintptr_t)3 << 44, (uintptr_t)4 << 44};
    for (int i = 0; i < 2; i++) {
        void *at = (void *)halves[i];
        CHECK("16 TiB without access, up to the middle and above it", map(at, (size_t)1 << 44, PROT_NONE, MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE) == at);
        CHECK_EQ("which cannot be read", attempt((char *)at + ((size_t)1 << 43), READ).signal, SIGSEGV);
    }
    for (int i = 0; i < 2; i++) CHECK_EQ("and go away", munmap((void *)halves[i], (size_t)1 << 44), 0);
    char *huge = map(NULL, (size_t)1 << 40, both, MAP_PRIVATE | MAP_NORESERVE);
    CHECK("1 TiB of MAP_NORESERVE", huge != MAP_FAILED);
    huge[0] = 1, huge[1ull << 39] = 2, huge[(1ull << 40) - 1] = 3;
    CHECK("touched at three places", huge[0] + huge[1ull << 39] + huge[(1ull << 40) - 1] == 6);
    CHECK("and freed", munmap(huge, (size_t)1 << 40) == 0 && munmap(none, (size_t)1 << 36) == 0);

    char *populated = map(NULL, 64 * PAGE, both, MAP_PRIVATE | MAP_POPULATE);
    unsigned char resident[64];
    MUST(mincore(populated, 64 * PAGE, resident) == 0);
    int present = 0;
    for (int i = 0; i < 64; i++) present += resident[i] & 1;
    CHECK_EQ("MAP_POPULATE fills", present, 64);
    char *shared = map(NULL, PAGE, both, MAP_SHARED);
    pid_t child = fork();
    if (child == 0) _exit(shared[0] = 1);
    waitpid(child, NULL, 0);
    CHECK_EQ("shared anonymous memory", shared[0], 1);
    CHECK("MAP_STACK and MAP_GROWSDOWN are taken", map(NULL, 2 * PAGE, both, MAP_PRIVATE | MAP_STACK | MAP_GROWSDOWN) != MAP_FAILED);
    CHECK("an unknown flag is ignored without VALIDATE", map(NULL, PAGE, both, MAP_PRIVATE | (1 << 25)) != MAP_FAILED);
    int fd = memfd_create("file", 0);
    MUST(ftruncate(fd, 4 * PAGE) == 0);
    CHECK_ERRNO("and refused with it", (long)mmap(NULL, PAGE, both, MAP_SHARED_VALIDATE | (1 << 25), fd, 0), EOPNOTSUPP);
    char *offset = mmap(NULL, PAGE, both, MAP_SHARED, fd, 2 * PAGE);
    offset[0] = 'q';
    char byte = 0;
    CHECK("a file at an offset", pread(fd, &byte, 1, 2 * PAGE) == 1 && byte == 'q');
    int reader = open("/proc/self/exe", O_RDONLY), writer = memfd_create("write-only", 0), blind = open("/dev/null", O_WRONLY);
    CHECK_ERRNO("shared writable needs a writable descriptor", (long)mmap(NULL, PAGE, both, MAP_SHARED, reader, 0), EACCES);
    CHECK_ERRNO("any mapping needs a readable one", (long)mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, blind, 0), EACCES);
    CHECK("private writable does not", mmap(NULL, PAGE, both, MAP_PRIVATE, reader, 0) != MAP_FAILED);
    CHECK("a closed file stays mapped", (close(fd), offset[0] == 'q'));
    int directory = open("/", O_RDONLY | O_DIRECTORY);
    CHECK_ERRNO("a directory", (long)mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, directory, 0), ENODEV);
    int zeros = open("/dev/zero", O_RDWR);
    char *device = mmap(NULL, PAGE, both, MAP_PRIVATE, zeros, 0);
    CHECK("/dev/zero", device != MAP_FAILED && device[7] == 0 && (device[7] = 1) == 1);
    CHECK_ERRNO("a pipe", (long)({ int ends[2]; MUST(pipe(ends) == 0); mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, ends[0], 0); }), ENODEV);
    close(writer);

    enum { MANY = 3000 };
    static char *pieces[MANY];
    int right = 0;
    for (int i = 0; i < MANY; i++) {
        pieces[i] = map(NULL, PAGE * (size_t)(1 + i % 3), i % 2 ? both : PROT_READ, MAP_PRIVATE);
        if (i % 2) pieces[i][0] = (char)i;
    }
    for (int i = 0; i < MANY; i += 3) munmap(pieces[i], PAGE * (size_t)(1 + i % 3));
    for (int i = 1; i < MANY; i++) right += i % 3 == 0 || pieces[i][0] == (i % 2 ? (char)i : 0);
    CHECK_EQ("three thousand mappings, a third unmapped", right, MANY - 1);
    right = 0;
    for (int i = 0; i < 2000; i++) {
        char *piece = map(NULL, 8 * PAGE, both, MAP_PRIVATE);
        piece[i % 8 * (int)PAGE] = 1;
        right += munmap(piece, 8 * PAGE) == 0;
    }
    CHECK_EQ("two thousand maps and unmaps", right, 2000);
    uintptr_t first = (uintptr_t)map(NULL, PAGE, both, MAP_PRIVATE), second = (uintptr_t)map(NULL, PAGE, both, MAP_PRIVATE);
    CHECK("mappings grow downwards", second < first);
    return check_done();
}
