// File mappings: coherent with read and write, private copies, truncation, sync, many processes.
#include "fault.h"
#include <sys/uio.h>

int main(void) {
    catch_faults();
    enter_directory();
    int fd = open("file", O_RDWR | O_CREAT, 0600), status;
    char block[4 * 4096];
    for (size_t i = 0; i < sizeof block; i++) block[i] = (char)(i / PAGE + 'A');
    MUST(write(fd, block, sizeof block) == sizeof block);
    char *shared = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    char *private = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    char *reading = mmap(NULL, 4 * PAGE, PROT_READ, MAP_SHARED, fd, 0);
    CHECK("all show the file", shared[0] == 'A' && private[PAGE] == 'B' && reading[2 * PAGE] == 'C');
    MUST(pwrite(fd, "w", 1, 10) == 1);
    CHECK("write(2) shows in shared ones", shared[10] == 'w' && reading[10] == 'w');
    CHECK("and in a private one not yet copied", private[10] == 'w');
    shared[11] = 'm';
    char byte = 0;
    CHECK("a store shows in read(2)", pread(fd, &byte, 1, 11) == 1 && byte == 'm');
    CHECK("and in the other mapping", reading[11] == 'm');
    private[20] = 'p';
    CHECK("a private store stays private", shared[20] == 'A' && pread(fd, &byte, 1, 20) == 1 && byte == 'A');
    MUST(pwrite(fd, "q", 1, 21) == 1);
    CHECK("a copied page no longer follows the file", private[21] == 'A' && shared[21] == 'q');
    CHECK("the other pages do", (pwrite(fd, "r", 1, (off_t)PAGE), private[PAGE] == 'r'));
    MUST(pread(fd, private + 2 * PAGE, 5, 0) == 5);
    CHECK("read(2) into a private page copies it", private[2 * PAGE] == 'A' && shared[2 * PAGE] == 'C');
    MUST(pread(fd, shared + 3 * PAGE, 5, 0) == 5);
    CHECK("read(2) of a file into its own mapping", pread(fd, &byte, 1, 3 * (off_t)PAGE) == 1 && byte == 'A');
    pid_t child = fork();
    if (child == 0) {
        private[PAGE + 9] = 'k';
        shared[30] = 's';
        _exit(private[20] == 'p' ? 0 : 1);
    }
    waitpid(child, &status, 0);
    check_status("a child has the private copy", status, "exit 0");
    CHECK("its shared store arrives, its private one does not", reading[30] == 's' && private[PAGE + 9] == 'B');
    child = fork();
    if (child == 0) {
        int own = open("file", O_RDWR);
        char *mine = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, own, 0);
        mine[31] = 't';
        MUST(pwrite(own, "u", 1, 32) == 1);
        _exit(0);
    }
    waitpid(child, &status, 0);
    CHECK("another process's mapping and write arrive", shared[31] == 't' && shared[32] == 'u');

    CHECK_EQ("msync MS_SYNC", msync(shared, 4 * PAGE, MS_SYNC), 0);
    CHECK_EQ("msync MS_ASYNC", msync(shared, PAGE, MS_ASYNC), 0);
    CHECK_ERRNO("msync of both", msync(shared, PAGE, MS_SYNC | MS_ASYNC), EINVAL);
    CHECK_ERRNO("msync with flags that there are not, nowhere", msync((void *)-1, PAGE, -1), EINVAL);
    CHECK_ERRNO("msync at an odd address", msync(shared + 1, PAGE, MS_SYNC), EINVAL);
    munmap(reading + 2 * PAGE, PAGE);
    CHECK_ERRNO("msync over a hole", msync(reading, 4 * PAGE, MS_SYNC), ENOMEM);
    CHECK("rename and unlink do not matter", rename("file", "other") == 0 && unlink("other") == 0 && (shared[40] = 'x') == reading[40]);
    MUST(ftruncate(fd, (off_t)PAGE) == 0);
    check_fault("a truncated page", attempt(shared + PAGE, READ), SIGBUS, BUS_ADRERR, shared + PAGE);
    MUST(ftruncate(fd, 4 * (off_t)PAGE) == 0);
    CHECK("grown again it is zero", shared[PAGE] == 0 && private[PAGE] == 0);
    MUST(ftruncate(fd, 100) == 0);
    shared[200] = 'z';
    MUST(ftruncate(fd, 4 * (off_t)PAGE) == 0);
    CHECK("a store past the end within the page is lost", shared[200] == 0);

    int empty = open("new", O_RDWR | O_CREAT, 0600);
    char *early = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, empty, 0);
    MUST(early != MAP_FAILED && ftruncate(empty, 8 * (off_t)PAGE) == 0);
    for (size_t i = 0; i < 8; i++) early[i * PAGE] = (char)i;
    int right = 0;
    for (size_t i = 0; i < 8; i++) right += pread(empty, &byte, 1, (off_t)(i * PAGE)) == 1 && byte == (char)i;
    CHECK_EQ("mapped before it had any bytes", right, 8);
    struct stat info;
    CHECK("st_size is what was set", fstat(empty, &info) == 0 && info.st_size == 8 * (off_t)PAGE);
    posix_fallocate(empty, 0, 16 << 20);
    char *large = mmap(NULL, 16 << 20, PROT_READ | PROT_WRITE, MAP_SHARED, empty, 0);
    for (size_t i = 0; i < 16 << 20; i += PAGE) *(size_t *)(large + i) = i;
    right = 0;
    for (size_t i = 0; i < 16 << 20; i += PAGE) {
        size_t value = 1;
        right += pread(empty, &value, sizeof value, (off_t)i) == sizeof value && value == i;
    }
    CHECK_EQ("four thousand pages written by mapping", right, 4096);
    struct iovec vectors[2] = {{large, 8}, {large + PAGE, 8}};
    CHECK("pwritev from a mapping of the file itself", pwritev(empty, vectors, 2, 2 * (off_t)PAGE) == 16 && *(size_t *)(large + 2 * PAGE + 8) == PAGE);
    int copy = open("copy", O_RDWR | O_CREAT, 0600);
    CHECK_EQ("write of a whole mapping", write(copy, large, 16 << 20), 16 << 20);
    char *program = mmap(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE, open("/proc/self/exe", O_RDONLY), 0);
    CHECK("a file mapped executable reads", memcmp(program, "\177ELF", 4) == 0);
    int code = open("code", O_RDWR | O_CREAT, 0700);
    MUST(write(code, "\xb8\x2a\0\0\0\xc3", 6) == 6);
    int (*function)(void) = (int (*)(void))mmap(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE, code, 0);
    CHECK("and runs", function != MAP_FAILED && function() == 42);
    return check_done();
}
