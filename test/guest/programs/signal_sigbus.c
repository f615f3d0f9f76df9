// SIGBUS past the end of a mapped file, with the address, in all the ways one gets there.
#include "fault.h"

static char *map_file(int fd, size_t pages, int protection, int flags) {
    char *memory = mmap(NULL, pages * PAGE, protection, flags, fd, 0);
    MUST(memory != MAP_FAILED);
    return memory;
}

int main(void) {
    catch_faults();
    enter_directory();
    int fd = open("file", O_RDWR | O_CREAT, 0600);
    MUST(ftruncate(fd, PAGE + 100) == 0);
    char *shared = map_file(fd, 4, PROT_READ | PROT_WRITE, MAP_SHARED);
    char *private = map_file(fd, 4, PROT_READ | PROT_WRITE, MAP_PRIVATE);
    check_allowed("the last page's tail reads as zeros", attempt(shared + PAGE + 4000, READ));
    check_fault("shared read past the end", attempt(shared + 2 * PAGE + 77, READ), SIGBUS, BUS_ADRERR, shared + 2 * PAGE + 77);
    check_fault("shared write past the end", attempt_store(shared + 3 * PAGE + 78, 1), SIGBUS, BUS_ADRERR, shared + 3 * PAGE + 78);
    check_fault("private read past the end", attempt(private + 2 * PAGE + 79, READ), SIGBUS, BUS_ADRERR, private + 2 * PAGE + 79);
    check_fault("private write past the end", attempt_store(private + 2 * PAGE + 80, 1), SIGBUS, BUS_ADRERR, private + 2 * PAGE + 80);

    MUST(ftruncate(fd, 4 * PAGE) == 0);
    check_allowed("after the file has grown it reads", attempt(shared + 2 * PAGE + 77, READ));
    check_allowed("and writes", attempt_store(shared + 3 * PAGE, 'x'));
    check_allowed("privately too", attempt_store(private + 3 * PAGE, 'y'));
    char byte = 0;
    CHECK("the file holds the shared write only", pread(fd, &byte, 1, 3 * PAGE) == 1 && byte == 'x');
    MUST(ftruncate(fd, PAGE) == 0);
    check_fault("truncated under a page in use", attempt(shared + 3 * PAGE, READ), SIGBUS, BUS_ADRERR, shared + 3 * PAGE);
    check_fault("a private copy goes too", attempt(private + 3 * PAGE, READ), SIGBUS, BUS_ADRERR, private + 3 * PAGE);
    check_allowed("what is left stays", attempt(shared + 10, WRITE));

    int memory = memfd_create("empty", 0);
    char *empty = map_file(memory, 2, PROT_READ | PROT_WRITE, MAP_SHARED);
    check_fault("an empty memfd", attempt(empty + 9, READ), SIGBUS, BUS_ADRERR, empty + 9);
    MUST(ftruncate(memory, 2 * PAGE) == 0);
    check_allowed("once it has pages", attempt(empty + 9, WRITE));
    empty[PAGE] = 'k';
    MUST(ftruncate(memory, 0) == 0);
    check_fault("and none again", attempt(empty + PAGE, READ), SIGBUS, BUS_ADRERR, empty + PAGE);
    MUST(ftruncate(memory, 2 * PAGE) == 0);
    CHECK("pages come back as zeros", empty[PAGE] == 0);

    check_fault("executing past the end", (mprotect(shared, 4 * PAGE, PROT_READ | PROT_EXEC), attempt(shared + 2 * PAGE, EXECUTE)),
                SIGBUS, BUS_ADRERR, shared + 2 * PAGE);
    int pipe_ends[2];
    MUST(pipe(pipe_ends) == 0);
    CHECK_ERRNO("a system call gets EFAULT instead", write(pipe_ends[1], shared + 2 * PAGE, 16), EFAULT);
    MUST(write(pipe_ends[1], "abc", 3) == 3);
    CHECK_ERRNO("read(2) into it too", read(pipe_ends[0], private + 2 * PAGE, 3), EFAULT);
    int pages = 0;
    char *many = map_file(fd, 64, PROT_READ, MAP_SHARED);
    for (int i = 1; i < 64; i++) {
        struct fault got = attempt(many + (size_t)i * PAGE + (size_t)i, READ);
        pages += got.signal == SIGBUS && got.address == many + (size_t)i * PAGE + (size_t)i;
    }
    CHECK_EQ("63 pages, each with its own address", pages, 63);
    return check_done();
}
