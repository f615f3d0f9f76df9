// The kernel's own doors into a process: /proc/PID/mem and its kin, by every path that leads there.
#include "survive.h"
#include <dirent.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/uio.h>

struct span { uintptr_t start, end; };
static struct span own[4096];
static int spans;

static void read_own_maps(void) {
    static char text[1 << 18];
    int fd = open("/proc/self/maps", O_RDONLY);
    ssize_t length = 0, part;
    while ((part = read(fd, text + length, sizeof text - 1 - (size_t)length)) > 0) length += part;
    close(fd);
    spans = 0;
    for (char *line = text; line && *line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
        if (sscanf(line, "%lx-%lx", &own[spans].start, &own[spans].end) == 2) spans++;
}
static bool mine(uintptr_t address) {
    for (int i = 0; i < spans; i++)
        if (address >= own[i].start && address < own[i].end) return true;
    return false;
}

static int got_through(const char *how, uintptr_t address) {
    char text[128];
    int length = snprintf(text, sizeof text, "%s worked at %#lx\n", how, address);
    (void)!write(2, text, (size_t)length);
    return 77;
}

/// Reads and writes a mem file at many addresses that the maps do not list: none may work.
static int probe(int fd) {
    char byte = 0x11;
    uint64_t state = 88172645463325252ull;
    for (int i = 0; i < 3000; i++) {
        state ^= state << 13, state ^= state >> 7, state ^= state << 17;
        uintptr_t address = i % 3 == 0 ? state & 0x7fffffffffff : i % 3 == 1 ? (uintptr_t)i << 35 : 0x7fffffffffff - ((uintptr_t)i << 12);
        if (mine(address)) continue;
        if (pread(fd, &byte, 1, (off_t)address) > 0) return got_through("a read", address);
        if (pwrite(fd, &byte, 1, (off_t)address) > 0) return got_through("a write", address);
    }
    const uintptr_t special[] = {0, 0x1000, 0x8000000000000000, 0xffffffff81000000, 0xffffffffff600000, ~(uintptr_t)0};
    for (size_t i = 0; i < COUNT(special); i++)
        if (pwrite(fd, &byte, 1, (off_t)special[i]) > 0) return got_through("a write", special[i]);
    return 0;
}

static int mem_by_path(void *path) {
    read_own_maps();
    int fd = open(path, O_RDWR);
    if (fd < 0) fd = open(path, O_RDONLY);
    return fd < 0 ? 0 : probe(fd);
}

static int mem_of_parent(void *name) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", getppid(), (char *)name);
    return mem_by_path(path);
}

static int mem_through_directory(void *unused) {
    (void)unused;
    int proc = open("/proc", O_RDONLY | O_DIRECTORY), self = openat(proc, "self", O_PATH), other = openat(proc, "self", O_RDONLY | O_DIRECTORY);
    read_own_maps();
    const struct { int at; const char *path; } ways[] = {{proc, "self/mem"}, {self, "mem"}, {other, "mem"}, {proc, "./self/../self/mem"}, {proc, "thread-self/mem"}, {other, "task/../mem"}};
    for (size_t i = 0; i < COUNT(ways); i++) {
        int fd = openat(ways[i].at, ways[i].path, O_RDWR);
        if (fd >= 0 && probe(fd)) return 77;
        if (fd >= 0) close(fd);
    }
    if (fchdir(proc) == 0) {
        int fd = open("self/mem", O_RDWR);
        if (fd >= 0 && probe(fd)) return 77;
    }
    return 0;
}

static int mem_through_link(void *unused) {
    (void)unused;
    enter_directory();
    read_own_maps();
    if (symlink("/proc/self/mem", "m") == 0 && symlink("/proc", "p") == 0) {
        const char *paths[] = {"m", "p/self/mem", "/proc/self/cwd/m", "/proc/self/root/proc/self/mem"};
        for (size_t i = 0; i < COUNT(paths); i++) {
            int fd = open(paths[i], O_RDWR);
            if (fd >= 0 && probe(fd)) return 77;
        }
    }
    int path_only = open("/proc/self/mem", O_PATH);
    char again[64];
    snprintf(again, sizeof again, "/proc/self/fd/%d", path_only);
    int fd = open(again, O_RDWR), result = fd >= 0 ? probe(fd) : 0;
    remove_directory();
    return result;
}

static int mem_through_mount(void *unused) {
    (void)unused;
    if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL)) return 0;
    enter_directory();
    read_own_maps();
    MUST(mkdir("proc", 0700) == 0);
    int result = 0, fd;
    if (mount("/proc", "proc", NULL, MS_BIND | MS_REC, NULL) == 0) {
        if ((fd = open("proc/self/mem", O_RDWR)) >= 0) result |= probe(fd);
        umount2("proc", MNT_DETACH);
    }
    if (mount("proc", "proc", "proc", 0, NULL) == 0) {
        if ((fd = open("proc/self/mem", O_RDWR)) >= 0) result |= probe(fd);
        umount2("proc", MNT_DETACH);
    }
    write_file("bound", "", 0600);
    if (mount("/proc/self/mem", "bound", NULL, MS_BIND, NULL) == 0) {
        if ((fd = open("bound", O_RDWR)) >= 0) result |= probe(fd);
        umount2("bound", MNT_DETACH);
    }
    remove_directory();
    return result;
}

static int mem_sent(void *unused) {
    (void)unused;
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair)) return 1;
    pid_t child = fork();
    if (child == 0) {
        char byte, control[CMSG_SPACE(sizeof(int))];
        struct iovec vector = {&byte, 1};
        struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
        if (recvmsg(pair[1], &message, 0) != 1 || !CMSG_FIRSTHDR(&message)) _exit(0);
        int fd;
        memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fd);
        read_own_maps();
        _exit(probe(fd));
    }
    int fd = open("/proc/self/mem", O_RDWR);
    char control[CMSG_SPACE(sizeof(int))] = {0};
    struct iovec vector = {"x", 1};
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET, header->cmsg_type = SCM_RIGHTS, header->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(header), &fd, sizeof fd);
    if (fd < 0 || sendmsg(pair[0], &message, 0) != 1) (void)!write(pair[0], "x", 1);
    int status;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 0;
}

static int by_process_vm(void *target) {
    pid_t pid = target ? getppid() : getpid();
    read_own_maps();
    char byte = 0x22;
    uint64_t state = 99;
    for (int i = 0; i < 2000; i++) {
        state = state * 6364136223846793005ull + 1442695040888963407ull;
        uintptr_t address = (state >> 17) & 0x7fffffffffff;
        if (mine(address)) continue;
        struct iovec local = {&byte, 1}, remote = {(void *)address, 1};
        if (process_vm_readv(pid, &local, 1, &remote, 1, 0) > 0 || process_vm_writev(pid, &local, 1, &remote, 1, 0) > 0) return 77;
    }
    return 0;
}

/// Nothing under any /proc/PID one may open may name the monitor's own things.
static int names_in(const char *directory) {
    char path[400], target[4096];
    const char *links[] = {"exe", "cwd", "root"};
    for (size_t i = 0; i < COUNT(links); i++) {
        snprintf(path, sizeof path, "%s/%s", directory, links[i]);
        ssize_t length = readlink(path, target, sizeof target - 1);
        target[length > 0 ? length : 0] = 0;
        if (strstr(target, "tine-vmm") || strstr(target, "memfd:tine")) return 77;
    }
    const char *folders[] = {"fd", "map_files"};
    for (size_t i = 0; i < COUNT(folders); i++) {
        snprintf(path, sizeof path, "%s/%s", directory, folders[i]);
        DIR *open_directory = opendir(path);
        if (!open_directory) continue;
        for (struct dirent *entry; (entry = readdir(open_directory));) {
            char link[700];
            snprintf(link, sizeof link, "%s/%s", path, entry->d_name);
            ssize_t length = readlink(link, target, sizeof target - 1);
            target[length > 0 ? length : 0] = 0;
            if (strstr(target, "kvm") || strstr(target, "tine")) return 77;
        }
        closedir(open_directory);
    }
    const char *texts[] = {"maps", "smaps", "numa_maps", "wchan", "stack", "cmdline", "comm", "syscall"};
    for (size_t i = 0; i < COUNT(texts); i++) {
        snprintf(path, sizeof path, "%s/%s", directory, texts[i]);
        char *text = read_file(path);
        if (strstr(text, "kvm") || strstr(text, "tine-vmm")) return 77;
    }
    return 0;
}
static int names(void *unused) {
    (void)unused;
    char path[64];
    if (names_in("/proc/self") || names_in("/proc/thread-self")) return 77;
    snprintf(path, sizeof path, "/proc/%d", getppid());
    if (names_in(path)) return 77;
    snprintf(path, sizeof path, "/proc/%d/task/%d", getpid(), getpid());
    return names_in(path);
}

/// Files of one's own process that change it: no write may harm the monitor.
static int writes_files(void *unused) {
    (void)unused;
    const char *files[] = {"clear_refs", "coredump_filter", "oom_adj", "oom_score_adj", "timerslack_ns", "loginuid", "sessionid", "comm", "attr/current",
                           "attr/exec", "setgroups", "uid_map", "gid_map", "projid_map", "make-it-fail", "sched", "autogroup", "timens_offsets", "syscall", "mem"};
    const char *words[] = {"0", "1", "4", "-1000", "1000", "junk", "", "18446744073709551615", "0 0 1"};
    for (size_t i = 0; i < COUNT(files); i++)
        for (size_t j = 0; j < COUNT(words); j++) {
            char path[64];
            snprintf(path, sizeof path, "/proc/self/%s", files[i]);
            int fd = open(path, O_WRONLY | O_TRUNC);
            if (fd < 0) continue;
            (void)!write(fd, words[j], strlen(words[j]));
            close(fd);
        }
    return still_works(NULL) ? 77 : 0;
}

static int takes_exe(void *unused) {
    (void)unused;
    // /proc/self/exe must be this program.
    char first[4] = "";
    int fd = open("/proc/self/exe", O_RDONLY);
    struct stat status, named;
    if (fd < 0 || pread(fd, first, 4, 0) != 4 || memcmp(first, "\177ELF", 4)) return 77;
    char path[4096] = "";
    if (readlink("/proc/self/exe", path, sizeof path - 1) <= 0 || stat(path, &named) || fstat(fd, &status)) return 77;
    if (named.st_ino != status.st_ino) return 77;
    // Whatever a writable descriptor of it gives, it is not the monitor.
    char other[64];
    snprintf(other, sizeof other, "/proc/%d/exe", getppid());
    int writing = open(other, O_RDWR);
    return writing >= 0 && (fstat(writing, &status) || named.st_ino != status.st_ino) ? 77 : 0;
}

static int kvm_device(void *unused) {
    (void)unused;
    int fd = open("/dev/kvm", O_RDWR);
    if (fd < 0) return 0;
    // KVM_CREATE_VM through an ioctl that no table lists.
    return syscall(SYS_ioctl, fd, 0xae01, 0) >= 0 ? 77 : 0;
}

int main(void) {
    const char *paths[] = {"/proc/self/mem", "/proc/thread-self/mem", "/proc/self/task/../mem", "//proc//self//mem", "/proc/../proc/self/mem", "/proc/self/root/proc/self/mem"};
    for (size_t i = 0; i < COUNT(paths); i++) survive(paths[i], mem_by_path, (void *)paths[i]);
    survive("mem of the parent", mem_of_parent, "mem");
    survive("mem of the parent's task", mem_of_parent, "task/../mem");
    survive("mem of process 1", mem_by_path, "/proc/1/mem");
    survive("mem through directories", mem_through_directory, NULL);
    survive("mem through links", mem_through_link, NULL);
    survive("mem through mounts", mem_through_mount, NULL);
    survive("mem through a socket", mem_sent, NULL);
    survive("process_vm_writev of oneself", by_process_vm, NULL);
    survive("process_vm_writev of the parent", by_process_vm, (void *)1);
    survive("names of the monitor's things", names, NULL);
    survive("writes to one's own files in /proc", writes_files, NULL);
    survive("/proc/self/exe", takes_exe, NULL);
    survive("/dev/kvm", kvm_device, NULL);
    check_works("the parent still works");
    return check_done();
}
