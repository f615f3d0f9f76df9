// Making sockets, and their options: most values are flat; those that hold pointers are copied and translated.
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <linux/in.h>
#include <linux/netfilter_ipv4/ip_tables.h>
#include <linux/netfilter_ipv6/ip6_tables.h>
#include <linux/tcp.h>
#include <sys/socket.h>

#include <vector>

#include "memory/guest_copy.h"
#include "syscall/descriptors.h"
#include "syscall/handlers.h"

namespace tine {
namespace {

constexpr int kRds = 21, kVsock = 40, kXdp = 44;      // address families
constexpr int kSctp = 132;                            // option levels
constexpr int kSctpConnectx3 = 111;                   // its argument holds a pointer
constexpr int kPeerPidfd = 77;                        // SO_PEERPIDFD, Linux 6.5
constexpr int kEbtablesFirst = 128, kEbtablesLast = 131;  // nested pointers throughout
constexpr uint64_t kMaxTable = 64 << 20;

int64_t set(Call& call, uint64_t value, uint64_t length) {
  return host_call(call.thread, SYS_setsockopt, call.a[0], call.a[1], call.a[2], value, length);
}

int64_t set_filter(Call& call) {
  sock_fprog program;
  if (call.a[4] != sizeof program) return -EINVAL;
  if (!get(program, call.ptr(3))) return -EFAULT;
  program.filter = to_host({reinterpret_cast<uint64_t>(program.filter)}).ptr<sock_filter>();
  return set(call, arg(&program), sizeof program);
}

// iptables (not nf_tables) hands over a whole table, with one pointer in its head for the old counters.
template <class Replace>
int64_t replace_table(Call& call) {
  uint64_t length = static_cast<uint32_t>(call.a[4]);
  if (length < sizeof(Replace)) return -EINVAL;
  if (length > kMaxTable) return -ENOMEM;
  std::vector<uint8_t> table(length);
  if (!copy_in(table.data(), call.ptr(3), length)) return -EFAULT;
  auto* head = reinterpret_cast<Replace*>(table.data());
  using Counters = std::remove_reference_t<decltype(*head->counters)>;
  head->counters = to_host({reinterpret_cast<uint64_t>(head->counters)}).template ptr<Counters>();
  return set(call, arg(table.data()), length);
}

bool is_ebtables(int level, int name) {
  return level == IPPROTO_IP && name >= kEbtablesFirst && name <= kEbtablesLast;
}

int64_t get_peer_pidfd(Call& call) {
  uint32_t length;
  if (!get(length, call.ptr(4))) return -EFAULT;
  int fd = -1;
  uint32_t offered = length < sizeof fd ? length : sizeof fd;
  auto gate = hold_gate(call.thread);
  int64_t result =
      host_call(call.thread, SYS_getsockopt, call.a[0], SOL_SOCKET, kPeerPidfd, arg(&fd), arg(&offered));
  if (result < 0) return result;
  int64_t number = limit_descriptor(call.thread, fd);
  if (number < 0) return number;
  if (copy_out(call.ptr(3), &fd, offered) && put(call.ptr(4), offered)) return 0;
  raw(SYS_close, static_cast<uint64_t>(fd));
  return -EFAULT;
}

}  // namespace

int64_t sys_socket(Call& call) {
  int family = static_cast<int>(call.a[0]);
  if (family == kRds || family == kVsock || family == kXdp) return -EAFNOSUPPORT;
  auto gate = hold_gate(call.thread);
  return limit_descriptor(call.thread, host_call(call.thread, SYS_socket, call.a[0], call.a[1], call.a[2]));
}

int64_t sys_setsockopt(Call& call) {
  if (is_hidden(call.thread, call.fd(0))) return -EBADF;
  int level = static_cast<int>(call.a[1]), name = static_cast<int>(call.a[2]);
  if (level == SOL_SOCKET) {
    if (name == SO_ATTACH_FILTER || name == SO_ATTACH_REUSEPORT_CBPF) return set_filter(call);
    // bpf(2) is refused, so a guest has no such program to attach.
    if (name == SO_ATTACH_BPF || name == SO_ATTACH_REUSEPORT_EBPF) return -EINVAL;
  }
  if (level == SOL_PACKET && name == PACKET_FANOUT_DATA) return set_filter(call);
  if (level == IPPROTO_IP && name == IPT_SO_SET_REPLACE) return replace_table<ipt_replace>(call);
  if (level == IPPROTO_IPV6 && name == IP6T_SO_SET_REPLACE) return replace_table<ip6t_replace>(call);
  if (is_ebtables(level, name)) return -ENOPROTOOPT;
  return set(call, hp(call.ptr(3)), call.a[4]);
}

int64_t sys_getsockopt(Call& call) {
  if (is_hidden(call.thread, call.fd(0))) return -EBADF;
  int level = static_cast<int>(call.a[1]), name = static_cast<int>(call.a[2]);
  if (level == SOL_SOCKET && name == kPeerPidfd) return get_peer_pidfd(call);
  // Maps pages at an address inside the argument.
  if (level == IPPROTO_TCP && name == TCP_ZEROCOPY_RECEIVE) return -ENOPROTOOPT;
  if (level == kSctp && name == kSctpConnectx3) return -ENOPROTOOPT;
  if (is_ebtables(level, name)) return -ENOPROTOOPT;
  return host_call(call.thread, SYS_getsockopt, call.a[0], call.a[1], call.a[2], hp(call.ptr(3)), hp(call.ptr(4)));
}

}  // namespace tine
