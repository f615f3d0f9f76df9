// ioctl by families: terminals, files, random numbers, namespaces, processes, loop and block devices; keys and detached mounts.
#include "check.h"
#include <fcntl.h>
#include <linux/blkpg.h>
#include <linux/fs.h>
#include <linux/keyctl.h>
#include <linux/loop.h>
#include <linux/mount.h>
#include <linux/nsfs.h>
#include <linux/random.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <termios.h>

static void terminals(void) {
    int master = open("/dev/ptmx", O_RDWR | O_NOCTTY), zero = 0, number = -1, packets = -1, locked = -1;
    MUST(master >= 0);
    CHECK_EQ("TIOCSPTLCK", ioctl(master, TIOCSPTLCK, &zero), 0);
    CHECK("TIOCGPTLCK", ioctl(master, TIOCGPTLCK, &locked) == 0 && locked == 0);
    CHECK("TIOCGPTN", ioctl(master, TIOCGPTN, &number) == 0 && number >= 0);
    int slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY);
    CHECK("TIOCGPTPEER makes the other end", slave >= 0 && isatty(slave));
    struct termios raw;
    CHECK("TCGETS", ioctl(slave, TCGETS, &raw) == 0 && (raw.c_lflag & ICANON));
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    CHECK("TCSETS", ioctl(slave, TCSETS, &raw) == 0);
    struct winsize size = {11, 22, 33, 44}, seen = {0};
    CHECK("TIOCSWINSZ, read at the other end", ioctl(slave, TIOCSWINSZ, &size) == 0 && ioctl(master, TIOCGWINSZ, &seen) == 0 && memcmp(&size, &seen, sizeof size) == 0);
    int on = 1, waiting = 0;
    CHECK("TIOCPKT", ioctl(master, TIOCPKT, &on) == 0 && ioctl(master, TIOCGPKT, &packets) == 0 && packets == 1);
    struct pollfd readable = {slave, POLLIN, 0};
    CHECK("TIOCINQ", write(master, "abc", 3) == 3 && poll(&readable, 1, 10000) == 1 && ioctl(slave, TIOCINQ, &waiting) == 0 && waiting == 3);
    CHECK("TCFLSH", ioctl(slave, TCFLSH, TCIFLUSH) == 0 && ioctl(slave, TIOCINQ, &waiting) == 0 && waiting == 0);
    int discipline = -1;
    CHECK("TIOCGETD", ioctl(slave, TIOCGETD, &discipline) == 0 && discipline == 0);
    CHECK_ERRNO("TIOCGPGRP without a session of its own", ioctl(slave, TIOCGPGRP, &waiting), ENOTTY);
    CHECK_ERRNO("a bad pointer", ioctl(slave, TIOCGWINSZ, (void *)8), EFAULT);
    close(master);
    close(slave);
}

static void files(void) {
    int file = open("file", O_RDWR | O_CREAT, 0600), waiting = -1;
    MUST(write(file, "0123456789", 10) == 10 && lseek(file, 4, SEEK_SET) == 4);
    CHECK("FIONREAD", ioctl(file, FIONREAD, &waiting) == 0 && waiting == 6);
    long long bytes = -1;
    CHECK("FIOQSIZE: what it takes on disk", ioctl(file, FIOQSIZE, &bytes) == 0 && bytes >= 0);
    int block = 0;
    CHECK("FIGETBSZ", ioctl(file, FIGETBSZ, &block) == 0 && block >= 512);
    CHECK_ERRNO("a terminal's", ioctl(file, TIOCGWINSZ, &bytes), ENOTTY);
    CHECK_ERRNO("one that nobody knows", ioctl(file, 0xdeadbeef, &bytes), ENOTTY);
    CHECK_ERRNO("BLKGETSIZE64 of a file", ioctl(file, BLKGETSIZE64, &bytes), ENOTTY);
    CHECK_ERRNO("a closed descriptor", ioctl(987, FIONREAD, &waiting), EBADF);
    CHECK("FIOCLEX and FIONCLEX", ioctl(file, FIOCLEX) == 0 && fcntl(file, F_GETFD) == FD_CLOEXEC && ioctl(file, FIONCLEX) == 0 && fcntl(file, F_GETFD) == 0);
    close(file);
}

static void random_numbers(void) {
    int source = open("/dev/urandom", O_RDWR), bits = -1;
    CHECK("RNDGETENTCNT", ioctl(source, RNDGETENTCNT, &bits) == 0 && bits > 0);
    CHECK_ERRNO("RNDGETENTCNT with a bad pointer", ioctl(source, RNDGETENTCNT, (void *)8), EFAULT);
    close(source);
}

static ino_t inode_of(int fd) {
    struct stat status;
    return fstat(fd, &status) ? 0 : status.st_ino;
}

static void namespaces(void) {
    int user = open("/proc/self/ns/user", O_RDONLY), pid = open("/proc/self/ns/pid", O_RDONLY), network = open("/proc/self/ns/net", O_RDONLY);
    CHECK_EQ("NS_GET_NSTYPE of users", ioctl(user, NS_GET_NSTYPE), CLONE_NEWUSER);
    CHECK_EQ("NS_GET_NSTYPE of processes", ioctl(pid, NS_GET_NSTYPE), CLONE_NEWPID);
    CHECK_EQ("NS_GET_NSTYPE of networks", ioctl(network, NS_GET_NSTYPE), CLONE_NEWNET);
    uid_t owner = 77;
    CHECK("NS_GET_OWNER_UID", ioctl(user, NS_GET_OWNER_UID, &owner) == 0 && owner != 77);
    CHECK_ERRNO("NS_GET_OWNER_UID of another kind", ioctl(network, NS_GET_OWNER_UID, &owner), EINVAL);
    CHECK_ERRNO("NS_GET_PARENT of a kind without", ioctl(network, NS_GET_PARENT), EINVAL);
    int owning = ioctl(network, NS_GET_USERNS);
    CHECK("NS_GET_USERNS", owning >= 0 && fcntl(owning, F_GETFD) == FD_CLOEXEC && ioctl(owning, NS_GET_NSTYPE) == CLONE_NEWUSER);
    int self = (int)syscall(SYS_pidfd_open, getpid(), 0);
    const unsigned long get_network = 0xff04;  // PIDFD_GET_NET_NAMESPACE, Linux 6.11
    int same = ioctl(self, get_network, 0);
    CHECK("PIDFD_GET_NET_NAMESPACE, where the kernel has it", same < 0 ? errno == ENOTTY || errno == EINVAL : inode_of(same) == inode_of(network));
    for (int fd = user; fd <= self + 1; fd++) close(fd);
}

// As root on a machine with loop devices, and one of them free; elsewhere there is nothing to ask.
static void loop_devices(void) {
    int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC), number = control < 0 ? -1 : ioctl(control, LOOP_CTL_GET_FREE);
    char name[32];
    snprintf(name, sizeof name, "/dev/loop%d", number);
    int device = number < 0 ? -1 : open(name, O_RDWR | O_CLOEXEC);
    if (device < 0) return;
    int file = open("disk", O_RDWR | O_CREAT, 0600);
    MUST(ftruncate(file, 1 << 20) == 0 && pwrite(file, "sector", 6, 512) == 6);
    struct loop_config configuration = {.fd = (unsigned)file, .info = {.lo_flags = LO_FLAGS_AUTOCLEAR}};
    // Another program may take the device between the question and this.
    if (ioctl(device, LOOP_CONFIGURE, &configuration)) {
        const int reason = errno;
        CHECK_EQ("a device that somebody else has taken", reason, EBUSY);
        return;
    }
    unsigned long long bytes = 0;
    unsigned long sectors = 0;
    int sector = 0;
    CHECK("BLKGETSIZE64", ioctl(device, BLKGETSIZE64, &bytes) == 0 && bytes == 1 << 20);
    CHECK("BLKGETSIZE", ioctl(device, BLKGETSIZE, &sectors) == 0 && sectors == 2048);
    CHECK("BLKSSZGET", ioctl(device, BLKSSZGET, &sector) == 0 && sector >= 512);
    struct loop_info64 information = {0};
    CHECK("LOOP_GET_STATUS64", ioctl(device, LOOP_GET_STATUS64, &information) == 0 && information.lo_inode == inode_of(file) && (information.lo_flags & LO_FLAGS_AUTOCLEAR));
    char text[6];
    CHECK("the device reads as the file", pread(device, text, 6, 512) == 6 && memcmp(text, "sector", 6) == 0);
    CHECK_EQ("BLKFLSBUF", ioctl(device, BLKFLSBUF, 0), 0);
    CHECK_EQ("LOOP_CLR_FD", ioctl(device, LOOP_CLR_FD), 0);
    close(device);
    close(file);
    close(control);
}

static long key_control(int operation, long a, long b, long c, long d) { return syscall(SYS_keyctl, operation, a, b, c, d); }

static void keys(void) {
    long key = syscall(SYS_add_key, "user", "tine:test", "payload", 7, KEY_SPEC_PROCESS_KEYRING);
    if (key < 0 && (errno == EPERM || errno == ENOSYS)) return;  // a sandbox around the test
    char text[100] = "";
    CHECK("add_key", key > 0);
    CHECK("KEYCTL_READ", key_control(KEYCTL_READ, key, (long)text, sizeof text, 0) == 7 && strcmp(text, "payload") == 0);
    CHECK("KEYCTL_DESCRIBE", key_control(KEYCTL_DESCRIBE, key, (long)text, sizeof text, 0) > 0 && strncmp(text, "user;", 5) == 0);
    CHECK_EQ("KEYCTL_SEARCH", key_control(KEYCTL_SEARCH, KEY_SPEC_PROCESS_KEYRING, (long)"user", (long)"tine:test", 0), key);
    CHECK("KEYCTL_UPDATE", key_control(KEYCTL_UPDATE, key, (long)"other", 5, 0) == 0 && key_control(KEYCTL_READ, key, (long)text, sizeof text, 0) == 5);
    CHECK_ERRNO("KEYCTL_READ to a bad pointer", key_control(KEYCTL_READ, key, 8, 32, 0), EFAULT);
    CHECK_EQ("KEYCTL_REVOKE", key_control(KEYCTL_REVOKE, key, 0, 0, 0), 0);
    CHECK_ERRNO("a revoked key", key_control(KEYCTL_READ, key, (long)text, sizeof text, 0), EKEYREVOKED);
    CHECK_ERRNO("a key that is not there", syscall(SYS_request_key, "user", "tine:none", NULL, 0), ENOKEY);
}

static void detached_mounts(void) {
    int system = (int)syscall(SYS_fsopen, "tmpfs", FSOPEN_CLOEXEC);
    if (system < 0) {
        CHECK_ERRNO("fsopen as an ordinary user", syscall(SYS_fsopen, "tmpfs", FSOPEN_CLOEXEC), EPERM);
        return;
    }
    CHECK_EQ("fsconfig: a text", syscall(SYS_fsconfig, system, FSCONFIG_SET_STRING, "size", "1m", 0), 0);
    CHECK_ERRNO("fsconfig: an option that is none", syscall(SYS_fsconfig, system, FSCONFIG_SET_STRING, "nonsense", "1", 0), EINVAL);
    CHECK_EQ("fsconfig: create", syscall(SYS_fsconfig, system, FSCONFIG_CMD_CREATE, NULL, NULL, 0), 0);
    int mounted = (int)syscall(SYS_fsmount, system, FSMOUNT_CLOEXEC, 0);
    CHECK("fsmount", mounted >= 0);
    int file = openat(mounted, "inside", O_RDWR | O_CREAT, 0600);
    CHECK("a file in a mount that stands nowhere", file >= 0 && write(file, "x", 1) == 1);
    close(file);
    close(mounted);
    close(system);
}

int main(void) {
    enter_directory();
    terminals();
    files();
    random_numbers();
    namespaces();
    loop_devices();
    keys();
    detached_mounts();
    return check_done();
}
