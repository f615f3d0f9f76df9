// Descriptors and credentials sent over a socket.
#include "check.h"
#include <sys/socket.h>
#include <sys/un.h>

static int send_fds(int socket, const int *fds, size_t count, const char *text) {
    char control[CMSG_SPACE(sizeof(int) * 300)] = {0};
    struct iovec vector = {(void *)text, strlen(text)};
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1, .msg_control = control, .msg_controllen = CMSG_SPACE(sizeof(int) * count)};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET, header->cmsg_type = SCM_RIGHTS, header->cmsg_len = CMSG_LEN(sizeof(int) * count);
    memcpy(CMSG_DATA(header), fds, sizeof(int) * count);
    return (int)sendmsg(socket, &message, 0);
}

static int flags_seen;
static int receive_fds(int socket, int *fds, size_t room, int flags) {
    char control[CMSG_SPACE(sizeof(int) * 300)] = {0}, text[64];
    struct iovec vector = {text, sizeof text};
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1, .msg_control = control, .msg_controllen = room ? CMSG_SPACE(sizeof(int) * room) : 0};
    if (recvmsg(socket, &message, flags) < 0) return -1;
    flags_seen = message.msg_flags;
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (!header || header->cmsg_type != SCM_RIGHTS) return 0;
    size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    memcpy(fds, CMSG_DATA(header), count * sizeof(int));
    return (int)count;
}

/// Control data of several messages, of which the limit of descriptors cuts the first or leaves it out.
static void pidfd_behind_rights(int room, size_t expected) {
    enum { SO_PASSPIDFD_ = 76, SCM_PIDFD_ = 4 };
    int pair[2], on = 1, fds[3] = {0, 0, 0};
    char name[64];
    MUST(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) == 0);
    setsockopt(pair[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof on);
    if (setsockopt(pair[1], SOL_SOCKET, SO_PASSPIDFD_, &on, sizeof on) != 0) return;  // before Linux 6.5
    send_fds(pair[0], fds, 3, "x");
    struct rlimit limit, old;
    getrlimit(RLIMIT_NOFILE, &old);
    limit = old;
    int next = dup(0);
    close(next);
    limit.rlim_cur = (rlim_t)(next + room);
    setrlimit(RLIMIT_NOFILE, &limit);
    char control[256], text[8];
    struct iovec vector = {text, sizeof text};
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    MUST(recvmsg(pair[1], &message, 0) == 1);
    setrlimit(RLIMIT_NOFILE, &old);
    size_t rights = 0, others = 0;
    int pidfd = 0;
    for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_type == SCM_RIGHTS) rights = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        else if (header->cmsg_type == SCM_PIDFD_) memcpy(&pidfd, CMSG_DATA(header), sizeof pidfd);
        else if (header->cmsg_type == SCM_CREDENTIALS) others++;
        else others += 100;
    }
    snprintf(name, sizeof name, "room for %d: that many arrive, and credentials", room);
    CHECK(name, rights == expected && others == 1);
    snprintf(name, sizeof name, "room for %d: the sender's pidfd, or why not", room);
    if (room > 3) CHECK(name, pidfd == next + 3 && close(pidfd) == 0);
    else CHECK_EQ(name, pidfd, -EMFILE);
    size_t length = CMSG_SPACE(sizeof(struct ucred)) + (rights ? CMSG_SPACE(rights * sizeof(int)) : 0) + CMSG_SPACE(sizeof(int));
    snprintf(name, sizeof name, "room for %d: all of it, cut or not", room);
    CHECK(name, message.msg_controllen == length && !(message.msg_flags & MSG_CTRUNC) == (room >= 3));
    for (size_t i = 0; i < rights; i++) close(next + (int)i);
    close(pair[0]), close(pair[1]);
}

int main(void) {
    int pair[2], fds[300], got[300], status;
    MUST(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) == 0);
    int ends[2];
    MUST(pipe(ends) == 0);
    pid_t child = fork();
    if (child == 0) {
        int received = -1;
        if (receive_fds(pair[1], &received, 1, 0) != 1) _exit(1);
        _exit(write(received, "through", 7) == 7 ? 0 : 2);
    }
    CHECK_EQ("send one descriptor", send_fds(pair[0], &ends[1], 1, "x"), 1);
    waitpid(child, &status, 0);
    check_status("another process writes through it", status, "exit 0");
    char text[16] = "";
    CHECK("what it wrote arrives", read(ends[0], text, sizeof text) == 7 && strcmp(text, "through") == 0);

    for (int i = 0; i < 253; i++) fds[i] = ends[0];
    CHECK_EQ("253 descriptors at once", send_fds(pair[0], fds, 253, "many"), 4);
    CHECK_EQ("all arrive", receive_fds(pair[1], got, 253, 0), 253);
    bool valid = true;
    for (int i = 0; i < 253; i++) valid &= fcntl(got[i], F_GETFD) == 0, close(got[i]);
    CHECK("each is open", valid);
    CHECK_ERRNO("254 are too many", send_fds(pair[0], fds, 254, "x"), EINVAL);
    fds[0] = 7777;
    CHECK_ERRNO("a closed one", send_fds(pair[0], fds, 1, "x"), EBADF);
    fds[0] = fds[1];
    send_fds(pair[0], fds, 1, "x");
    CHECK("MSG_CMSG_CLOEXEC", receive_fds(pair[1], got, 1, MSG_CMSG_CLOEXEC) == 1 && fcntl(got[0], F_GETFD) == FD_CLOEXEC);
    close(got[0]);
    send_fds(pair[0], fds, 3, "x");
    int arrived = receive_fds(pair[1], got, 1, 0);
    CHECK("too little room truncates", arrived >= 1 && arrived < 3 && (flags_seen & MSG_CTRUNC));
    for (int i = 0; i < arrived; i++) close(got[i]);
    send_fds(pair[0], fds, 1, "x");
    CHECK("no room at all", receive_fds(pair[1], got, 0, 0) == 0 && (flags_seen & MSG_CTRUNC));
    int next = dup(0);
    CHECK("and nothing is left open", next == ends[1] + 1);
    close(next);

    struct rlimit limit, old;
    getrlimit(RLIMIT_NOFILE, &old);
    limit = old;
    limit.rlim_cur = (rlim_t)next + 2;
    setrlimit(RLIMIT_NOFILE, &limit);
    send_fds(pair[0], fds, 2, "x");
    CHECK("up to the limit", receive_fds(pair[1], got, 2, 0) == 2);
    send_fds(pair[0], fds, 1, "x");
    CHECK("and not beyond it", receive_fds(pair[1], &got[2], 1, 0) == 0 && (flags_seen & MSG_CTRUNC));
    setrlimit(RLIMIT_NOFILE, &old);
    close(got[0]), close(got[1]);

    int on = 1;
    setsockopt(pair[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof on);
    MUST(send(pair[0], "c", 1, 0) == 1);
    char control[CMSG_SPACE(sizeof(struct ucred))];
    memset(control, 0x5a, sizeof control);
    struct iovec vector = {text, sizeof text};
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    MUST(recvmsg(pair[1], &message, 0) == 1);
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    struct ucred credentials = {0};
    if (header && header->cmsg_type == SCM_CREDENTIALS) memcpy(&credentials, CMSG_DATA(header), sizeof credentials);
    CHECK("SCM_CREDENTIALS tells the sender", credentials.pid == getpid() && credentials.uid == getuid());
    int untouched = 0;
    for (size_t i = CMSG_LEN(sizeof credentials); i < sizeof control; i++) untouched += control[i] == 0x5a;
    CHECK_EQ("and leaves the padding behind it alone", untouched, (int)(sizeof control - CMSG_LEN(sizeof credentials)));
    socklen_t length = sizeof credentials;
    CHECK("SO_PEERCRED", getsockopt(pair[0], SOL_SOCKET, SO_PEERCRED, &credentials, &length) == 0 && credentials.pid == getpid());

    int socket_in_flight[2];
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, socket_in_flight) == 0);
    send_fds(pair[0], &socket_in_flight[0], 1, "s");
    close(socket_in_flight[0]);
    CHECK("a socket in flight stays open", write(socket_in_flight[1], "y", 1) == 1);
    int off = 0;
    setsockopt(pair[1], SOL_SOCKET, SO_PASSCRED, &off, sizeof off);
    CHECK("and arrives with its bytes", receive_fds(pair[1], got, 1, 0) == 1 && read(got[0], text, 1) == 1 && text[0] == 'y');
    struct mmsghdr several[3] = {0};
    struct iovec vectors[3];
    for (int i = 0; i < 3; i++) vectors[i] = (struct iovec){"abc" + i, 1}, several[i].msg_hdr.msg_iov = &vectors[i], several[i].msg_hdr.msg_iovlen = 1;
    CHECK_EQ("sendmmsg", sendmmsg(pair[0], several, 3, 0), 3);
    char bytes[3];
    for (int i = 0; i < 3; i++) vectors[i] = (struct iovec){&bytes[i], 1};
    CHECK("recvmmsg", recvmmsg(pair[1], several, 3, 0, NULL) == 3 && memcmp(bytes, "abc", 3) == 0 && several[2].msg_len == 1);
    for (int room = 0; room <= 4; room++) pidfd_behind_rights(room, room < 3 ? (size_t)room : 3);
    return check_done();
}
