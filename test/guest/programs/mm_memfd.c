// memfd: contents, seals, sharing, execution of one.
#include "fault.h"
#include <sys/sendfile.h>

int main(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "--child") == 0) return 17;
    catch_faults();
    int fd = memfd_create("named thing", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    CHECK("memfd_create", fd >= 0 && fcntl(fd, F_GETFD) == FD_CLOEXEC);
    char path[64], target[128] = "";
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    CHECK("its link names it", readlink(path, target, sizeof target - 1) > 0);
    CHECK_STRING("as memfd", target, "/memfd:named thing (deleted)");
    MUST(ftruncate(fd, 4 * PAGE) == 0);
    char *shared = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    char *second = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    shared[PAGE] = 'm';
    CHECK("two mappings are one", second[PAGE] == 'm');
    char byte;
    CHECK("coherent with read", pread(fd, &byte, 1, (off_t)PAGE) == 1 && byte == 'm');
    CHECK("and with write", pwrite(fd, "w", 1, 7) == 1 && shared[7] == 'w' && second[7] == 'w');
    pid_t child = fork();
    if (child == 0) {
        shared[9] = 'c';
        char *own = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        own[10] = 'd';
        _exit(0);
    }
    waitpid(child, NULL, 0);
    CHECK("a child's writes arrive", second[9] == 'c' && second[10] == 'd');
    munmap(second, 4 * PAGE);
    CHECK_EQ("no seals at first", fcntl(fd, F_GET_SEALS), 0);
    CHECK_ERRNO("F_SEAL_WRITE while mapped writable", fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), EBUSY);
    CHECK_EQ("F_SEAL_SHRINK and GROW", fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW), 0);
    CHECK_ERRNO("no shrinking", ftruncate(fd, (off_t)PAGE), EPERM);
    CHECK_ERRNO("no growing", ftruncate(fd, 5 * PAGE), EPERM);
    CHECK_EQ("F_SEAL_FUTURE_WRITE", fcntl(fd, F_ADD_SEALS, 0x10), 0);
    shared[3] = 'f';
    CHECK("the mapping that is stays writable", shared[3] == 'f');
    CHECK_ERRNO("a new writable one is refused", (long)mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), EPERM);
    CHECK_ERRNO("so is write", write(fd, "x", 1), EPERM);
    munmap(shared, 4 * PAGE);
    CHECK_EQ("F_SEAL_WRITE once unmapped", fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SEAL), 0);
    CHECK_EQ("F_GET_SEALS tells all", fcntl(fd, F_GET_SEALS), F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | 0x10);
    CHECK_ERRNO("no more seals", fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), EPERM);
    char *reading = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);
    CHECK("it can be read", reading != MAP_FAILED && reading[3] == 'f');
    CHECK_ERRNO("and not made writable", mprotect(reading, PAGE, PROT_READ | PROT_WRITE), EACCES);
    char *private = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    CHECK("a private copy is writable", private != MAP_FAILED && (private[3] = 'g') == 'g' && reading[3] == 'f');
    int plain = memfd_create("plain", 0);
    CHECK_ERRNO("without ALLOW_SEALING no seals", fcntl(plain, F_ADD_SEALS, F_SEAL_WRITE), EPERM);
    CHECK_ERRNO("unknown flags", memfd_create("x", 0x8000), EINVAL);
    char name[300];
    memset(name, 'n', sizeof name), name[299] = 0;
    CHECK_ERRNO("too long a name", memfd_create(name, 0), EINVAL);
    CHECK_ERRNO("a bad name pointer", syscall(SYS_memfd_create, 8, 0), EFAULT);

    int source = open("/proc/self/exe", O_RDONLY | O_CLOEXEC), program = memfd_create("program", MFD_CLOEXEC);
    struct stat status;
    MUST(fstat(source, &status) == 0 && sendfile(program, source, NULL, (size_t)status.st_size) == status.st_size);
    child = fork();
    if (child == 0) {
        char *const arguments[] = {"from-memory", "--child", NULL}, *const environment[] = {NULL};
        fexecve(program, arguments, environment);
        _exit(1);
    }
    int ended;
    waitpid(child, &ended, 0);
    check_status("a program in a memfd runs", ended, "exit 17");
    MUST(ftruncate(plain, 64 << 20) == 0);
    char *large = mmap(NULL, 64 << 20, PROT_READ | PROT_WRITE, MAP_SHARED, plain, 0);
    for (size_t i = 0; i < 64 << 20; i += 1 << 20) large[i] = (char)(i >> 20);
    fallocate(plain, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 10 << 20, 10 << 20);
    CHECK("a punched hole is zero in the mapping", large[15 << 20] == 0 && large[25 << 20] == 25);
    return check_done();
}
