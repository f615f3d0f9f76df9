// Unix sockets: stream, datagram, seqpacket, abstract names, options, messages.
#include "check.h"
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

int main(void) {
    enter_directory();
    int status;
    struct sockaddr_un name = {.sun_family = AF_UNIX}, peer;
    strcpy(name.sun_path, "socket");
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK("socket", listener >= 0 && fcntl(listener, F_GETFD) == FD_CLOEXEC);
    CHECK_EQ("bind to a path", bind(listener, (void *)&name, sizeof name), 0);
    CHECK_ERRNO("bind twice", bind(listener, (void *)&name, sizeof name), EADDRINUSE);
    struct stat info;
    CHECK("the path is a socket", stat("socket", &info) == 0 && S_ISSOCK(info.st_mode));
    CHECK_EQ("listen", listen(listener, 5), 0);
    pid_t child = fork();
    if (child == 0) {
        int fd = socket(AF_UNIX, SOCK_STREAM, 0);
        if (connect(fd, (void *)&name, sizeof name)) _exit(1);
        char text[16];
        if (write(fd, "question", 8) != 8 || read(fd, text, 16) != 6) _exit(2);
        shutdown(fd, SHUT_WR);
        _exit(read(fd, text, 16) == 0 ? 0 : 3);
    }
    socklen_t length = sizeof peer;
    int fd = accept4(listener, (void *)&peer, &length, SOCK_NONBLOCK);
    CHECK("accept4", fd >= 0 && peer.sun_family == AF_UNIX && length == 2 && (fcntl(fd, F_GETFL) & O_NONBLOCK));
    fcntl(fd, F_SETFL, 0);
    char text[64] = "";
    CHECK("a question", read(fd, text, sizeof text) == 8 && memcmp(text, "question", 8) == 0);
    CHECK("an answer", write(fd, "answer", 6) == 6);
    CHECK_EQ("the end after shutdown", read(fd, text, 1), 0);
    struct ucred credentials;
    length = sizeof credentials;
    CHECK("SO_PEERCRED is the child", getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &length) == 0 && credentials.pid == child);
    close(fd);
    waitpid(child, &status, 0);
    check_status("the client", status, "exit 0");
    length = sizeof peer;
    CHECK("getsockname", getsockname(listener, (void *)&peer, &length) == 0 && strcmp(peer.sun_path, "socket") == 0 && length == 2 + 7);
    unlink("socket");
    int lost = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK_ERRNO("connect to nothing", connect(lost, (void *)&name, sizeof name), ENOENT);
    write_file("socket", "", 0600);
    CHECK_ERRNO("connect to a file", connect(lost, (void *)&name, sizeof name), ECONNREFUSED);
    CHECK_ERRNO("accept of what does not listen", accept(lost, NULL, NULL), EINVAL);
    CHECK_ERRNO("a bad address pointer", connect(lost, (void *)8, sizeof name), EFAULT);
    CHECK_ERRNO("an address too long", connect(lost, (void *)&name, 5000), EINVAL);

    struct sockaddr_un abstract = {.sun_family = AF_UNIX};
    int abstract_length = snprintf(abstract.sun_path + 1, 60, "guest-%d", getpid()) + 3;
    int receiver = socket(AF_UNIX, SOCK_DGRAM, 0), sender = socket(AF_UNIX, SOCK_DGRAM, 0);
    CHECK_EQ("an abstract name", bind(receiver, (void *)&abstract, (socklen_t)abstract_length), 0);
    CHECK_EQ("sendto", sendto(sender, "datagram", 8, 0, (void *)&abstract, (socklen_t)abstract_length), 8);
    length = sizeof peer;
    CHECK_EQ("a short receive truncates", recvfrom(receiver, text, 4, MSG_TRUNC, (void *)&peer, &length), 8);
    CHECK_ERRNO("and drops the rest", recv(receiver, text, 4, MSG_DONTWAIT), EAGAIN);
    struct sockaddr_un autobound = {.sun_family = AF_UNIX};
    CHECK("autobind", bind(sender, (void *)&autobound, sizeof(sa_family_t)) == 0 && (length = sizeof peer, getsockname(sender, (void *)&peer, &length)) == 0 && length == 8);
    MUST(sendto(sender, "x", 1, 0, (void *)&abstract, (socklen_t)abstract_length) == 1);
    struct sockaddr_un from;
    socklen_t from_length = sizeof from;
    CHECK("recvfrom names the sender", recvfrom(receiver, text, 4, 0, (void *)&from, &from_length) == 1 && from_length == 8 && memcmp(&from, &peer, 8) == 0);

    int pair[2];
    CHECK_EQ("socketpair", socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
    MUST(send(pair[0], "one", 3, 0) == 3 && send(pair[0], "three", 5, MSG_EOR) == 5);
    CHECK("messages keep their borders", recv(pair[1], text, 64, 0) == 3 && recv(pair[1], text, 64, 0) == 5);
    MUST(send(pair[0], "peek", 4, 0) == 4);
    CHECK("MSG_PEEK", recv(pair[1], text, 64, MSG_PEEK) == 4 && recv(pair[1], text, 64, 0) == 4);
    struct iovec out[2] = {{"ab", 2}, {"cd", 2}}, in[2] = {{text, 1}, {text + 10, 10}};
    struct msghdr message = {.msg_iov = out, .msg_iovlen = 2}, reply = {.msg_iov = in, .msg_iovlen = 2};
    CHECK("sendmsg, recvmsg", sendmsg(pair[0], &message, 0) == 4 && recvmsg(pair[1], &reply, 0) == 4 && text[0] == 'a' && memcmp(text + 10, "bcd", 3) == 0 && (reply.msg_flags & MSG_EOR) == 0);
    CHECK_ERRNO("sendmsg with a bad header", sendmsg(pair[0], (void *)8, 0), EFAULT);
    message.msg_iov = (void *)8;
    CHECK_ERRNO("sendmsg with bad vectors", sendmsg(pair[0], &message, 0), EFAULT);
    message.msg_iov = out, message.msg_control = (void *)8, message.msg_controllen = 32;
    CHECK_ERRNO("sendmsg with bad control", sendmsg(pair[0], &message, 0), EFAULT);
    message.msg_control = NULL, message.msg_iovlen = 2000;
    CHECK_ERRNO("sendmsg with too many vectors", sendmsg(pair[0], &message, 0), EMSGSIZE);
    int value = 0;
    length = sizeof value;
    CHECK("SO_TYPE", getsockopt(pair[0], SOL_SOCKET, SO_TYPE, &value, &length) == 0 && value == SOCK_SEQPACKET);
    struct timeval limit = {0, 30000};
    setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    CHECK_ERRNO("SO_RCVTIMEO", recv(pair[0], text, 1, 0), EAGAIN);
    int size = 10000;
    setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    length = sizeof size;
    CHECK("SO_SNDBUF is doubled", getsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &size, &length) == 0 && size == 20000);
    CHECK_ERRNO("an unknown option", setsockopt(pair[0], SOL_SOCKET, 9999, &size, sizeof size), ENOPROTOOPT);
    CHECK_ERRNO("getsockopt with a bad pointer", getsockopt(pair[0], SOL_SOCKET, SO_TYPE, (void *)8, &length), EFAULT);
    close(pair[0]);
    CHECK_EQ("the peer's close is the end", recv(pair[1], text, 1, 0), 0);
    CHECK_ERRNO("and no more sending", send(pair[1], "x", 1, MSG_NOSIGNAL), EPIPE);
    CHECK_ERRNO("not a socket", send(open("/dev/null", O_RDWR), "x", 1, 0), ENOTSOCK);
    CHECK_ERRNO("an unknown family", socket(77, SOCK_STREAM, 0), EAFNOSUPPORT);
    CHECK_ERRNO("a protocol that is not there", socket(AF_UNIX, SOCK_STREAM, 99), EPROTONOSUPPORT);
    return check_done();
}
