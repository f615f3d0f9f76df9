// TCP and UDP over loopback, options, interface ioctls, netlink.
#include "check.h"
#include <arpa/inet.h>
#include <ifaddrs.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

static struct sockaddr_in bound(int fd) {
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof name;
    MUST(bind(fd, (void *)&name, sizeof name) == 0 && getsockname(fd, (void *)&name, &length) == 0);
    return name;
}

static void *echo(void *listener) {
    int fd = accept(*(int *)listener, NULL, NULL);
    char room[65536];
    ssize_t got;
    while ((got = read(fd, room, sizeof room)) > 0)
        for (ssize_t sent = 0; sent < got;) {
            ssize_t part = write(fd, room + sent, (size_t)(got - sent));
            if (part <= 0) return NULL;
            sent += part;
        }
    close(fd);
    return NULL;
}

static void check_tcp(void) {
    int listener = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    CHECK_EQ("SO_REUSEADDR", setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), 0);
    struct sockaddr_in name = bound(listener), peer;
    CHECK("bind chooses a port", name.sin_port != 0);
    MUST(listen(listener, 10) == 0);
    pthread_t thread;
    pthread_create(&thread, NULL, echo, &listener);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_EQ("connect", connect(fd, (void *)&name, sizeof name), 0);
    socklen_t length = sizeof peer;
    CHECK("getpeername", getpeername(fd, (void *)&peer, &length) == 0 && peer.sin_port == name.sin_port && length == 16);
    static char out[200000], in[200000];
    for (size_t i = 0; i < sizeof out; i++) out[i] = (char)(i * 31);
    size_t sent = 0, got = 0;
    struct pollfd poller = {fd, 0, 0};
    fcntl(fd, F_SETFL, O_NONBLOCK);
    while (got < sizeof in) {
        poller.events = (short)(POLLIN | (sent < sizeof out ? POLLOUT : 0));
        if (poll(&poller, 1, 10000) != 1) break;
        ssize_t part;
        if ((poller.revents & POLLOUT) && (part = write(fd, out + sent, sizeof out - sent)) > 0) sent += (size_t)part;
        if ((poller.revents & POLLIN) && (part = read(fd, in + got, sizeof in - got)) > 0) got += (size_t)part;
    }
    CHECK("200,000 bytes come back", got == sizeof in && memcmp(in, out, sizeof in) == 0);
    fcntl(fd, F_SETFL, 0);
    CHECK_EQ("TCP_NODELAY", setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), 0);
    struct tcp_info info;
    length = sizeof info;
    CHECK("TCP_INFO", getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) == 0 && info.tcpi_state == 1);
    int value = 0;
    length = sizeof value;
    CHECK("SO_ERROR", getsockopt(fd, SOL_SOCKET, SO_ERROR, &value, &length) == 0 && value == 0);
    CHECK("SIOCINQ", ioctl(fd, FIONREAD, &value) == 0 && value == 0);
    CHECK_EQ("shutdown", shutdown(fd, SHUT_WR), 0);
    CHECK_EQ("the echo ends", read(fd, in, 1), 0);
    pthread_join(thread, NULL);
    struct linger abort_now = {1, 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &abort_now, sizeof abort_now);
    close(fd);
    close(listener);
    fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_ERRNO("nobody listens", connect(fd, (void *)&name, sizeof name), ECONNREFUSED);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    CHECK("non-blocking connect", connect(fd, (void *)&name, sizeof name) == -1 && (errno == EINPROGRESS || errno == ECONNREFUSED || errno == ECONNABORTED));
    close(fd);
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int listener6 = socket(AF_INET6, SOCK_STREAM, 0);
    if (listener6 >= 0 && bind(listener6, (void *)&six, sizeof six) == 0 && listen(listener6, 1) == 0) {
        length = sizeof six;
        getsockname(listener6, (void *)&six, &length);
        fd = socket(AF_INET6, SOCK_STREAM, 0);
        CHECK_EQ("IPv6", connect(fd, (void *)&six, sizeof six), 0);
        close(fd);
    } else CHECK("IPv6 is not there", listener6 < 0 || errno == EADDRNOTAVAIL);
    close(listener6);
}

static void check_udp(void) {
    int receiver = socket(AF_INET, SOCK_DGRAM, 0), sender = socket(AF_INET, SOCK_DGRAM, 0), on = 1;
    struct sockaddr_in name = bound(receiver), from;
    setsockopt(receiver, IPPROTO_IP, IP_PKTINFO, &on, sizeof on);
    MUST(sendto(sender, "datagram", 8, 0, (void *)&name, sizeof name) == 8);
    char text[64], control[256];
    struct iovec vector = {text, sizeof text};
    struct msghdr message = {.msg_name = &from, .msg_namelen = sizeof from, .msg_iov = &vector, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    CHECK("recvmsg", recvmsg(receiver, &message, 0) == 8 && message.msg_namelen == sizeof from && from.sin_addr.s_addr == htonl(INADDR_LOOPBACK));
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    CHECK("IP_PKTINFO", header && header->cmsg_level == IPPROTO_IP && header->cmsg_type == IP_PKTINFO &&
                            ((struct in_pktinfo *)CMSG_DATA(header))->ipi_addr.s_addr == htonl(INADDR_LOOPBACK));
    CHECK_EQ("a connected datagram socket", connect(sender, (void *)&name, sizeof name) || send(sender, "x", 1, 0) != 1, 0);
    CHECK_EQ("arrives", recv(receiver, text, sizeof text, 0), 1);
    struct timeval limit = {0, 20000};
    setsockopt(receiver, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    CHECK_ERRNO("SO_RCVTIMEO", recv(receiver, text, 1, 0), EAGAIN);
    static char large[70000];
    CHECK_ERRNO("too large", send(sender, large, sizeof large, 0), EMSGSIZE);
    close(receiver), close(sender);
}

static void check_interfaces(void) {
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    struct ifreq request = {0};
    strcpy(request.ifr_name, "lo");
    CHECK("SIOCGIFFLAGS", ioctl(fd, SIOCGIFFLAGS, &request) == 0 && (request.ifr_flags & IFF_LOOPBACK));
    CHECK("SIOCGIFADDR", ioctl(fd, SIOCGIFADDR, &request) == 0 && ((struct sockaddr_in *)&request.ifr_addr)->sin_addr.s_addr == htonl(INADDR_LOOPBACK));
    CHECK("SIOCGIFMTU", ioctl(fd, SIOCGIFMTU, &request) == 0 && request.ifr_mtu > 1000);
    CHECK("SIOCGIFINDEX", ioctl(fd, SIOCGIFINDEX, &request) == 0 && request.ifr_ifindex == (int)if_nametoindex("lo"));
    char room[4096];
    struct ifconf list = {.ifc_len = sizeof room, .ifc_buf = room};
    bool found = false;
    CHECK_EQ("SIOCGIFCONF, whose buffer is a pointer within", ioctl(fd, SIOCGIFCONF, &list), 0);
    for (int i = 0; i < list.ifc_len / (int)sizeof request; i++) found |= strcmp(list.ifc_req[i].ifr_name, "lo") == 0;
    CHECK("lists lo", found);
    strcpy(request.ifr_name, "none0");
    CHECK_ERRNO("no such interface", ioctl(fd, SIOCGIFFLAGS, &request), ENODEV);
    CHECK_ERRNO("SIOCGIFFLAGS with a bad pointer", ioctl(fd, SIOCGIFFLAGS, 8), EFAULT);
    close(fd);
    struct ifaddrs *addresses = NULL;
    found = false;
    CHECK_EQ("getifaddrs (netlink)", getifaddrs(&addresses), 0);
    for (struct ifaddrs *at = addresses; at; at = at->ifa_next) found |= strcmp(at->ifa_name, "lo") == 0;
    CHECK("finds lo", found);
    freeifaddrs(addresses);
    int netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    struct { struct nlmsghdr header; struct rtgenmsg body; } dump = {{sizeof dump, RTM_GETLINK, NLM_F_REQUEST | NLM_F_DUMP, 7, 0}, {AF_UNSPEC}};
    struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    struct iovec vector = {&dump, sizeof dump};
    struct msghdr message = {.msg_name = &kernel, .msg_namelen = sizeof kernel, .msg_iov = &vector, .msg_iovlen = 1};
    MUST(sendmsg(netlink, &message, 0) == sizeof dump);
    static char answer[32768];
    bool done = false, links = false;
    while (!done) {
        ssize_t length = recv(netlink, answer, sizeof answer, 0);
        if (length <= 0) break;
        for (struct nlmsghdr *at = (void *)answer; NLMSG_OK(at, (size_t)length); at = NLMSG_NEXT(at, length)) {
            done |= at->nlmsg_type == NLMSG_DONE;
            links |= at->nlmsg_type == RTM_NEWLINK && at->nlmsg_seq == 7;
        }
    }
    CHECK("a raw netlink dump of links", done && links);
    close(netlink);
    struct addrinfo *result = NULL, hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST};
    CHECK("getaddrinfo of a number", getaddrinfo("127.0.0.1", "80", &hints, &result) == 0 && result);
    freeaddrinfo(result);
}

static void check_many(void) {
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in name = bound(listener);
    listen(listener, 200);
    pid_t child = fork();
    if (child == 0) {
        int fds[100], wrong = 0;
        for (int i = 0; i < 100; i++) {
            fds[i] = socket(AF_INET, SOCK_STREAM, 0);
            if (connect(fds[i], (void *)&name, sizeof name)) _exit(1);
        }
        for (int i = 0; i < 100; i++) wrong += write(fds[i], &(char){(char)i}, 1) != 1;
        for (int i = 0; i < 100; i++) {
            char byte;
            wrong += read(fds[i], &byte, 1) != 1 || byte != (char)i + 1;
        }
        _exit(wrong);
    }
    int epoll = epoll_create1(0), served = 0;
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener}, events[16];
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
    while (served < 100) {
        int count = epoll_wait(epoll, events, 16, 10000);
        if (count <= 0) break;
        for (int i = 0; i < count; i++) {
            if (events[i].data.fd == listener) {
                event.data.fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
                epoll_ctl(epoll, EPOLL_CTL_ADD, event.data.fd, &event);
                continue;
            }
            char byte;
            if (read(events[i].data.fd, &byte, 1) == 1) {
                byte++;
                served += write(events[i].data.fd, &byte, 1) == 1;
            }
            epoll_ctl(epoll, EPOLL_CTL_DEL, events[i].data.fd, NULL);
        }
    }
    int status;
    waitpid(child, &status, 0);
    CHECK_EQ("a hundred connections served by epoll", served, 100);
    check_status("and their client", status, "exit 0");
}

int main(void) {
    check_tcp();
    check_udp();
    check_interfaces();
    check_many();
    return check_done();
}
