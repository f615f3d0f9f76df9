// sendmsg, recvmsg and their many-message forms.
//
// The header and the control data are copied, because other guest threads may change them: a descriptor of
// the monitor must never leave by SCM_RIGHTS, and each one that arrives is looked at before the guest has it.
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include <vector>

#include "memory/guest_copy.h"
#include "syscall/descriptors.h"
#include "syscall/handlers.h"
#include "syscall/iovecs.h"

namespace tine {
namespace {

// net.core.optmem_max is 128 KiB on current kernels; more control data than this is ENOBUFS there too.
constexpr uint64_t kMaxControl = 1 << 20;
constexpr uint64_t kInlineControl = 1024;
constexpr uint32_t kMaxMessages = 1024;  // UIO_MAXIOV

// struct user_msghdr as the kernel sees it.
struct GuestMessage {
  uint64_t name;
  uint32_t name_length;
  uint32_t pad;
  uint64_t vectors;
  uint64_t vector_count;
  uint64_t control;
  uint64_t control_length;
  uint32_t flags;
  uint32_t pad2;
};
static_assert(sizeof(GuestMessage) == sizeof(msghdr));

struct Message {
  GuestMessage guest;
  msghdr host;
  IoVectors vectors;
  alignas(cmsghdr) uint8_t inline_control[kInlineControl];
  std::vector<uint8_t> large_control;
  uint8_t* control = inline_control;

  int64_t take(GuestAddr from) {
    if (!get(guest, from)) return -EFAULT;
    if (int64_t error = take_vectors({guest.vectors}, guest.vector_count, -EMSGSIZE, vectors)) return error;
    memset(&host, 0, sizeof host);
    host.msg_name = to_host({guest.name}).ptr<void>();
    host.msg_namelen = guest.name_length;
    host.msg_iov = vectors.at;
    host.msg_iovlen = vectors.count;
    host.msg_flags = static_cast<int>(guest.flags);
    return 0;
  }
  void place_control(uint64_t bytes) {
    control = inline_control;
    if (bytes > kInlineControl) {
      large_control.resize(bytes);
      control = large_control.data();
    }
    host.msg_control = control;
    host.msg_controllen = bytes;
  }
};

// True where control data to be sent names a descriptor of the monitor.
bool sends_hidden(const Thread& thread, msghdr& message) {
  for (cmsghdr* c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS || c->cmsg_len < CMSG_LEN(0)) continue;
    uint64_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (uint64_t i = 0; i < count; ++i) {
      int fd;
      memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof fd);
      if (is_hidden(thread, fd)) return true;
    }
  }
  return false;
}

int64_t send_one(Call& call, GuestAddr from, uint64_t flags) {
  Message message;
  if (int64_t error = message.take(from)) return error;
  if (message.guest.control_length > kMaxControl) return -ENOBUFS;
  if (message.guest.control_length != 0) {
    message.place_control(message.guest.control_length);
    if (!copy_in(message.control, {message.guest.control}, message.guest.control_length)) return -EFAULT;
    if (sends_hidden(call.thread, message.host)) return -EBADF;
  }
  pass_gate(call.thread);
  return host_call(call.thread, SYS_sendmsg, call.a[0], arg(&message.host), flags);
}

// How many of the descriptors that arrived the guest may have. The kernel's own answer to one it cannot install is
// to leave it and the following ones out: the same here.
uint64_t admit_rights(Thread& thread, const int* fds, uint64_t count) {
  uint64_t kept = 0;
  for (uint64_t i = 0; i < count; ++i) {
    if (kept != i) raw(SYS_close, static_cast<uint64_t>(fds[i]));
    else if (limit_descriptor(thread, fds[i]) >= 0 && admit_descriptor(thread, fds[i]) >= 0) ++kept;
  }
  return kept;
}

// Drops what the guest may not have; what stands behind it moves up, as the kernel would have written it.
void admit_received(Thread& thread, msghdr& message) {
  constexpr int kScmPidfd = 4;  // SCM_PIDFD, Linux 6.5
  uint8_t* control = static_cast<uint8_t*>(message.msg_control);
  uint64_t end = message.msg_controllen, at = 0;
  while (end - at >= sizeof(cmsghdr)) {
    cmsghdr* header = reinterpret_cast<cmsghdr*>(control + at);
    uint64_t length = header->cmsg_len;
    if (length < sizeof(cmsghdr) || length > end - at) break;
    uint64_t taken = CMSG_ALIGN(length) < end - at ? CMSG_ALIGN(length) : end - at, left = taken;
    int* fds = reinterpret_cast<int*>(CMSG_DATA(header));
    if (header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS) {
      uint64_t count = (length - CMSG_LEN(0)) / sizeof(int), kept = admit_rights(thread, fds, count);
      if (kept != count) {
        message.msg_flags |= MSG_CTRUNC;
        header->cmsg_len = CMSG_LEN(kept * sizeof(int));
        left = kept == 0 ? 0 : CMSG_ALIGN(header->cmsg_len);
      }
    } else if (header->cmsg_level == SOL_SOCKET && header->cmsg_type == kScmPidfd && length >= CMSG_LEN(sizeof(int))) {
      // Without a number for it the kernel writes the error in its place.
      if (int64_t answer = limit_descriptor(thread, fds[0]); answer < 0) fds[0] = static_cast<int>(answer);
    }
    memmove(control + at + left, control + at + taken, end - at - taken);
    end -= taken - left;
    at += left;
  }
  message.msg_controllen = end;
}

// Writes what the kernel wrote: each message up to its length. The bytes that align the next one it leaves to the
// guest's own buffer, and here they would be the monitor's.
bool put_control(const Message& message, uint64_t written) {
  uint64_t at = 0;
  while (at < written) {
    uint64_t length = written - at;
    if (length >= sizeof(cmsghdr)) {
      cmsghdr header;
      memcpy(&header, message.control + at, sizeof header);
      if (header.cmsg_len >= sizeof header && header.cmsg_len < length) length = header.cmsg_len;
    }
    if (!copy_out({message.guest.control + at}, message.control + at, length)) return false;
    at += CMSG_ALIGN(length);
  }
  return true;
}

int64_t receive_one(Call& call, GuestAddr from, uint64_t flags) {
  Message message;
  if (int64_t error = message.take(from)) return error;
  uint64_t room = message.guest.control_length;
  message.place_control(room < kMaxControl ? room : kMaxControl);
  uint64_t offered = message.host.msg_controllen;
  pass_gate(call.thread);
  int64_t result = host_call(call.thread, SYS_recvmsg, call.a[0], arg(&message.host), flags);
  if (result < 0) return result;
  if (message.host.msg_controllen != 0) admit_received(call.thread, message.host);
  uint64_t written = message.host.msg_controllen < offered ? message.host.msg_controllen : offered;
  if (!put_control(message, written)) return -EFAULT;
  constexpr uint64_t kNameLength = offsetof(GuestMessage, name_length);
  constexpr uint64_t kControlLength = offsetof(GuestMessage, control_length);
  constexpr uint64_t kFlags = offsetof(GuestMessage, flags);
  uint32_t name_length = message.host.msg_namelen;
  uint64_t control_length = message.host.msg_controllen;
  uint32_t got = static_cast<uint32_t>(message.host.msg_flags);
  // The kernel writes the name's length only where a name was asked for.
  if (message.guest.name != 0 && !put(from + kNameLength, name_length)) return -EFAULT;
  if (!put(from + kFlags, got) || !put(from + kControlLength, control_length)) return -EFAULT;
  return result;
}

constexpr uint64_t kVectorEntry = sizeof(mmsghdr);

// The result of a call about several messages, of which none went: that the descriptor is no socket comes before all that the
// monitor finds by itself.
int64_t of_no_message(const Call& call, int64_t result) {
  if (result != 0 && result != -EFAULT && result != -EMSGSIZE) return result;
  int32_t type, size = sizeof type;
  const int64_t socket = raw(SYS_getsockopt, call.a[0], SOL_SOCKET, SO_TYPE, arg(&type), arg(&size));
  return socket ? socket : result;
}

}  // namespace

int64_t sys_sendmsg(Call& call) {
  if (is_hidden(call.thread, call.fd(0))) return -EBADF;
  return send_one(call, call.ptr(1), call.a[2]);
}

int64_t sys_recvmsg(Call& call) {
  if (is_hidden(call.thread, call.fd(0))) return -EBADF;
  return receive_one(call, call.ptr(1), call.a[2]);
}

int64_t sys_sendmmsg(Call& call) {
  if (is_hidden(call.thread, call.fd(0))) return -EBADF;
  uint32_t count = static_cast<uint32_t>(call.a[2]);
  if (count > kMaxMessages) count = kMaxMessages;
  int64_t sent = 0;
  for (; sent < count; ++sent) {
    GuestAddr entry = call.ptr(1) + static_cast<uint64_t>(sent) * kVectorEntry;
    int64_t result = send_one(call, entry, call.a[3]);
    if (result >= 0 && !put(entry + offsetof(mmsghdr, msg_len), static_cast<uint32_t>(result))) result = -EFAULT;
    if (result < 0) return sent ? sent : of_no_message(call, result);
  }
  return sent ? sent : of_no_message(call, 0);
}

int64_t sys_recvmmsg(Call& call) {
  if (is_hidden(call.thread, call.fd(0))) return -EBADF;
  uint32_t count = static_cast<uint32_t>(call.a[2]);
  uint64_t flags = call.a[3];
  timespec end{};
  if (call.a[4] != 0) {
    timespec limit, now;
    if (!get(limit, call.ptr(4))) return -EFAULT;
    if (limit.tv_sec < 0 || limit.tv_nsec < 0 || limit.tv_nsec >= 1'000'000'000) return -EINVAL;
    raw(SYS_clock_gettime, CLOCK_MONOTONIC, arg(&now));
    end = {now.tv_sec + limit.tv_sec, now.tv_nsec + limit.tv_nsec};
    if (end.tv_nsec >= 1'000'000'000) ++end.tv_sec, end.tv_nsec -= 1'000'000'000;
  }
  int64_t received = 0;
  while (received < count) {
    GuestAddr entry = call.ptr(1) + static_cast<uint64_t>(received) * kVectorEntry;
    int64_t result = receive_one(call, entry, flags & ~uint64_t{MSG_WAITFORONE});
    if (result >= 0 && !put(entry + offsetof(mmsghdr, msg_len), static_cast<uint32_t>(result))) result = -EFAULT;
    if (result < 0) {
      if (received == 0) return of_no_message(call, result);
      break;
    }
    ++received;
    if (flags & MSG_WAITFORONE) flags |= MSG_DONTWAIT;
    // The limit is looked at after each message only, as the kernel documents.
    if (call.a[4] != 0) {
      timespec now;
      raw(SYS_clock_gettime, CLOCK_MONOTONIC, arg(&now));
      if (now.tv_sec > end.tv_sec || (now.tv_sec == end.tv_sec && now.tv_nsec >= end.tv_nsec)) {
        if (!put(call.ptr(4), timespec{0, 0})) return -EFAULT;
        break;
      }
      timespec left{end.tv_sec - now.tv_sec, end.tv_nsec - now.tv_nsec};
      if (left.tv_nsec < 0) --left.tv_sec, left.tv_nsec += 1'000'000'000;
      if (!put(call.ptr(4), left)) return -EFAULT;
    }
  }
  return received ? received : of_no_message(call, 0);
}

}  // namespace tine
