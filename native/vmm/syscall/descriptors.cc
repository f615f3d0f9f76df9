// close, dup, fcntl and the rest that deals in descriptor numbers.
#include "syscall/descriptors.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <sys/resource.h>

#include "memory/guest_copy.h"
#include "process/descriptors.h"
#include "syscall/handlers.h"
#include "syscall/paths.h"

namespace tine {
namespace {

constexpr uint64_t kGetOwnerUids = 17;  // F_GETOWNER_UIDS, not in userland's headers

int64_t close_now(int64_t fd) { return raw(SYS_close, static_cast<uint64_t>(fd)); }

// What dup2 and dup3 do once the numbers are known to differ.
int64_t replace(Call& call, int from, int to, uint64_t flags) {
  Thread& thread = call.thread;
  if (is_hidden(thread, from)) return -EBADF;
  if (is_beyond_limit(thread, static_cast<uint32_t>(to))) return -EBADF;
  // The guest may own any number below its limit, so the monitor moves out of the way.
  if (is_hidden(thread, to)) {
    if (raw(SYS_fcntl, static_cast<uint64_t>(from), F_GETFD) < 0) return -EBADF;
    bool moved;
    if (thread.process->thread_count.load() > 1) {
      ExclusiveDescriptors exclusive(thread.process->descriptor_gate);
      moved = relocate_own_descriptors(*thread.process, to);
    } else {
      moved = relocate_own_descriptors(*thread.process, to);
    }
    if (!moved) return -EMFILE;  // nowhere to go
  }
  auto gate = hold_gate(thread);
  return host_call(thread, SYS_dup3, static_cast<uint64_t>(from), static_cast<uint64_t>(to), flags);
}

int64_t duplicate_from(Call& call, int fd, uint64_t command, uint64_t minimum) {
  Thread& thread = call.thread;
  // As Linux, which looks at the descriptor first.
  if (is_beyond_limit(thread, minimum)) return raw(SYS_fcntl, static_cast<uint64_t>(fd), F_GETFD) < 0 ? -EBADF : -EINVAL;
  auto gate = hold_gate(thread);
  return limit_descriptor(thread, host_call(thread, SYS_fcntl, static_cast<uint64_t>(fd), command, minimum));
}

int64_t close_part(Call& call, uint64_t first, uint64_t last) {
  if (first > last) return 0;
  return host_call(call.thread, SYS_close_range, first, last, call.a[2] & ~uint64_t{CLOSE_RANGE_UNSHARE});
}

}  // namespace

bool is_beyond_limit(Thread& thread, uint64_t fd) {
  Process& process = *thread.process;
  if (fd < process.nofile_limit.rlim_cur) [[likely]] return false;
  adopt_descriptor_limit(process);
  return fd >= process.nofile_limit.rlim_cur;
}

int64_t limit_descriptor(Thread& thread, int64_t result) {
  if (result < 0) return result;
  if (!is_beyond_limit(thread, static_cast<uint64_t>(result)) && !is_hidden(thread, result)) [[likely]] return result;
  close_now(result);
  return -EMFILE;
}

int64_t sys_close(Call& call) {
  if (is_hidden(call.thread, call.fd(0))) return -EBADF;
  auto gate = hold_gate(call.thread);
  // The number is free whatever close answers, so it is never restarted: the kernel turns that into EINTR.
  return host_call(call.thread, SYS_close, call.a[0]);
}

int64_t sys_close_range(Call& call) {
  constexpr uint32_t kKnown = CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC;
  uint64_t first = static_cast<uint32_t>(call.a[0]), last = static_cast<uint32_t>(call.a[1]);
  uint32_t flags = static_cast<uint32_t>(call.a[2]);
  if ((flags & ~kKnown) != 0 || first > last) return -EINVAL;
  Process& process = *call.thread.process;
  if (flags & CLOSE_RANGE_UNSHARE) {
    int64_t result = host_call(call.thread, SYS_unshare, 0x400 /* CLONE_FILES */);
    if (result != 0) return result;
  }
  // The monitor's numbers are few and lie together: the range is closed in the parts between them.
  auto gate = hold_gate(call.thread);
  uint64_t low = static_cast<uint64_t>(process.own().base), high = static_cast<uint64_t>(process.own().end());
  for (uint64_t number = first > low ? first : low; number < high && number <= last; ++number) {
    if (!process.own().owns(static_cast<int>(number))) continue;
    if (number > first)
      if (int64_t error = close_part(call, first, number - 1)) return error;
    first = number + 1;
  }
  return close_part(call, first, last);
}

int64_t sys_dup2(Call& call) {
  int from = call.fd(0), to = call.fd(1);
  if (from == to) {
    if (is_hidden(call.thread, from)) return -EBADF;
    int64_t open = raw(SYS_fcntl, static_cast<uint64_t>(from), F_GETFD);
    return open < 0 ? open : from;
  }
  return replace(call, from, to, 0);
}

int64_t sys_dup3(Call& call) {
  if ((call.a[2] & ~uint64_t{O_CLOEXEC}) != 0 || call.fd(0) == call.fd(1)) return -EINVAL;
  return replace(call, call.fd(0), call.fd(1), call.a[2]);
}

int64_t sys_fcntl(Call& call) {
  int fd = call.fd(0);
  if (is_hidden(call.thread, fd)) return -EBADF;
  uint64_t command = static_cast<uint32_t>(call.a[1]);
  switch (command) {
    case F_DUPFD:
    case F_DUPFD_CLOEXEC:
      return duplicate_from(call, fd, command, static_cast<uint32_t>(call.a[2]));
    case F_GETLK:
    case F_SETLK:
    case F_SETLKW:
    case F_OFD_GETLK:
    case F_OFD_SETLK:
    case F_OFD_SETLKW:
    case F_SETOWN_EX:
    case F_GETOWN_EX:
    case F_GET_RW_HINT:
    case F_SET_RW_HINT:
    case F_GET_FILE_RW_HINT:
    case F_SET_FILE_RW_HINT:
    case kGetOwnerUids:
      return host_call(call.thread, SYS_fcntl, call.a[0], command, hp(call.ptr(2)));
    case F_GETFD:
    case F_SETFD:
    case F_GETFL:
    case F_SETFL:
    case F_GETOWN:
    case F_SETOWN:
    case F_GETSIG:
    case F_SETSIG:
    case F_GETLEASE:
    case F_SETLEASE:
    case F_NOTIFY:
    case F_SETPIPE_SZ:
    case F_GETPIPE_SZ:
    case F_ADD_SEALS:
    case F_GET_SEALS:
    case 1027:  // F_DUPFD_QUERY (Linux 6.10): compares with a descriptor
    case 1028:  // F_CREATED_QUERY (Linux 6.12)
    case 1029:  // F_CANCELLK
      if (command == 1027 && is_hidden(call.thread, static_cast<int>(call.a[2]))) return -EBADF;
      return host_call(call.thread, SYS_fcntl, call.a[0], command, call.a[2]);
    default:
      return -EINVAL;
  }
}

namespace {

// pipe and socketpair: two numbers, written by the monitor after both were found good.
template <class Make>
int64_t make_pair(Call& call, GuestAddr to, Make host) {
  int fds[2] = {-1, -1};
  auto gate = hold_gate(call.thread);
  int64_t result = host(fds);
  if (result != 0) return result;
  int64_t first = limit_descriptor(call.thread, fds[0]);
  int64_t second = limit_descriptor(call.thread, fds[1]);
  int64_t error = first < 0 ? first : second < 0 ? second : 0;
  if (error == 0 && !put(to, fds)) error = -EFAULT;
  if (error == 0) return 0;
  if (first >= 0) close_now(first);
  if (second >= 0) close_now(second);
  return error;
}

}  // namespace

int64_t sys_pipe(Call& call) {
  return make_pair(call, call.ptr(0), [&](int* fds) { return host_call(call.thread, SYS_pipe2, arg(fds), 0); });
}

int64_t sys_pipe2(Call& call) {
  return make_pair(call, call.ptr(0),
                   [&](int* fds) { return host_call(call.thread, SYS_pipe2, arg(fds), call.a[1]); });
}

int64_t sys_socketpair(Call& call) {
  return make_pair(call, call.ptr(3), [&](int* fds) {
    return host_call(call.thread, SYS_socketpair, call.a[0], call.a[1], call.a[2], arg(fds));
  });
}

}  // namespace tine
