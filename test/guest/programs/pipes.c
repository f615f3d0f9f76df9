// Pipes, fifos, splice, tee, vmsplice, sendfile, copy_file_range, vectors, offsets.
#include "check.h"
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/uio.h>

int main(void) {
    enter_directory();
    int ends[2], other[2];
    char room[70000], text[64] = "";
    CHECK("pipe2 flags", pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0 && fcntl(ends[0], F_GETFD) == FD_CLOEXEC && (fcntl(ends[1], F_GETFL) & O_NONBLOCK));
    CHECK_ERRNO("empty and non-blocking", read(ends[0], text, 1), EAGAIN);
    memset(room, 'r', sizeof room);
    CHECK_EQ("holds 64 KiB", write(ends[1], room, sizeof room), 65536);
    CHECK_ERRNO("then it is full", write(ends[1], room, 1), EAGAIN);
    int waiting = 0;
    CHECK("FIONREAD", ioctl(ends[0], FIONREAD, &waiting) == 0 && waiting == 65536);
    CHECK_EQ("F_GETPIPE_SZ", fcntl(ends[0], F_GETPIPE_SZ), 65536);
    CHECK_EQ("read it all", read(ends[0], room, sizeof room), 65536);
    CHECK("F_SETPIPE_SZ", fcntl(ends[0], F_SETPIPE_SZ, 8192) == 8192 && write(ends[1], room, sizeof room) == 8192);
    close(ends[1]);
    CHECK("what is left, then the end", read(ends[0], room, sizeof room) == 8192 && read(ends[0], room, 1) == 0);
    close(ends[0]);
    signal(SIGPIPE, SIG_IGN);
    MUST(pipe(ends) == 0);
    close(ends[0]);
    CHECK_ERRNO("no reader", write(ends[1], "x", 1), EPIPE);
    signal(SIGPIPE, SIG_DFL);
    int status;
    pid_t child = fork();
    if (child == 0) _exit(write(ends[1], "x", 1) == -1);
    waitpid(child, &status, 0);
    check_status("SIGPIPE", status, "signal 13");
    close(ends[1]);
    CHECK_ERRNO("pipe2 with bad flags", pipe2(ends, 77), EINVAL);
    CHECK_ERRNO("pipe with a bad pointer", syscall(SYS_pipe, 8), EFAULT);
    CHECK("and no descriptor leaked by it", dup(0) < 64);

    MUST(pipe(ends) == 0 && pipe(other) == 0);
    int source = open("source", O_RDWR | O_CREAT, 0600), target = open("target", O_RDWR | O_CREAT, 0600);
    for (int i = 0; i < 5000; i++) MUST(write(source, "0123456789", 10) == 10);
    loff_t in = 10, out = 3;
    CHECK("splice a file into a pipe", splice(source, &in, ends[1], NULL, 1000, 0) == 1000 && in == 1010);
    CHECK_EQ("tee", tee(ends[0], other[1], 500, 0), 500);
    CHECK("splice a pipe into a file", splice(ends[0], NULL, target, &out, 1000, 0) == 1000 && out == 1003);
    CHECK("the bytes are right", pread(target, text, 10, 3) == 10 && memcmp(text, "0123456789", 10) == 0 && read(other[0], text, 10) == 10 && text[9] == '9');
    CHECK_ERRNO("splice without a pipe", splice(source, &in, target, &out, 10, 0), EINVAL);
    struct iovec vectors[3] = {{"ab", 2}, {"cde", 3}, {"f", 1}};
    MUST(read(other[0], room, sizeof room) == 490);
    CHECK("vmsplice", vmsplice(other[1], vectors, 3, 0) == 6 && read(other[0], text, 6) == 6 && memcmp(text, "abcdef", 6) == 0);
    off_t offset = 100;
    CHECK("sendfile with an offset", sendfile(target, source, &offset, 5000) == 5000 && offset == 5100);
    lseek(source, 0, SEEK_SET);
    CHECK("sendfile to a pipe", sendfile(other[1], source, NULL, 100) == 100 && lseek(source, 0, SEEK_CUR) == 100 && read(other[0], room, 100) == 100);
    CHECK_ERRNO("sendfile with a bad offset pointer", syscall(SYS_sendfile, target, source, 8, 10), EFAULT);
    in = 0, out = 0;
    CHECK("copy_file_range", copy_file_range(source, &in, target, &out, 20000, 0) == 20000 && in == 20000 && out == 20000);
    CHECK("its bytes", pread(target, text, 10, 19990) == 10 && memcmp(text, "0123456789", 10) == 0);
    CHECK_ERRNO("copy_file_range with flags", copy_file_range(source, &in, target, &out, 10, 1), EINVAL);

    lseek(target, 0, SEEK_SET);
    MUST(ftruncate(target, 0) == 0);
    CHECK("writev", writev(target, vectors, 3) == 6);
    char a[2], b[10];
    struct iovec reading[2] = {{a, 2}, {b, 10}};
    CHECK("preadv", preadv(target, reading, 2, 1) == 5 && memcmp(a, "bc", 2) == 0 && memcmp(b, "def", 3) == 0);
    CHECK("pwritev", pwritev(target, vectors, 2, 4) == 5 && pread(target, text, 20, 0) == 9 && memcmp(text, "abcdabcde", 9) == 0);
    CHECK("preadv2 with -1 uses the position", (lseek(target, 2, SEEK_SET), preadv2(target, reading, 1, -1, 0)) == 2 && memcmp(a, "cd", 2) == 0);
    CHECK_ERRNO("preadv2 with bad flags", preadv2(target, reading, 1, 0, 0x8000), EOPNOTSUPP);
    CHECK_ERRNO("readv of 1025 vectors", syscall(SYS_readv, target, reading, 1025), EINVAL);
    CHECK_ERRNO("readv of -1 vectors", syscall(SYS_readv, target, reading, -1), EINVAL);
    CHECK_EQ("readv of none", readv(target, reading, 0), 0);
    CHECK_ERRNO("a bad vector pointer", syscall(SYS_readv, target, 8, 1), EFAULT);
    struct iovec bad[2] = {{(void *)8, 10}, {a, 2}};
    CHECK_ERRNO("a bad pointer in the first vector", (lseek(target, 0, SEEK_SET), readv(target, bad, 2)), EFAULT);
    struct iovec huge[2] = {{a, (size_t)-1}, {a, 1}};
    CHECK_ERRNO("lengths that overflow", readv(target, huge, 2), EINVAL);
    static struct iovec thousand[1024];
    static char bytes[1024];
    for (int i = 0; i < 1024; i++) thousand[i] = (struct iovec){&bytes[i], 1};
    CHECK("1024 vectors", preadv(source, thousand, 1024, 0) == 1024 && bytes[1023] == '3');
    CHECK_EQ("SSIZE_MAX is cut, not refused", pread(source, room, 0x7ffff000 < sizeof room ? 1 : sizeof room, 49990), 10);
    CHECK("a read longer than what is mapped stops at its end", ({
              char *edge = map_pages(2, PROT_READ | PROT_WRITE);
              munmap(edge + PAGE, PAGE);
              pread(source, edge + PAGE - 100, 4096, 0) == 100 && edge[PAGE - 1] == '9';
          }));
    MUST(mkfifo("fifo", 0600) == 0);
    child = fork();
    if (child == 0) {
        int fd = open("fifo", O_WRONLY);
        _exit(write(fd, "fifo!", 5) == 5 ? 0 : 1);
    }
    int fifo = open("fifo", O_RDONLY);
    CHECK("a fifo joins two processes", read(fifo, text, 5) == 5 && memcmp(text, "fifo!", 5) == 0);
    waitpid(child, NULL, 0);
    close(fifo);
    CHECK_ERRNO("a fifo without a reader", open("fifo", O_WRONLY | O_NONBLOCK), ENXIO);
    struct stat info;
    CHECK("fstat of a pipe", fstat(ends[0], &info) == 0 && S_ISFIFO(info.st_mode));
    CHECK_ERRNO("lseek of a pipe", lseek(ends[0], 0, SEEK_SET), ESPIPE);
    child = fork();
    if (child == 0) {
        close(other[0]);
        memset(room, 'b', sizeof room);
        for (int i = 0; i < 100; i++)
            for (size_t left = sizeof room; left;) {
                ssize_t put = write(other[1], room, left);
                if (put <= 0) _exit(1);
                left -= (size_t)put;
            }
        _exit(0);
    }
    close(other[1]);
    size_t total = 0;
    ssize_t got;
    while ((got = read(other[0], room, sizeof room)) > 0) total += (size_t)got;
    CHECK_EQ("seven megabytes between processes", total, 7000000);
    waitpid(child, NULL, 0);
    return check_done();
}
