// Limits on memory, locking, residence, overcommit.
#include "fault.h"
#include <sys/sysinfo.h>

static void *try_map(size_t length) {
    void *memory = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

static long size_of_space(void) {
    char *text = strstr(read_file("/proc/self/status"), "VmSize:");
    return text ? atol(text + 7) * 1024 : 0;
}

static int with_address_limit(void *unused) {
    (void)unused;
    struct rlimit limit = {(rlim_t)size_of_space() + (64 << 20), RLIM_INFINITY};
    getrlimit(RLIMIT_AS, &(struct rlimit){0});
    if (setrlimit(RLIMIT_AS, &limit)) return 1;
    if (try_map(128 << 20) || errno != ENOMEM) return 2;
    char *memory = try_map(32 << 20);
    if (!memory) return 3;
    memset(memory, 1, 32 << 20);
    if (mremap(memory, 32 << 20, 128 << 20, MREMAP_MAYMOVE) != MAP_FAILED || errno != ENOMEM) return 4;
    if (sbrk(128 << 20) != (void *)-1) return 5;
    if (mmap(NULL, 128 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) != MAP_FAILED) return 6;
    if (malloc(256 << 20)) return 7;
    pid_t child = fork();
    if (child == 0) _exit(try_map(128 << 20) ? 1 : try_map(8 << 20) ? 0 : 2);
    int status;
    waitpid(child, &status, 0);
    if (status) return 8;
    munmap(memory, 32 << 20);
    if (!try_map(60 << 20)) return 9;
    struct rlimit seen;
    getrlimit(RLIMIT_AS, &seen);
    return seen.rlim_cur == limit.rlim_cur ? 0 : 10;
}

static size_t size_of_data(void) {
    char *text = strstr(read_file("/proc/self/status"), "VmData:");
    return text ? (size_t)atol(text + 7) * 1024 : 0;
}

static int with_data_limit(void *unused) {
    (void)unused;
    struct rlimit limit = {size_of_data() + (32 << 20), RLIM_INFINITY};
    char *untouchable = mmap(NULL, 64 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (setrlimit(RLIMIT_DATA, &limit)) return 1;
    if (try_map(64 << 20) || errno != ENOMEM) return 2;
    if (mprotect(untouchable, 64 << 20, PROT_READ | PROT_WRITE) != -1 || errno != ENOMEM) return 3;
    if (mprotect(untouchable, 1 << 20, PROT_READ | PROT_WRITE) || mprotect(untouchable, 64 << 20, PROT_READ)) return 4;
    if (mmap(NULL, 64 << 20, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0) == MAP_FAILED) return 5;
    char *memory = try_map(24 << 20);
    if (!memory) return 6;
    if (mmap(memory, 24 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != memory) return 7;
    if (mremap(memory, 24 << 20, 48 << 20, MREMAP_MAYMOVE) != MAP_FAILED || errno != ENOMEM) return 8;
    if (sbrk(64 << 20) != (void *)-1) return 9;
    limit.rlim_cur = 0;
    if (setrlimit(RLIMIT_DATA, &limit)) return 10;
    return try_map(64 << 20) ? 0 : 11;  // where the soft limit is 0, the hard one counts
}

static int exec_under_limit(void *unused) {
    (void)unused;
    struct rlimit limit = {256 << 20, 256 << 20};
    setrlimit(RLIMIT_AS, &limit);
    execl("/bin/sh", "sh", "-c", "ulimit -v", (char *)NULL);
    return 1;
}

static int core_limit(void *unused) {
    (void)unused;
    struct rlimit limit = {4096 * 512, 8192 * 512}, seen;
    if (setrlimit(RLIMIT_CORE, &limit) || getrlimit(RLIMIT_CORE, &seen) || seen.rlim_cur != limit.rlim_cur) return 1;
    const char *shown = strstr(read_file("/proc/self/limits"), "Max core file size");
    unsigned long soft = 0, hard = 0;
    if (!shown || sscanf(shown, "Max core file size %lu %lu", &soft, &hard) != 2 || soft != limit.rlim_cur || hard != limit.rlim_max) return 2;
    execl("/bin/sh", "sh", "-c", "test $(ulimit -Sc) = 4096 && test $(ulimit -Hc) = 8192", (char *)NULL);
    return 3;
}

static int lock_limit(void *unused) {
    (void)unused;
    struct rlimit limit = {64 << 10, 64 << 10};
    char *memory = try_map(1 << 20);
    setrlimit(RLIMIT_MEMLOCK, &limit);
    if (getuid() == 0 && (setgid(65534) || setuid(65534))) return 1;
    if (mlock(memory, 32 << 10)) return 2;
    if (mlock(memory, 128 << 10) != -1 || errno != ENOMEM) return 3;
    if (munlock(memory, 32 << 10)) return 4;
    limit.rlim_cur = 0;
    setrlimit(RLIMIT_MEMLOCK, &limit);
    return mlock(memory, PAGE) == -1 && errno == EPERM ? 0 : 5;
}

static int file_limit(void *unused) {
    (void)unused;
    struct rlimit limit = {1000, 1000};
    setrlimit(RLIMIT_FSIZE, &limit);
    int fd = open("limited", O_RDWR | O_CREAT, 0600);
    char text[600] = "";
    if (write(fd, text, 600) != 600 || write(fd, text, 600) != 400) return 1;
    signal(SIGXFSZ, SIG_IGN);
    if (write(fd, text, 1) != -1 || errno != EFBIG) return 2;
    signal(SIGXFSZ, SIG_DFL);
    (void)!write(fd, text, 1);
    return 3;
}

static int touched(const char *memory, size_t pages) {
    unsigned char resident[64];
    int count = 0;
    if (mincore((void *)memory, pages * PAGE, resident)) return -1;
    for (size_t i = 0; i < pages; i++) count += resident[i] & 1;
    return count;
}

int main(void) {
    catch_faults();
    enter_directory();
    check_child("RLIMIT_AS", with_address_limit, NULL, "exit 0");
    check_child("RLIMIT_DATA", with_data_limit, NULL, "exit 0");
    check_child("a shell under 256 MiB of RLIMIT_AS", exec_under_limit, NULL, "exit 0");
    check_child("RLIMIT_CORE is inherited, and /proc/self/limits shows it", core_limit, NULL, "exit 0");
    check_child("RLIMIT_MEMLOCK", lock_limit, NULL, "exit 0");
    check_child("RLIMIT_FSIZE", file_limit, NULL, "signal 25");

    char *area = map_pages(64, PROT_READ | PROT_WRITE);
    CHECK_EQ("nothing is resident at first", touched(area, 64), 0);
    for (int i = 0; i < 64; i += 4) area[(size_t)i * PAGE] = 1;
    CHECK_EQ("mincore counts what was written", touched(area, 64), 16);
    CHECK_EQ("mlock makes all resident", (mlock(area, 64 * PAGE), touched(area, 64)), 64);
    CHECK_EQ("munlock", munlock(area, 64 * PAGE), 0);
    unsigned char vector[4];
    CHECK_ERRNO("mincore of unmapped memory", mincore((void *)0x200000000000, PAGE, vector), ENOMEM);
    CHECK_ERRNO("mincore at an odd address", mincore(area + 1, PAGE, vector), EINVAL);
    CHECK_ERRNO("mincore with a bad vector", mincore(area, PAGE, (void *)8), EFAULT);
    CHECK_ERRNO("mlock of unmapped memory", mlock((void *)0x200000000000, PAGE), ENOMEM);
    CHECK_EQ("mlock2 MLOCK_ONFAULT", mlock2(area, PAGE, MLOCK_ONFAULT), 0);
    CHECK_ERRNO("mlock2 with bad flags", mlock2(area, PAGE, 8), EINVAL);
    CHECK_EQ("mlockall and munlockall", mlockall(MCL_CURRENT) | munlockall(), 0);
    CHECK_ERRNO("mlockall with bad flags", mlockall(64), EINVAL);

    struct sysinfo memory;
    MUST(sysinfo(&memory) == 0);
    size_t all = (size_t)memory.totalram * memory.mem_unit;
    CHECK("more than all memory is refused", try_map(all * 3) == NULL);
    CHECK("without reserve it is not", mmap(NULL, all * 3, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) != MAP_FAILED);
    const int kinds[] = {RLIMIT_AS, RLIMIT_CORE, RLIMIT_CPU, RLIMIT_DATA, RLIMIT_FSIZE, RLIMIT_LOCKS, RLIMIT_MEMLOCK, RLIMIT_MSGQUEUE,
                         RLIMIT_NICE, RLIMIT_NOFILE, RLIMIT_NPROC, RLIMIT_RSS, RLIMIT_RTPRIO, RLIMIT_RTTIME, RLIMIT_SIGPENDING, RLIMIT_STACK};
    int right = 0;
    for (size_t i = 0; i < COUNT(kinds); i++) {
        struct rlimit limit, again, before;
        if (getrlimit((__rlimit_resource_t)kinds[i], &before)) continue;
        limit = before;
        if (limit.rlim_cur == RLIM_INFINITY) limit.rlim_cur = limit.rlim_max == RLIM_INFINITY ? (rlim_t)1 << 40 : limit.rlim_max;
        if (setrlimit((__rlimit_resource_t)kinds[i], &limit)) continue;
        prlimit(0, (__rlimit_resource_t)kinds[i], &before, &again);
        right += again.rlim_cur == limit.rlim_cur && again.rlim_max == limit.rlim_max;
    }
    CHECK_EQ("sixteen limits are set and read back", right, COUNT(kinds));
    struct rlimit wrong = {10, 5};
    CHECK_ERRNO("soft above hard", setrlimit(RLIMIT_CORE, &wrong), EINVAL);
    CHECK_ERRNO("an unknown limit", getrlimit(99, &wrong), EINVAL);
    struct rlimit of_parent;
    CHECK("prlimit of the parent", prlimit(getppid(), RLIMIT_STACK, NULL, &of_parent) == 0 && of_parent.rlim_cur > 0);
    CHECK("free pages: VmRSS falls", ({
              long before, after;
              char *big = try_map(32 << 20);
              memset(big, 1, 32 << 20);
              before = atol(strstr(read_file("/proc/self/status"), "VmRSS:") + 6);
              munmap(big, 32 << 20);
              after = atol(strstr(read_file("/proc/self/status"), "VmRSS:") + 6);
              before - after >= 30000;
          }));
    return check_done();
}
