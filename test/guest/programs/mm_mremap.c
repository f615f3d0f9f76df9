// mremap: shrink, grow in place, move, FIXED, DONTUNMAP, over several kinds of memory.
#include "fault.h"

static char *filled(size_t pages) {
    char *memory = map_pages(pages, PROT_READ | PROT_WRITE);
    for (size_t i = 0; i < pages; i++) memset(memory + i * PAGE, (int)('a' + i), PAGE);
    return memory;
}

static bool holds(const char *memory, size_t pages) {
    for (size_t i = 0; i < pages; i++)
        if (memory[i * PAGE] != (char)('a' + i) || memory[i * PAGE + PAGE - 1] != (char)('a' + i)) return false;
    return true;
}

int main(void) {
    catch_faults();
    char *area = filled(8), *moved;
    CHECK("shrink stays", mremap(area, 8 * PAGE, 5 * PAGE, 0) == area && holds(area, 5));
    check_fault("what was cut is gone", attempt(area + 5 * PAGE, READ), SIGSEGV, SEGV_MAPERR, area + 5 * PAGE);
    CHECK("grow into the space behind", mremap(area, 5 * PAGE, 7 * PAGE, 0) == area && holds(area, 5) && area[6 * PAGE] == 0);
    area[6 * PAGE] = 1;
    char *wall = mmap(area + 7 * PAGE, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    MUST(wall == area + 7 * PAGE);
    CHECK_ERRNO("grow without room", (long)mremap(area, 7 * PAGE, 9 * PAGE, 0), ENOMEM);
    moved = mremap(area, 7 * PAGE, 64 * PAGE, MREMAP_MAYMOVE);
    CHECK("grow by moving", moved != MAP_FAILED && moved != area && holds(moved, 5) && moved[6 * PAGE] == 1 && moved[63 * PAGE] == 0);
    check_fault("the old place is gone", attempt(area, READ), SIGSEGV, SEGV_MAPERR, area);
    char *target = map_pages(70, PROT_READ);
    char *fixed = mremap(moved, 64 * PAGE, 64 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, target + PAGE);
    CHECK("MREMAP_FIXED", fixed == target + PAGE && holds(fixed, 5));
    check_fault("replaces what was there", attempt_store(target, 1), SIGSEGV, SEGV_ACCERR, target);
    check_fault("and leaves the old place", attempt(moved, READ), SIGSEGV, SEGV_MAPERR, moved);
    fixed[PAGE] = 'z';
    CHECK("the moved memory is writable", fixed[PAGE] == 'z');
    fixed[PAGE] = 'b';

    char *kept = filled(4);
    char *copy = mremap(kept, 4 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL);
    CHECK("MREMAP_DONTUNMAP moves the pages", copy != MAP_FAILED && copy != kept && holds(copy, 4));
    CHECK("and leaves empty ones", kept[0] == 0 && kept[3 * PAGE] == 0 && (kept[0] = 5) == 5);
    CHECK("they are not the same", copy[0] == 'a');
    CHECK_ERRNO("DONTUNMAP of another size", (long)mremap(kept, 4 * PAGE, 5 * PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP), EINVAL);

    CHECK_ERRNO("an odd address", (long)mremap(copy + 1, PAGE, PAGE, 0), EINVAL);
    CHECK_ERRNO("new size 0", (long)mremap(copy, PAGE, 0, 0), EINVAL);
    CHECK_ERRNO("bad flags", (long)mremap(copy, PAGE, PAGE, 64), EINVAL);
    CHECK_ERRNO("FIXED without MAYMOVE", (long)mremap(copy, PAGE, PAGE, MREMAP_FIXED, target), EINVAL);
    CHECK_ERRNO("FIXED onto itself", (long)mremap(copy, 4 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, copy + PAGE), EINVAL);
    CHECK_ERRNO("an unmapped range", (long)mremap(moved, PAGE, 2 * PAGE, MREMAP_MAYMOVE), EFAULT);
    CHECK_ERRNO("FIXED beyond the user half", (long)mremap(copy, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, (void *)0x7ffffffff000), EINVAL);

    char *middle = filled(10);
    char *taken = mremap(middle + 3 * PAGE, 2 * PAGE, 6 * PAGE, MREMAP_MAYMOVE);
    CHECK("the middle of a mapping moves", taken != MAP_FAILED && taken[0] == 'd' && taken[PAGE] == 'e' && taken[5 * PAGE] == 0);
    CHECK("its sides stay", middle[3 * PAGE - 1] == 'c' && middle[5 * PAGE] == 'f');
    check_fault("a hole is left", attempt(middle + 3 * PAGE, READ), SIGSEGV, SEGV_MAPERR, middle + 3 * PAGE);

    int fd = memfd_create("file", 0);
    MUST(ftruncate(fd, 8 * PAGE) == 0);
    char *file = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, PAGE);
    file[0] = 'F';
    char *grown = mremap(file, 2 * PAGE, 6 * PAGE, MREMAP_MAYMOVE);
    CHECK("a file mapping grows over more of the file", grown != MAP_FAILED && grown[0] == 'F');
    grown[5 * PAGE] = 'G';
    char byte = 0;
    CHECK("coherent with it", pread(fd, &byte, 1, 6 * PAGE) == 1 && byte == 'G');
    char *double_map = mremap(grown, 0, 6 * PAGE, MREMAP_MAYMOVE);
    CHECK("old size 0 maps shared memory twice", double_map != MAP_FAILED && double_map[0] == 'F');
    double_map[7] = 'd';
    CHECK("both are one", grown[7] == 'd');
    char *private = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    private[5] = 'p';
    private = mremap(private, 2 * PAGE, 4 * PAGE, MREMAP_MAYMOVE);
    CHECK("a private file mapping keeps its copy", private[5] == 'p' && private[PAGE] == 'F');
    CHECK_ERRNO("old size 0 of private memory", (long)mremap(private, 0, PAGE, MREMAP_MAYMOVE), EINVAL);

    size_t size = 1 << 20;
    char *growing = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(growing, 0x11, size);
    bool right = true;
    while (size < 64 << 20) {
        growing = mremap(growing, size, size * 2, MREMAP_MAYMOVE);
        MUST(growing != MAP_FAILED);
        right &= growing[0] == 0x11 && growing[size - 1] == 0x11 && growing[size] == 0;
        memset(growing + size, 0x11, size);
        size *= 2;
    }
    CHECK("one to 64 MiB by doubling", right);
    munmap(growing, size);
    char *executable = filled(1);
    executable[0] = (char)0xc3;
    mprotect(executable, PAGE, PROT_READ | PROT_EXEC);
    check_allowed("code runs", attempt(executable, EXECUTE));
    char *code = mremap(executable, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, target);
    check_allowed("and runs where it was moved", attempt(code, EXECUTE));
    check_fault("and not where it was", attempt(executable, EXECUTE), SIGSEGV, SEGV_MAPERR, executable);
    pid_t child = fork();
    if (child == 0) {
        char *there = mremap(copy, 4 * PAGE, 40 * PAGE, MREMAP_MAYMOVE);
        _exit(there != MAP_FAILED && holds(there, 4) ? 0 : 1);
    }
    int status;
    waitpid(child, &status, 0);
    check_status("in a forked child", status, "exit 0");
    CHECK("the parent's is where it was", holds(copy, 4));
    return check_done();
}
