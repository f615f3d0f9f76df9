// Which of several mistakes in one call is the one that is told, and calls that ask for nothing.
#include "check.h"
#include <sys/socket.h>

static long robust_list_of(pid_t pid) {
    void *head;
    size_t length;
    return syscall(SYS_get_robust_list, pid, &head, &length);
}
static long bind_pages(void *start, size_t length, int mode) { return syscall(SYS_mbind, start, length, mode, NULL, 0, 0); }

int main(void) {
    char *page = map_pages(2, PROT_READ | PROT_WRITE), *last = (char *)(-1ul);
    CHECK_EQ("sigaltstack: none again", sigaltstack(&(stack_t){0}, NULL), 0);
    CHECK_ERRNO("sigaltstack: another that is too small", sigaltstack(&(stack_t){.ss_sp = page}, NULL), ENOMEM);
    CHECK_ERRNO("sigaltstack: no such mode", sigaltstack(&(stack_t){.ss_flags = 7}, NULL), EINVAL);

    CHECK_ERRNO("mlock over the end of all addresses", mlock(last, (size_t)-1), EINVAL);
    CHECK_ERRNO("munlock over it", munlock((void *)-4096l, 8192), EINVAL);
    CHECK_ERRNO("mlock of a hole", mlock((void *)(1l << 46), 4096), ENOMEM);
    CHECK_ERRNO("mlock2: no such flag, of a hole", syscall(SYS_mlock2, 1l << 46, 4096, 8), EINVAL);
    CHECK_EQ("munlock of nothing", munlock(page, 0), 0);

    CHECK_ERRNO("mbind: no such mode, beyond all memory", bind_pages(last - 4095, 1 << 20, 99), EINVAL);
    CHECK_ERRNO("mbind: not a page's start", bind_pages(page + 1, 4096, 0), EINVAL);
    CHECK_ERRNO("mbind: beyond all memory", bind_pages((void *)(1l << 62), 4096, 0), EFAULT);
    CHECK_ERRNO("mbind: over the end of all addresses", bind_pages((void *)-4096l, 8192, 0), EINVAL);
    CHECK_EQ("mbind: as it was", bind_pages(page, 8192, 0), 0);

    int file = open("/dev/null", O_RDWR), pair[2];
    MUST(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) == 0);
    struct mmsghdr *bad = (struct mmsghdr *)16;
    CHECK_ERRNO("sendmmsg: no socket, no messages", sendmmsg(file, NULL, 0, 0), ENOTSOCK);
    CHECK_ERRNO("recvmmsg: no socket, no messages", recvmmsg(file, NULL, 0, 0, NULL), ENOTSOCK);
    CHECK_ERRNO("sendmmsg: no socket, messages nowhere", sendmmsg(file, bad, 1, 0), ENOTSOCK);
    CHECK_ERRNO("recvmmsg: no descriptor, messages nowhere", recvmmsg(999, bad, 1, 0, NULL), EBADF);
    CHECK_EQ("sendmmsg of none", sendmmsg(pair[0], NULL, 0, 0), 0);
    CHECK_EQ("recvmmsg of none", recvmmsg(pair[0], NULL, 0, 0, NULL), 0);
    CHECK_ERRNO("sendmmsg: messages nowhere", sendmmsg(pair[0], bad, 1, 0), EFAULT);

    CHECK_EQ("get_robust_list of oneself", robust_list_of(0), 0);
    CHECK_EQ("get_robust_list of oneself by number", robust_list_of(getpid()), 0);
    CHECK_ERRNO("get_robust_list of nobody", robust_list_of(0x3ffffff0), ESRCH);
    return check_done();
}
