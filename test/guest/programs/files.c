// Paths and metadata: the *at calls, links, renames, statx, directories, allocation, attributes, times.
#include "check.h"
#include <dirent.h>
#include <linux/openat2.h>
#include <linux/stat.h>
#include <sys/ioctl.h>
#include <linux/fs.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/time.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <utime.h>

static void check_paths(void) {
    int directory = (mkdir("d", 0755), open("d", O_RDONLY | O_DIRECTORY));
    int fd = openat(directory, "file", O_RDWR | O_CREAT | O_EXCL, 0640);
    CHECK("openat", fd >= 0);
    CHECK_ERRNO("O_EXCL", openat(directory, "file", O_RDWR | O_CREAT | O_EXCL, 0640), EEXIST);
    CHECK_ERRNO("O_DIRECTORY of a file", openat(directory, "file", O_DIRECTORY), ENOTDIR);
    CHECK_ERRNO("writing a directory", open("d", O_WRONLY), EISDIR);
    CHECK_EQ("linkat", linkat(directory, "file", AT_FDCWD, "hard", 0), 0);
    CHECK_EQ("symlinkat", symlinkat("d/file", AT_FDCWD, "soft"), 0);
    CHECK_ERRNO("O_NOFOLLOW", open("soft", O_RDONLY | O_NOFOLLOW), ELOOP);
    char target[64] = "";
    CHECK("readlinkat", readlinkat(AT_FDCWD, "soft", target, sizeof target) == 6 && memcmp(target, "d/file", 6) == 0);
    CHECK("readlink cuts off", readlink("soft", target, 3) == 3);
    CHECK_ERRNO("readlink of a file", readlink("hard", target, 3), EINVAL);
    struct stat one, two;
    CHECK("fstatat follows", fstatat(AT_FDCWD, "soft", &one, 0) == 0 && stat("hard", &two) == 0 && one.st_ino == two.st_ino && one.st_nlink == 2);
    CHECK("or does not", fstatat(AT_FDCWD, "soft", &one, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(one.st_mode));
    CHECK("AT_EMPTY_PATH", fstatat(fd, "", &one, AT_EMPTY_PATH) == 0 && one.st_ino == two.st_ino);
    CHECK_EQ("renameat2 NOREPLACE", renameat2(AT_FDCWD, "hard", AT_FDCWD, "moved", RENAME_NOREPLACE), 0);
    CHECK_ERRNO("over something", renameat2(AT_FDCWD, "moved", AT_FDCWD, "soft", RENAME_NOREPLACE), EEXIST);
    CHECK_EQ("renameat2 EXCHANGE", renameat2(AT_FDCWD, "moved", AT_FDCWD, "soft", RENAME_EXCHANGE), 0);
    CHECK("exchanged", lstat("moved", &one) == 0 && S_ISLNK(one.st_mode));
    CHECK_EQ("unlinkat", unlinkat(AT_FDCWD, "moved", 0), 0);
    CHECK_ERRNO("unlink of a directory", unlink("d"), EISDIR);
    CHECK_ERRNO("rmdir that is not empty", rmdir("d"), ENOTEMPTY);
    CHECK_EQ("faccessat2 EACCESS", faccessat(AT_FDCWD, "soft", R_OK | W_OK, AT_EACCESS), 0);
    CHECK_ERRNO("access of nothing", access("none", F_OK), ENOENT);
    struct open_how how = {.flags = O_RDONLY, .resolve = RESOLVE_BENEATH};
    CHECK("openat2", (int)syscall(SYS_openat2, directory, "file", &how, sizeof how) >= 0);
    CHECK_ERRNO("RESOLVE_BENEATH", syscall(SYS_openat2, directory, "../soft", &how, sizeof how), EXDEV);
    how.resolve = RESOLVE_NO_SYMLINKS;
    MUST(symlinkat("file", directory, "link") == 0);
    CHECK_ERRNO("RESOLVE_NO_SYMLINKS", syscall(SYS_openat2, directory, "link", &how, sizeof how), ELOOP);
    how.resolve = RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH;
    CHECK_ERRNO("with RESOLVE_BENEATH", syscall(SYS_openat2, directory, "link", &how, sizeof how), ELOOP);
    CHECK_ERRNO("openat2 with a bad size", syscall(SYS_openat2, directory, "file", &how, 8), EINVAL);
    CHECK_ERRNO("a bad path pointer", open((void *)8, O_RDONLY), EFAULT);
    char *edge = map_pages(2, PROT_READ | PROT_WRITE);
    munmap(edge + PAGE, PAGE);
    strcpy(edge + PAGE - 5, "soft");
    CHECK("a path up to the edge of memory", open(edge + PAGE - 5, O_RDONLY) >= 0);
    memcpy(edge + PAGE - 4, "soft", 4);
    CHECK_ERRNO("a path over the edge", open(edge + PAGE - 4, O_RDONLY), EFAULT);
    int path = open("soft", O_PATH);
    CHECK_ERRNO("O_PATH cannot be read", read(path, target, 1), EBADF);
    char through[64];
    snprintf(through, sizeof through, "/proc/self/fd/%d", path);
    CHECK("but reopened", open(through, O_RDONLY) >= 0);
    int unnamed = open(".", O_TMPFILE | O_RDWR, 0600);
    snprintf(through, sizeof through, "/proc/self/fd/%d", unnamed);
    CHECK("O_TMPFILE, then a name", unnamed >= 0 && linkat(AT_FDCWD, through, AT_FDCWD, "named", AT_SYMLINK_FOLLOW) == 0 && access("named", F_OK) == 0);
    CHECK("chdir, fchdir, getcwd", chdir("d") == 0 && access("file", F_OK) == 0 && fchdir(directory) == 0 && chdir("..") == 0 && access("d/file", F_OK) == 0);
    CHECK_ERRNO("getcwd with little room", syscall(SYS_getcwd, target, 2), ERANGE);
    close(fd), close(directory);
}

static void check_status_calls(void) {
    struct statx extended;
    char room[100] = "data";
    struct stat plain;
    int fd = open("sized", O_RDWR | O_CREAT, 0604);
    MUST(fd >= 0 && pwrite(fd, "x", 1, 9999) == 1);
    CHECK("fstat", fstat(fd, &plain) == 0 && plain.st_size == 10000 && (plain.st_mode & 0777) == 0604 && plain.st_uid == getuid());
    CHECK("statx agrees", statx(AT_FDCWD, "sized", 0, STATX_ALL, &extended) == 0 && extended.stx_size == 10000 && extended.stx_ino == plain.st_ino && (extended.stx_mask & STATX_BASIC_STATS));
    CHECK_ERRNO("statx with bad flags", statx(AT_FDCWD, "sized", 0x80000, STATX_ALL, &extended), EINVAL);
    CHECK_ERRNO("stat with a bad pointer", stat("sized", (void *)8), EFAULT);
    struct timespec times[2] = {{1000, 123456789}, {2000, 987654321}};
    CHECK("utimensat", utimensat(AT_FDCWD, "sized", times, 0) == 0 && stat("sized", &plain) == 0 && plain.st_atim.tv_nsec == 123456789 && plain.st_mtim.tv_sec == 2000);
    struct timespec omit[2] = {{0, UTIME_OMIT}, {5, 0}};
    CHECK("UTIME_OMIT", futimens(fd, omit) == 0 && fstat(fd, &plain) == 0 && plain.st_atim.tv_sec == 1000 && plain.st_mtim.tv_sec == 5);
    CHECK("chmod, fchmod, fchmodat", chmod("sized", 0600) == 0 && fchmod(fd, 0640) == 0 && fchmodat(AT_FDCWD, "sized", 0644, 0) == 0 && fstat(fd, &plain) == 0 && (plain.st_mode & 0777) == 0644);
    CHECK("chown to oneself", chown("sized", getuid(), getgid()) == 0 && fchownat(fd, "", (uid_t)-1, (gid_t)-1, AT_EMPTY_PATH) == 0);
    struct statfs system;
    struct statvfs virtual;
    CHECK("statfs, fstatfs, statvfs", statfs(".", &system) == 0 && fstatfs(fd, &system) == 0 && system.f_bsize > 0 && statvfs(".", &virtual) == 0);
    CHECK_EQ("umask", (umask(077), umask(022)), 077);
    CHECK("fallocate", fallocate(fd, 0, 0, 50000) == 0 && fstat(fd, &plain) == 0 && plain.st_size == 50000);
    CHECK("PUNCH_HOLE", fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 8192, 4096) == 0);
    CHECK_ERRNO("fallocate of nothing", fallocate(fd, 0, 0, 0), EINVAL);
    CHECK("truncate", truncate("sized", 100) == 0 && fstat(fd, &plain) == 0 && plain.st_size == 100);
    MUST(pwrite(fd, room, 100, 0) == 100);
    CHECK("SEEK_DATA, SEEK_HOLE", lseek(fd, 0, SEEK_HOLE) == 100 && lseek(fd, 0, SEEK_DATA) == 0);
    CHECK_ERRNO("SEEK_DATA past the end", lseek(fd, 200, SEEK_DATA), ENXIO);
    CHECK_ERRNO("lseek to a negative place", lseek(fd, -1, SEEK_SET), EINVAL);
    CHECK("fsync, fdatasync, sync_file_range, posix_fadvise", fsync(fd) == 0 && fdatasync(fd) == 0 && sync_file_range(fd, 0, 100, SYNC_FILE_RANGE_WRITE) == 0 && posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) == 0 && readahead(fd, 0, 100) == 0);
    int appending = open("sized", O_WRONLY | O_APPEND);
    CHECK("O_APPEND", lseek(appending, 0, SEEK_SET) == 0 && write(appending, "end", 3) == 3 && fstat(fd, &plain) == 0 && plain.st_size == 103);
    int flags = 0;
    int got = ioctl(fd, FS_IOC_GETFLAGS, &flags);
    CHECK("FS_IOC_GETFLAGS", got == 0 || errno == ENOTTY || errno == EOPNOTSUPP);
    CHECK_ERRNO("an ioctl nobody knows", ioctl(fd, 0x12345678, &flags), ENOTTY);
    CHECK_ERRNO("a terminal's ioctl on a file", ioctl(fd, 0x5401, &flags), ENOTTY);
    int on = 1;
    CHECK("FIOCLEX, FIONBIO", ioctl(fd, FIOCLEX) == 0 && fcntl(fd, F_GETFD) == FD_CLOEXEC && ioctl(fd, FIONBIO, &on) == 0 && (fcntl(fd, F_GETFL) & O_NONBLOCK));
    close(fd), close(appending);
}

static int by_name(const struct dirent **a, const struct dirent **b) { return strcmp((*a)->d_name, (*b)->d_name); }

static void check_directories(void) {
    MUST(mkdir("list", 0755) == 0 && chdir("list") == 0);
    char name[32];
    for (int i = 0; i < 500; i++) {
        snprintf(name, sizeof name, "entry-%03d", i);
        close(open(name, O_CREAT | O_WRONLY, 0600));
    }
    struct dirent **entries;
    int count = scandir(".", &entries, NULL, by_name);
    CHECK("five hundred entries, and two", count == 502 && strcmp(entries[2]->d_name, "entry-000") == 0 && strcmp(entries[501]->d_name, "entry-499") == 0 && entries[5]->d_type == DT_REG);
    DIR *directory = opendir(".");
    for (int i = 0; i < 10; i++) readdir(directory);
    long place = telldir(directory);
    char eleventh[300];
    strcpy(eleventh, readdir(directory)->d_name);
    seekdir(directory, place);
    CHECK_STRING("telldir and seekdir", readdir(directory)->d_name, eleventh);
    rewinddir(directory);
    count = 0;
    for (struct dirent *entry; (entry = readdir(directory));)
        if (entry->d_name[0] == 'e') count += unlink(entry->d_name) == 0;
    closedir(directory);
    CHECK("all unlinked while they are read", count == 500 && chdir("..") == 0 && rmdir("list") == 0);
    char room[16];
    int fd = open("/", O_RDONLY | O_DIRECTORY);
    CHECK_ERRNO("getdents64 with little room", syscall(SYS_getdents64, fd, room, 1), EINVAL);
    CHECK_ERRNO("getdents64 with a bad pointer", syscall(SYS_getdents64, fd, 8, 4096), EFAULT);
    int file = open("sized", O_RDONLY);
    CHECK_ERRNO("getdents64 of a file", syscall(SYS_getdents64, file, room, 16), ENOTDIR);
    CHECK_ERRNO("read of a directory", read(fd, room, 16), EISDIR);
    close(fd), close(file);
}

static void check_attributes(void) {
    char value[64] = "", list[256] = "";
    if (setxattr("sized", "user.test", "value", 5, 0) && errno == EOPNOTSUPP) {
        CHECK("the file system has no user attributes", true);
        return;
    }
    CHECK("getxattr", getxattr("sized", "user.test", value, sizeof value) == 5 && strcmp(value, "value") == 0);
    CHECK_EQ("getxattr asks the size", getxattr("sized", "user.test", NULL, 0), 5);
    CHECK_ERRNO("little room", getxattr("sized", "user.test", value, 2), ERANGE);
    CHECK_ERRNO("XATTR_CREATE", setxattr("sized", "user.test", "x", 1, XATTR_CREATE), EEXIST);
    CHECK_ERRNO("XATTR_REPLACE", setxattr("sized", "user.none", "x", 1, XATTR_REPLACE), ENODATA);
    int fd = open("sized", O_RDWR);
    CHECK("fsetxattr, listxattr", fsetxattr(fd, "user.two", "2", 1, 0) == 0 && listxattr("sized", list, sizeof list) >= 19);
    CHECK("removexattr", removexattr("sized", "user.test") == 0 && fremovexattr(fd, "user.two") == 0);
    CHECK_ERRNO("gone", getxattr("sized", "user.test", value, 2), ENODATA);
    close(fd);
}

int main(void) {
    enter_directory();
    check_paths();
    check_status_calls();
    check_directories();
    check_attributes();
    return check_done();
}
