// /proc/self: the guest's own view of its image, memory, names and state.
#include "fault.h"
#include <dirent.h>
#include <elf.h>
#include <pthread.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/uio.h>

struct region { unsigned long start, end; char permissions[8], path[256]; unsigned long offset, inode; };

static int regions_in(const char *text, struct region *out, int room) {
    int count = 0;
    for (const char *line = text; *line && count < room; line = strchr(line, '\n') + 1) {
        struct region *r = &out[count];
        r->path[0] = 0;
        if (sscanf(line, "%lx-%lx %7s %lx %*s %lu %255[^\n]", &r->start, &r->end, r->permissions, &r->offset, &r->inode, r->path) >= 5) count++;
        if (!strchr(line, '\n')) break;
    }
    return count;
}

static struct region regions[4096];
static const struct region *find(const void *address) {
    int count = regions_in(read_file("/proc/self/maps"), regions, 4096);
    for (int i = 0; i < count; i++)
        if ((unsigned long)address >= regions[i].start && (unsigned long)address < regions[i].end) return &regions[i];
    return NULL;
}

static void check_permissions(const char *name, const void *address, const char *expected) {
    const struct region *region = find(address);
    CHECK_STRING(name, region ? region->permissions : "(not there)", expected);
}

static int data = 5;

static long status_field(const char *name) {
    char *at = strstr(read_file("/proc/self/status"), name);
    return at ? atol(at + strlen(name)) : -1;
}

static long in_status(const char *path, const char *key) {
    char *line = strstr(read_file(path), key);
    return line ? atol(line + strlen(key)) : -1;
}

/// A child's sizes as it sees them itself, and as its parent does.
static void check_another(void) {
    long *own = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int go[2];
    MUST(pipe(go) == 0);
    pid_t child = fork();
    if (child == 0) {
        close(go[1]);
        char *memory = mmap(NULL, 20 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        memset(memory, 1, 20 << 20);
        own[1] = in_status("/proc/self/status", "VmRSS:");
        own[2] = in_status("/proc/self/status", "VmData:");
        own[0] = in_status("/proc/self/status", "VmSize:");
        char byte;
        _exit(read(go[0], &byte, 1) == 0 ? 0 : 1);
    }
    while (!((volatile long *)own)[0] || task_state(child) != 'S') sleep_ms(1);
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/status", child);
    const struct { const char *name, *key; long expected; } rows[] = {
        {"the size of another process", "VmSize:", own[0]}, {"its resident memory", "VmRSS:", own[1]}, {"its data", "VmData:", own[2]}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        long seen = in_status(path, rows[i].key);
        check_report(rows[i].name, labs(seen - rows[i].expected) <= 1024, "%ld kB, and to itself %ld kB", seen, rows[i].expected);
    }
    unsigned long pages = 0, resident = 0, size = 0;
    snprintf(path, sizeof path, "/proc/%d/statm", child);
    MUST(sscanf(read_file(path), "%lu %lu", &pages, &resident) == 2);
    CHECK("in statm", labs((long)pages * 4 - own[0]) <= 1024 && labs((long)resident * 4 - own[1]) <= 1024);
    snprintf(path, sizeof path, "/proc/%d/stat", child);
    MUST(sscanf(strrchr(read_file(path), ')'), ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %*u %lu", &size) == 1);
    CHECK("in stat", labs((long)(size >> 10) - own[0]) <= 1024);
    close(go[1]);
    waitpid(child, NULL, 0);
}

static char state_by(int status) {
    char text[4096];
    ssize_t bytes = pread(status, text, sizeof text - 1, 0);
    if (bytes < 0) return (char)-errno;
    text[bytes] = 0;
    char *at = strstr(text, "State:\t");
    return at ? at[7] : '?';
}

/// Whoever watches a process keeps its files open and reads them again from the start.
static void check_again(void) {
    int go[2];
    MUST(pipe(go) == 0);
    pid_t child = fork();
    if (child == 0) {
        char byte;
        close(go[1]);
        raise(SIGSTOP);
        _exit(read(go[0], &byte, 1) == 0 ? 0 : 1);
    }
    close(go[0]);
    char path[64], text[512];
    snprintf(path, sizeof path, "/proc/%d/status", child);
    int status = open(path, O_RDONLY);
    for (int i = 0; i < 2000 && state_by(status) != 'T'; i++) sleep_ms(1);
    CHECK_EQ("status read again: the process has stopped", state_by(status), 'T');
    kill(child, SIGCONT);
    for (int i = 0; i < 2000 && state_by(status) != 'S'; i++) sleep_ms(1);
    CHECK_EQ("and goes on", state_by(status), 'S');
    close(go[1]);
    for (int i = 0; i < 2000 && state_by(status) != 'Z'; i++) sleep_ms(1);
    CHECK_EQ("and has ended", state_by(status), 'Z');
    waitpid(child, NULL, 0);
    CHECK_EQ("and is gone", state_by(status), (char)-ESRCH);
    close(status);

    int stat = open("/proc/self/stat", O_RDONLY);
    MUST(read(stat, text, 4) == 4);
    ssize_t rest = read(stat, text, sizeof text);
    prctl(PR_SET_NAME, "between");
    CHECK("a text is read on where it was left", rest > 100 && pread(stat, text, 4, 4) == 4);
    MUST(lseek(stat, 0, SEEK_SET) == 0 && read(stat, text, sizeof text - 1) > 0);
    CHECK("and made anew from its start", strstr(text, "(between)") != NULL);
    struct iovec vector = {text, sizeof text};
    prctl(PR_SET_NAME, "written");
    CHECK("by preadv too", preadv(stat, &vector, 1, 0) > 0 && strstr(text, "(written)") != NULL);
    close(stat);
    int maps = open("/proc/self/maps", O_RDONLY);
    int before = regions_in(read_descriptor(maps), regions, 4096);
    MUST(mmap((void *)0x310000000000, PAGE, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0) == (void *)0x310000000000);
    lseek(maps, 0, SEEK_SET);
    CHECK_EQ("maps shows what was mapped since", regions_in(read_descriptor(maps), regions, 4096), before + 1);
    close(maps);
}

int main(int argc, char **argv) {
    catch_faults();
    char link[4096] = "", path[4200];
    CHECK("/proc/self/exe is a link", readlink("/proc/self/exe", link, sizeof link - 1) > 0);
    const char *base = strrchr(link, '/') + 1, *own = strrchr(argv[0], '/');
    CHECK_STRING("to this program", base, own ? own + 1 : argv[0]);
    struct stat first, second;
    CHECK("and opens as it", stat("/proc/self/exe", &first) == 0 && stat(link, &second) == 0 && first.st_ino == second.st_ino);
    snprintf(path, sizeof path, "/proc/%d/exe", getpid());
    char other[4096] = "";
    CHECK("by number too", readlink(path, other, sizeof other - 1) > 0 && strcmp(other, link) == 0);
    char *command = read_file("/proc/self/cmdline");
    CHECK("cmdline is argv", argc == 1 && strcmp(command, argv[0]) == 0);
    char *environment = read_file("/proc/self/environ");
    CHECK("environ has TMPDIR or PATH", strncmp(environment, "TMPDIR=", 7) == 0 || memmem(environment, 65536, "PATH=", 5));
    char comm[64];
    snprintf(comm, sizeof comm, "%.15s\n", base);
    CHECK_STRING("comm is the file's name", read_file("/proc/self/comm"), comm);
    prctl(PR_SET_NAME, "new (name) x");
    CHECK_STRING("PR_SET_NAME changes it", read_file("/proc/self/comm"), "new (name) x\n");
    int fd = open("/proc/self/comm", O_WRONLY);
    MUST(fd >= 0 && write(fd, "written", 7) == 7);
    close(fd);
    char name[17] = "";
    prctl(PR_GET_NAME, name);
    CHECK_STRING("writing it changes the name", name, "written");
    strcpy(argv[0], "xyz");
    CHECK("a changed argv shows in cmdline", strcmp(read_file("/proc/self/cmdline"), "xyz") == 0);

    char *auxv = read_file("/proc/self/auxv");
    unsigned long entry = 0, random = 0, pairs = 0;
    for (Elf64_auxv_t *at = (void *)auxv; at->a_type != AT_NULL; at++, pairs++) {
        if (at->a_type == AT_ENTRY) entry = at->a_un.a_val;
        if (at->a_type == AT_RANDOM) random = at->a_un.a_val;
    }
    CHECK("auxv is the one on the stack", entry == getauxval(AT_ENTRY) && random == getauxval(AT_RANDOM) && pairs > 15);

    char *memory = map_pages(8, PROT_READ | PROT_WRITE);
    memory[0] = 1;
    check_permissions("maps: anonymous memory", memory, "rw-p");
    mprotect(memory + 2 * PAGE, PAGE, PROT_READ);
    mprotect(memory + 4 * PAGE, PAGE, PROT_NONE);
    check_permissions("maps: after mprotect R", memory + 2 * PAGE, "r--p");
    check_permissions("maps: after mprotect none", memory + 4 * PAGE, "---p");
    const struct region *region = find(memory + 2 * PAGE);
    CHECK("maps: the region is that page", region && region->start == (unsigned long)(memory + 2 * PAGE) && region->end == (unsigned long)(memory + 3 * PAGE));
    munmap(memory + 6 * PAGE, PAGE);
    CHECK("maps: an unmapped page is not there", find(memory + 6 * PAGE) == NULL);
    char *shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    check_permissions("maps: shared memory", shared, "rw-s");
    check_permissions("maps: program text", (void *)(uintptr_t)main, "r-xp");
    region = find((void *)(uintptr_t)main);
    CHECK("maps: named by its path", region && strcmp(region->path, link) == 0 && region->inode == first.st_ino);
    check_permissions("maps: program data", &data, "rw-p");
    region = find(&region);
    CHECK("maps: [stack]", region && strcmp(region->path, "[stack]") == 0);
    region = find((void *)getauxval(AT_SYSINFO_EHDR));
    CHECK("maps: [vdso]", region && strcmp(region->path, "[vdso]") == 0 && strcmp(region->permissions, "r-xp") == 0);
    void *heap = sbrk(4096);
    region = find(heap);
    CHECK("maps: [heap]", region && strcmp(region->path, "[heap]") == 0);
    int count = regions_in(read_file("/proc/self/maps"), regions, 4096);
    bool ordered = true, known = true;
    for (int i = 0; i < count; i++) {
        if (i && regions[i].start < regions[i - 1].end) ordered = false;
        if (regions[i].start >= 0x800000000000 && strcmp(regions[i].path, "[vsyscall]")) known = false;
        if (strstr(regions[i].path, "tine") && !strstr(regions[i].path, base)) known = false;
        if (strstr(regions[i].path, "kvm") || strstr(regions[i].path, "memfd:")) known = false;
    }
    CHECK("maps: ordered, without overlap", ordered && count > 5);
    CHECK("maps: nothing of a monitor", known);
    int readable = 0, tried = 0;
    for (int i = 0; i < count; i++)
        if (regions[i].permissions[0] == 'r' && regions[i].start < 0x800000000000 && strncmp(regions[i].path, "[vvar", 5)) {
            tried++;
            readable += attempt((void *)regions[i].start, READ).signal == 0 && attempt((void *)(regions[i].end - 1), READ).signal != SIGSEGV;
        }
    CHECK("maps: all that is readable can be read", readable == tried && tried > 3);

    char *smaps = read_file("/proc/self/smaps");
    CHECK("smaps: has Rss, Pss and VmFlags", strstr(smaps, "\nRss:") && strstr(smaps, "\nPss:") && strstr(smaps, "\nVmFlags:"));
    CHECK("smaps_rollup", strstr(read_file("/proc/self/smaps_rollup"), "Rss:") != NULL);
    size_t large = 32 << 20;
    long size_before = status_field("VmSize:"), resident_before = status_field("VmRSS:");
    char *big = mmap(NULL, large, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(big, 1, large / 2);
    long size_grew = status_field("VmSize:") - size_before, resident_grew = status_field("VmRSS:") - resident_before;
    CHECK_EQ("status: VmSize grows by what is mapped", size_grew, 32 << 10);
    CHECK("status: VmRSS by what is touched", resident_grew >= 16 << 10 && resident_grew < 18 << 10);
    CHECK_EQ("status: Pid", status_field("\nPid:"), getpid());
    CHECK_EQ("status: PPid", status_field("\nPPid:"), getppid());
    CHECK_EQ("status: Tgid", status_field("\nTgid:"), getpid());
    CHECK_EQ("status: Threads", status_field("\nThreads:"), 1);
    CHECK("status: TracerPid", status_field("\nTracerPid:") == 0);
    CHECK("status: Name", strncmp(read_file("/proc/self/status"), "Name:\twritten\n", 14) == 0);
    block_signal(SIGUSR2);
    signal(SIGHUP, SIG_IGN);
    unsigned long blocked = 0, ignored = 0, caught = 0;
    char *status = read_file("/proc/self/status");
    sscanf(strstr(status, "SigBlk:"), "SigBlk: %lx", &blocked);
    sscanf(strstr(status, "SigIgn:"), "SigIgn: %lx", &ignored);
    sscanf(strstr(status, "SigCgt:"), "SigCgt: %lx", &caught);
    CHECK_EQ("status: SigBlk", blocked, 1ul << (SIGUSR2 - 1));
    CHECK("status: SigIgn", ignored & (1ul << (SIGHUP - 1)));
    CHECK("status: SigCgt", caught & (1ul << (SIGSEGV - 1)));

    int pid, parent, group, session;
    char state, stat_name[64];
    char *stat_text = read_file("/proc/self/stat");
    CHECK("stat: names, state, ids", sscanf(stat_text, "%d (%63[^)]) %c %d %d %d", &pid, stat_name, &state, &parent, &group, &session) == 6 && pid == getpid() &&
                                         strcmp(stat_name, "written") == 0 && state == 'R' && parent == getppid() && group == getpgrp() && session == getsid(0));
    unsigned long fields[60] = {0};
    int field = 0;
    for (char *at = strrchr(stat_text, ')') + 4; *at && field < 60; at = strchr(at, ' ') ? strchr(at, ' ') + 1 : "") fields[field++ + 4] = strtoul(at, NULL, 10);
    CHECK_EQ("stat: fifty-two fields", field + 3, 52);
    CHECK("stat: code lies where it does", fields[26] <= (unsigned long)(uintptr_t)main && fields[27] > (unsigned long)(uintptr_t)main);
    CHECK("stat: the stack's start", fields[28] > (unsigned long)&pid && fields[28] < 0x800000000000);
    CHECK("stat: arguments", fields[48] <= (unsigned long)argv[0] && fields[49] > (unsigned long)argv[0]);
    CHECK("statm agrees with status", labs(atol(read_file("/proc/self/statm")) * 4 - status_field("VmSize:")) < 2000);

    int mem = open("/proc/self/mem", O_RDWR);
    CHECK("mem: opens", mem >= 0);
    memory[100] = 'R';
    char byte = 0;
    CHECK("mem: reads", pread(mem, &byte, 1, (off_t)(uintptr_t)(memory + 100)) == 1 && byte == 'R');
    CHECK("mem: writes", pwrite(mem, "W", 1, (off_t)(uintptr_t)(memory + 100)) == 1 && memory[100] == 'W');
    CHECK("mem: reads program text", pread(mem, &byte, 1, (off_t)(uintptr_t)main) == 1 && byte == *(char *)(uintptr_t)main);
    CHECK_ERRNO("mem: not what is unmapped", pread(mem, &byte, 1, 0x200000000000), EIO);
    CHECK_EQ("mem: cwd and root are links", readlink("/proc/self/cwd", link, 10) > 0 && readlink("/proc/self/root", link, 10) == 1, 1);
    CHECK_STRING("oom_score_adj is a number", strtok(read_file("/proc/self/oom_score_adj"), "0123456789-"), "\n");
    CHECK("limits names open files", strstr(read_file("/proc/self/limits"), "Max open files") != NULL);
    DIR *tasks = opendir("/proc/self/task");
    int threads = 0;
    for (struct dirent *item; (item = readdir(tasks));) threads += item->d_name[0] != '.';
    CHECK_EQ("task lists one thread", threads, 1);
    CHECK("wchan and syscall say nothing of a monitor", !strstr(read_file("/proc/self/wchan"), "kvm") && !strstr(read_file("/proc/self/stack"), "kvm"));
    uint64_t page_entry = 0;
    int pagemap = open("/proc/self/pagemap", O_RDONLY);
    CHECK("pagemap: a present page", pread(pagemap, &page_entry, 8, (off_t)((uintptr_t)memory / PAGE * 8)) == 8 && page_entry >> 63);
    CHECK("pagemap: an absent one", pread(pagemap, &page_entry, 8, (off_t)((uintptr_t)(big + large - PAGE) / PAGE * 8)) == 8 && !(page_entry >> 63));
    check_another();
    check_again();
    return check_done();
}
