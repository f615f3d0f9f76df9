// Locked memory: who may, how much, and how /proc shows it.
#include "check.h"
#include <sys/resource.h>

/// Of the mapping that holds ADDRESS: whether a flag is among its VmFlags in smaps.
static bool has_flag(void *address, const char *flag) {
    FILE *file = fopen("/proc/self/smaps", "r");
    MUST(file);
    char line[512];
    bool inside = false, found = false;
    while (fgets(line, sizeof line, file)) {
        unsigned long start, end;
        if (sscanf(line, "%lx-%lx ", &start, &end) == 2) inside = start <= (unsigned long)address && (unsigned long)address < end;
        if (inside && strncmp(line, "VmFlags:", 8) == 0) {
            char padded[8];
            snprintf(padded, sizeof padded, " %s ", flag);
            found = strstr(line, padded) != NULL;
        }
    }
    fclose(file);
    return found;
}
static char *pages(size_t count) {
    char *memory = mmap(NULL, count * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}
static size_t resident(char *memory, size_t count) {
    unsigned char flags[256];
    MUST(count <= sizeof flags && mincore(memory, count * PAGE, flags) == 0);
    size_t found = 0;
    for (size_t i = 0; i < count; i++) found += flags[i] & 1;
    return found;
}

static int ordinary_user(rlim_t limit) {
    struct rlimit locked = {limit, limit};
    return setrlimit(RLIMIT_MEMLOCK, &locked) || setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534);
}
static int with_limit(void *unused) {
    if (unused || ordinary_user(64 << 10)) return 1;
    if (mlockall(MCL_CURRENT) != -1 || errno != ENOMEM) return 2;
    if (mlockall(MCL_CURRENT | MCL_ONFAULT) != -1 || errno != ENOMEM) return 3;
    if (mlockall(MCL_CURRENT | MCL_FUTURE) != -1 || errno != ENOMEM) return 4;
    char *before = pages(64);
    if (!before) return 5;  // what was refused has no effect
    if (mlockall(MCL_FUTURE | MCL_ONFAULT)) return 6;
    if (pages(32) || errno != EAGAIN) return 7;
    if (mremap(before, 64 * PAGE, 65 * PAGE, MREMAP_MAYMOVE) == MAP_FAILED) return 8;
    char *few = pages(8);
    if (!few || resident(few, 8)) return 9;
    few[PAGE] = 1;
    if (!has_flag(few, "lo") || !has_flag(few, "lf")) return 10;
    if (mremap(few, 8 * PAGE, 64 * PAGE, MREMAP_MAYMOVE) != MAP_FAILED || errno != EAGAIN) return 11;
    if (sbrk(1 << 20) != (void *)-1) return 12;
    if (munlockall() || has_flag(few, "lo") || has_flag(few, "lf")) return 13;
    if (!pages(32)) return 14;
    if (mmap(NULL, 32 * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED, -1, 0) != MAP_FAILED || errno != EAGAIN) return 15;
    return 0;
}
static int without_right(void *unused) {
    if (unused || ordinary_user(0)) return 1;
    if (mlockall(MCL_FUTURE) != -1 || errno != EPERM) return 2;
    if (mlockall(MCL_CURRENT | MCL_ONFAULT) != -1 || errno != EPERM) return 3;
    if (mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED, -1, 0) != MAP_FAILED || errno != EPERM) return 4;
    char *memory = pages(1);
    return memory && mlock(memory, PAGE) == -1 && errno == EPERM ? 0 : 5;
}
static int all_of_it(void *unused) {
    if (unused) return 1;
    char *before = pages(16);
    if (mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT)) return 2;
    if (!has_flag(before, "lo") || !has_flag(before, "lf")) return 3;
    char *after = pages(16);
    if (resident(after, 16) || !has_flag(after, "lf")) return 4;
    if (mlockall(MCL_CURRENT | MCL_FUTURE)) return 5;
    if (resident(before, 16) != 16 || resident(after, 16) != 16 || has_flag(before, "lf") || !has_flag(before, "lo")) return 6;
    char *later = pages(16);
    if (resident(later, 16) != 16 || !has_flag(later, "lo") || has_flag(later, "lf")) return 7;
    if (mlockall(MCL_CURRENT)) return 8;
    return has_flag(pages(16), "lo") ? 9 : 0;
}

int main(void) {
    char *memory = pages(8);
    CHECK("a mapping is not locked", !has_flag(memory, "lo"));
    CHECK_EQ("mlock2 with MLOCK_ONFAULT", mlock2(memory, 4 * PAGE, MLOCK_ONFAULT), 0);
    CHECK("shows in smaps", has_flag(memory, "lo") && has_flag(memory, "lf"));
    CHECK("its neighbour is not", !has_flag(memory + 4 * PAGE, "lo") && !has_flag(memory + 4 * PAGE, "lf"));
    CHECK_EQ("mlock of it", mlock(memory, 4 * PAGE), 0);
    CHECK("then it is there", resident(memory, 4) == 4 && has_flag(memory, "lo") && !has_flag(memory, "lf"));
    CHECK("munlock", munlock(memory, 8 * PAGE) == 0 && !has_flag(memory, "lo"));
    CHECK_ERRNO("mlockall of nothing", mlockall(0), EINVAL);
    CHECK_ERRNO("mlockall with MCL_ONFAULT alone", mlockall(MCL_ONFAULT), EINVAL);
    check_child("mlockall in its kinds", all_of_it, NULL, "exit 0");
    check_child("a limit of 64 KiB", with_limit, NULL, "exit 0");
    check_child("no right to lock", without_right, NULL, "exit 0");
    return check_done();
}
