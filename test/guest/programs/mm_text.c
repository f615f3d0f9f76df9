// Code, constants and symbol tables of the program and its libraries: nothing may write them, neither the program nor the
// kernel on its behalf, until the program says otherwise, and then only in this process.
#include "check.h"
#include "fault.h"
#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <sys/auxv.h>
#include <sys/uio.h>

static const char constant[64] = "of the program's own";
static int zero;

/// The kernel writes there: what does it answer?
static int kernel_writes(void *at) {
    char before[8];
    memcpy(before, at, 8);
    errno = 0;
    if (read(zero, at, 8) != -1) return 0;
    int first = errno;
    struct iovec vector = {at, 8};
    if (readv(zero, &vector, 1) != -1 || errno != first) return -1;
    if (pread(zero, at, 8, 0) != -1 || errno != first) return -1;
    return memcmp(before, at, 8) == 0 ? first : -2;
}

struct segments {
    const char *name;
    int read_only, code, wrong;
};
static int each(struct dl_phdr_info *info, size_t size, void *raw) {
    (void)size;
    struct segments *s = raw;
    if (info->dlpi_addr == 0 || strstr(info->dlpi_name, "vdso")) return 0;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[i];
        bool relocated = p->p_type == PT_GNU_RELRO;
        if (!relocated && (p->p_type != PT_LOAD || (p->p_flags & PF_W))) continue;
        uintptr_t start = info->dlpi_addr + p->p_vaddr;
        // The page that RELRO ends in stays writable.
        uintptr_t end = relocated ? (start + p->p_memsz) & ~(PAGE - 1) : start + p->p_filesz;
        if (p->p_flags & PF_X) s->code++;
        else s->read_only++;
        for (uintptr_t at = start; at + 8 <= end; at += 5 * PAGE)
            if (kernel_writes((void *)at) != EFAULT) s->wrong++;
    }
    return 0;
}

static void kept_from_the_kernel(const char *when) {
    struct segments s = {0};
    dl_iterate_phdr(each, &s);
    char name[100];
    snprintf(name, sizeof name, "every segment that is not writable refuses, %s", when);
    CHECK_EQ(name, s.wrong, 0);
    CHECK("there are some", s.read_only >= 3 && s.code >= 3);
}

__attribute__((noinline)) static int signal_of(void *at, enum access access) { return attempt(at, access).signal; }

static void kept_from_stores(void) {
    void *places[] = {(void *)constant, (void *)kept_from_stores, dlsym(RTLD_DEFAULT, "read"), (void *)((uintptr_t)getauxval(AT_BASE) + 64)};
    for (size_t i = 0; i < COUNT(places); i++)
        CHECK("a store is a fault", signal_of(places[i], WRITE) == SIGSEGV);
}

// The only one on its page.
__attribute__((noinline, noclone, section(".text.apart"), aligned(4096))) static int answer(void) { return 41; }
__attribute__((noinline, section(".text.apart"), aligned(4096))) static int in_child_only(void *raw) {
    (void)raw;
    uintptr_t page = (uintptr_t)answer & ~(PAGE - 1);
    int (*volatile call)(void) = answer;
    if (mprotect((void *)page, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC) != 0) return 1;
    volatile unsigned char *code = (volatile unsigned char *)answer;
    for (int i = 0; i < 64; i++)
        if (code[i] == 41) {
            code[i] = 42;
            break;
        }
    if (call() != 42) return 2;
    unsigned char keep[8];
    for (int i = 0; i < 8; i++) keep[i] = code[i];
    if (read(zero, (void *)code, 8) != 8 || code[0]) return 3;  // now the kernel may as well
    for (int i = 0; i < 8; i++) code[i] = keep[i];
    if (mprotect((void *)page, PAGE, PROT_READ | PROT_EXEC) != 0) return 4;
    if (kernel_writes((void *)code) != EFAULT || signal_of((void *)code, WRITE) != SIGSEGV) return 5;
    if (call() != 42) return 6;
    if (mprotect((void *)page, PAGE, PROT_READ) != 0 || signal_of((void *)answer, EXECUTE) != SIGSEGV) return 7;
    if (mprotect((void *)page, PAGE, PROT_NONE) != 0 || read(zero, (void *)code, 1) != -1 || write(1, (const void *)code, 1) != -1) return 8;
    if (mprotect((void *)page, PAGE, PROT_READ | PROT_EXEC) != 0) return 9;
    return call() == 42 ? 0 : 10;
}

static int refuses(void *raw) {
    (void)raw;
    struct segments s = {0};
    dl_iterate_phdr(each, &s);
    return s.wrong;
}

int main(void) {
    zero = open("/dev/zero", O_RDONLY);
    MUST(zero >= 0);
    catch_faults();
    kept_from_the_kernel("at first");
    kept_from_stores();
    check_child("a forked child's are its own", in_child_only, NULL, "exit 0");
    CHECK_EQ("and the parent's as they were", answer(), 41);
    check_child("in a forked child", refuses, NULL, "exit 0");
    uintptr_t page = (uintptr_t)constant & ~(PAGE - 1);
    CHECK("they can be locked", mlock((void *)page, PAGE) == 0 && munlock((void *)page, PAGE) == 0);
    CHECK_ERRNO("but not made to be written", madvise((void *)page, PAGE, 23 /* MADV_POPULATE_WRITE */), EINVAL);
    CHECK("thrown away they come back", madvise((void *)page, PAGE, MADV_DONTNEED) == 0 && strcmp(constant, "of the program's own") == 0);
#if defined(__x86_64__)
    // A program that opens every protection key there is: none of this is kept by one that it could open.
    fault_seen.signal = 0;
    if (sigsetjmp(fault_jump, 1) == 0) __asm__ volatile("wrpkru" : : "a"(0), "c"(0), "d"(0));
    kept_from_the_kernel("whatever keys are open");
#endif
    kept_from_the_kernel("after all this");
    return check_done();
}
