// The whole address space taken away, mapped over, protected: it is the attacker's own loss.
#include "survive.h"
#include <pthread.h>
#include <setjmp.h>

static int unmaps_all(void *unused) {
    munmap(NULL, 0x7ffffffff000);
    return unused != NULL;
}
static int unmaps_in_steps(void *step) {
    for (uintptr_t at = 0; at < 0x800000000000; at += (uintptr_t)step) munmap((void *)at, (size_t)step);
    return 0;
}
static int protects_all(void *protection) {
    // mprotect stops at the first hole: page ranges of the maps, one by one.
    static char text[1 << 16];
    int fd = open("/proc/self/maps", O_RDONLY);
    ssize_t length = 0, part;
    while ((part = read(fd, text + length, sizeof text - 1 - (size_t)length)) > 0) length += part;
    for (char *line = text; *line;) {
        unsigned long start, end;
        char *next = strchr(line, '\n');
        if (sscanf(line, "%lx-%lx", &start, &end) == 2) syscall(SYS_mprotect, start, end - start, (long)protection);
        if (!next) break;
        line = next + 1;
    }
    return 0;
}
static int maps_over_all(void *flags) {
    for (uintptr_t at = 0; at < 0x800000000000; at += 1ull << 40)
        mmap((void *)at, 1ull << 40, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | (int)(long)flags, -1, 0);
    return 0;
}
static int maps_fixed_all(void *unused) {
    mmap((void *)0x10000, 0x7ffffffe0000, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
    return unused != NULL;
}
static int remaps_all(void *unused) {
    for (uintptr_t at = 0; at < 0x800000000000; at += 1ull << 38)
        mremap((void *)at, PAGE, 1 << 20, MREMAP_MAYMOVE | MREMAP_FIXED, (void *)(at ^ (1ull << 45)));
    return unused != NULL;
}
static int advises_all(void *advice) {
    madvise(NULL, 0x7ffffffff000, (int)(long)advice);
    return 0;
}
static int removes_stack(void *unused) {
    volatile char here = 0;
    uintptr_t page = (uintptr_t)&here & ~(PAGE - 1);
    munmap((void *)(page - 64 * PAGE), 128 * PAGE);
    return unused != NULL;
}
static int removes_vdso(void *unused) {
    (void)unused;
    unsigned long start = 0, end = 0;
    char *line = strstr(read_file("/proc/self/maps"), "[vdso]");
    if (!line) return 0;
    while (line[-1] != '\n') line--;
    sscanf(line, "%lx-%lx", &start, &end);
    if (munmap((void *)start, end - start)) return 1;
    struct timespec now;
    return syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now) ? 2 : 0;
}
static int writes_vdso(void *unused) {
    unsigned long start = 0, end = 0;
    char *line = strstr(read_file("/proc/self/maps"), "[vdso]");
    if (!line) return 0;
    while (line[-1] != '\n') line--;
    sscanf(line, "%lx-%lx", &start, &end);
    if (mprotect((void *)start, end - start, PROT_READ | PROT_WRITE | PROT_EXEC)) return 1;
    // Linux gives a private copy: this process's own, whatever it writes there.
    memset((void *)start, 0xcc, 16);
    return unused != NULL;
}

/// One page in each of thousands of places far apart: memory slots run out before the address space does.
static int scatters(void *step) {
    long made = 0;
    for (uintptr_t at = 0x100000000; at < 0x700000000000 && made < 3000; at += (uintptr_t)step) {
        char *page = mmap((void *)at, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
        if (page == MAP_FAILED) {
            if (errno == ENOMEM) break;
            continue;
        }
        page[0] = 1;
        made++;
    }
    return made < 100 ? 77 : 0;
}
static int many_mappings(void *unused) {
    long made = 0;
    for (; made < 70000; made++)
        if (mmap(NULL, PAGE, made % 2 ? PROT_READ : PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED) break;
    int error = errno;
    return made < 60000 || (made < 70000 && error != ENOMEM) ? 77 : unused != NULL;
}

static atomic_int stop;
static char *arena;
static void *maps_and_unmaps(void *seed) {
    unsigned state = (unsigned)(long)seed;
    while (!stop) {
        state = state * 1103515245 + 12345;
        char *at = arena + (state >> 16) % 64 * PAGE;
        size_t pages = 1 + (state >> 8) % 8;
        switch (state >> 28) {
        case 0: case 1: munmap(at, pages * PAGE); break;
        case 2: case 3: case 4: mmap(at, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0); break;
        case 5: mprotect(at, pages * PAGE, PROT_READ); break;
        case 6: mprotect(at, pages * PAGE, PROT_NONE); break;
        case 7: madvise(at, pages * PAGE, MADV_DONTNEED); break;
        case 8: mremap(at, pages * PAGE, pages * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, arena + (state >> 4) % 64 * PAGE); break;
        default: mprotect(at, pages * PAGE, PROT_READ | PROT_WRITE | PROT_EXEC);
        }
    }
    return NULL;
}
static __thread volatile long touched;
static __thread sigjmp_buf back;
static void skip(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)info, (void)context;
    siglongjmp(back, 1);
}
static void *touches(void *seed) {
    volatile unsigned state = (unsigned)(long)seed;
    while (!stop) {
        state = state * 1103515245 + 12345;
        if (sigsetjmp(back, 1) == 0) {
            char *at = arena + (state >> 16) % 72 * PAGE;
            if (state & 0x100) *(volatile char *)at = 1;
            else (void)*(volatile char *)at;
            touched++;
        }
        int fd = (int)((state >> 3) & 1);
        if (fd) syscall(SYS_getrandom, arena + (state >> 10) % 72 * PAGE, 100, 0);
    }
    return NULL;
}
static int races(void *unused) {
    arena = map_pages(72, PROT_READ | PROT_WRITE);
    struct sigaction action = {.sa_sigaction = skip, .sa_flags = SA_SIGINFO | SA_NODEFER};
    sigaction(SIGSEGV, &action, NULL), sigaction(SIGBUS, &action, NULL);
    pthread_t threads[6];
    for (long i = 0; i < 6; i++) pthread_create(&threads[i], NULL, i % 2 ? touches : maps_and_unmaps, (void *)(i + 17));
    for (int i = 0; i < 20; i++) {
        sleep_ms(100);
        pid_t child = fork();
        if (child == 0) _exit(0);
        if (child > 0) waitpid(child, NULL, 0);
    }
    stop = 1;
    for (int i = 0; i < 6; i++) pthread_join(threads[i], NULL);
    return unused != NULL;
}

int main(void) {
    dies_of("munmap of everything", unmaps_all, NULL, SIGSEGV);
    survive("munmap of everything, a tebibyte at a time", unmaps_in_steps, (void *)(1ull << 40));
    survive("mprotect of everything: none", protects_all, (void *)PROT_NONE);
    survive("mprotect of everything: read", protects_all, (void *)PROT_READ);
    survive("mprotect of everything: all", protects_all, (void *)7);
    survive("mmap everywhere without replacing", maps_over_all, (void *)MAP_FIXED_NOREPLACE);
    survive("mmap over everything, a tebibyte at a time", maps_over_all, (void *)MAP_FIXED);
    survive("mmap over everything at once", maps_fixed_all, NULL);
    survive("mremap from everywhere to everywhere", remaps_all, NULL);
    survive("madvise DONTNEED of everything", advises_all, (void *)MADV_DONTNEED);
    survive("madvise HUGEPAGE of everything", advises_all, (void *)MADV_HUGEPAGE);
    survive("munmap of the stack one stands on", removes_stack, NULL);
    survive("munmap of the vDSO", removes_vdso, NULL);
    survive("writing the vDSO", writes_vdso, NULL);
    struct timespec now;
    CHECK("the parent's vDSO is as it was", clock_gettime(CLOCK_MONOTONIC, &now) == 0 && now.tv_sec > 0);
    survive("pages 2 GiB apart", scatters, (void *)(1ull << 31));
    survive("pages 8 GiB apart", scatters, (void *)(1ull << 33));
    survive("seventy thousand mappings", many_mappings, NULL);
    survive("threads that map, unmap and touch at once", races, NULL);
    check_works("the parent still works");
    return check_done();
}
