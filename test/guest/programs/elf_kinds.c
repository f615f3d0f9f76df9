// kinds: static static-pie dynamic dynamic-nopie
// How a program starts: auxiliary vector, stack, TLS, constructors, argv and environment, placement.
#include "check.h"
#include <elf.h>
#include <link.h>
#include <sys/auxv.h>

extern char **environ;
extern char __executable_start[], end[];
static int constructed;
static volatile char blank[20000];
static __thread int thread_local_value = 4711;
static const char *const relocated = "relocated";
__attribute__((constructor)) static void construct(void) { constructed = 1; }

static int count_loaded(struct dl_phdr_info *info, size_t size, void *counter) {
    (void)info, (void)size;
    ++*(int *)counter;
    return 0;
}

int main(int argc, char **argv) {
    CHECK_EQ("argc", argc, 1);
    CHECK("argv ends with NULL", argv[argc] == NULL);
    CHECK("environ follows argv", environ == argv + argc + 1);
    CHECK("constructor ran", constructed == 1);
    CHECK_EQ("TLS initialised", thread_local_value, 4711);
    CHECK_STRING("relocated pointer", relocated, "relocated");

    char **after = environ;
    while (*after) after++;
    ElfW(auxv_t) *auxv = (void *)(after + 1), *entry = auxv;
    int entries = 0, seen[64] = {0};
    for (; entry->a_type != AT_NULL; entry++, entries++)
        if (entry->a_type < 64) seen[entry->a_type]++;
    const struct { int type; const char *name; } wanted[] = {
        {AT_PHDR, "PHDR"}, {AT_PHENT, "PHENT"}, {AT_PHNUM, "PHNUM"}, {AT_PAGESZ, "PAGESZ"}, {AT_BASE, "BASE"},
        {AT_FLAGS, "FLAGS"}, {AT_ENTRY, "ENTRY"}, {AT_UID, "UID"}, {AT_EUID, "EUID"}, {AT_GID, "GID"},
        {AT_EGID, "EGID"}, {AT_SECURE, "SECURE"}, {AT_RANDOM, "RANDOM"}, {AT_HWCAP, "HWCAP"}, {AT_HWCAP2, "HWCAP2"},
        {AT_CLKTCK, "CLKTCK"}, {AT_PLATFORM, "PLATFORM"}, {AT_EXECFN, "EXECFN"}, {AT_SYSINFO_EHDR, "SYSINFO_EHDR"},
        {51, "MINSIGSTKSZ"},
    };
    for (size_t i = 0; i < COUNT(wanted); i++) {
        char name[64];
        snprintf(name, sizeof name, "auxv has AT_%s once", wanted[i].name);
        CHECK_EQ(name, seen[wanted[i].type], 1);
    }
    CHECK_EQ("AT_PAGESZ", getauxval(AT_PAGESZ), 4096);
    CHECK_EQ("AT_PHENT", getauxval(AT_PHENT), sizeof(ElfW(Phdr)));
    CHECK_EQ("AT_UID", getauxval(AT_UID), getuid());
    CHECK_EQ("AT_EGID", getauxval(AT_EGID), getegid());
    CHECK_EQ("AT_SECURE", getauxval(AT_SECURE), 0);
    CHECK_EQ("AT_CLKTCK", getauxval(AT_CLKTCK), sysconf(_SC_CLK_TCK));
    CHECK_EQ("AT_FLAGS", getauxval(AT_FLAGS), 0);
    CHECK_STRING("AT_PLATFORM", (char *)getauxval(AT_PLATFORM), "x86_64");
    CHECK_STRING("AT_EXECFN is argv[0] here", (char *)getauxval(AT_EXECFN), argv[0]);
    CHECK("AT_HWCAP is cpuid 1 edx", getauxval(AT_HWCAP) != 0);
    CHECK("AT_MINSIGSTKSZ covers the state", getauxval(51) >= 1024);
    const unsigned char *random = (void *)getauxval(AT_RANDOM);
    int differing = 0;
    for (int i = 1; i < 16; i++) differing |= random[i] ^ random[0];
    CHECK("AT_RANDOM is random", differing != 0);

    const ElfW(Phdr) *header = (void *)getauxval(AT_PHDR);
    uintptr_t load = 0;
    bool interpreter = false, found_load = false;
    for (unsigned long i = 0; i < getauxval(AT_PHNUM); i++) {
        if (header[i].p_type == PT_INTERP) interpreter = true;
        if (header[i].p_type == PT_LOAD && !found_load) {
            load = (uintptr_t)__executable_start - header[i].p_vaddr;
            found_load = true;
        }
    }
    CHECK("program headers hold a PT_LOAD", found_load);
    const ElfW(Ehdr) *elf = (void *)__executable_start;
    CHECK("ELF header is mapped", memcmp(elf->e_ident, ELFMAG, SELFMAG) == 0);
    CHECK_EQ("AT_ENTRY is e_entry at the load address", getauxval(AT_ENTRY), load + elf->e_entry);
    CHECK_EQ("AT_PHNUM is e_phnum", getauxval(AT_PHNUM), elf->e_phnum);
    CHECK("AT_BASE is set with an interpreter only", (getauxval(AT_BASE) != 0) == interpreter);
    const unsigned char *vdso = (void *)getauxval(AT_SYSINFO_EHDR);
    CHECK("vDSO is an ELF image", vdso && memcmp(vdso, ELFMAG, SELFMAG) == 0);
    int loaded = 0;
    dl_iterate_phdr(count_loaded, &loaded);
    CHECK("dl_iterate_phdr sees the program", loaded >= 1);

    uintptr_t stack = (uintptr_t)argv, brk = (uintptr_t)sbrk(0);
    CHECK("stack is above the brk", stack > brk);
    CHECK("stack is below 128 TiB", stack < 0x800000000000);
    // Linux may put the break of a PIE without an interpreter into another region than the program (fs/binfmt_elf.c).
    if (elf->e_type == ET_EXEC || interpreter) CHECK("brk is at or above the program's end", brk >= (uintptr_t)end);
    if (elf->e_type == ET_EXEC) CHECK("ET_EXEC is where it was linked", load == 0);
    else CHECK("PIE is where Linux puts it", load >= 0x550000000000 && load < 0x800000000000);
    CHECK_EQ("argv is aligned", stack % 8, 0);
    CHECK_EQ("argc lies below argv", *(long *)(argv - 1), argc);
    CHECK_EQ("stack pointer at entry was 16-aligned", (uintptr_t)(argv - 1) % 16, 0);
    CHECK("strings lie above auxv", (uintptr_t)argv[0] > (uintptr_t)entry);
    bool zero = true;
    for (size_t i = 0; i < sizeof blank; i++) zero &= blank[i] == 0;
    CHECK("bss is zero", zero);
    return check_done();
}
