// poll, select and epoll: the monitor's descriptors look closed, and masks reach the host without the signals
// the monitor needs itself.
#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>

#include <vector>

#include "memory/guest_copy.h"
#include "signal/signal.h"
#include "syscall/call_mask.h"
#include "syscall/descriptors.h"
#include "syscall/handlers.h"

namespace tine {

int64_t CallMask::take(GuestAddr mask, uint64_t bytes) {
  if (mask.v == 0) return 0;
  if (bytes != sizeof(SignalSet)) return -EINVAL;
  SignalSet wanted;
  if (!get(wanted, mask)) return -EFAULT;
  wanted &= ~(signal_bit(SIGKILL) | signal_bit(SIGSTOP));
  thread_.call_mask = wanted;
  thread_.call_mask_set = true;
  host_ = host_mask(wanted);
  set_ = true;
  return 0;
}

namespace {

// Where a monitor's number is asked for: a copy with those entries taken out, and POLLNVAL for each of them.
[[gnu::noinline]] int64_t poll_without_hidden(Call& call, std::vector<pollfd> entries, uint64_t timeout, uint64_t mask,
                                              uint64_t mask_bytes) {
  Thread& thread = call.thread;
  std::vector<pollfd> asked = entries;
  int64_t invalid = 0;
  for (pollfd& entry : asked)
    if (is_hidden(thread, entry.fd)) {
      entry.fd = -1;
      ++invalid;
    }
  timespec none{};
  // An invalid entry makes the call return at once.
  int64_t result = host_call(thread, SYS_ppoll, arg(asked.data()), asked.size(), invalid ? arg(&none) : timeout, mask,
                             mask_bytes);
  if (result < 0) return result;
  for (size_t i = 0; i < asked.size(); ++i) {
    short events = is_hidden(thread, entries[i].fd) ? static_cast<short>(POLLNVAL) : asked[i].revents;
    GuestAddr place = call.ptr(0) + i * sizeof(pollfd) + offsetof(pollfd, revents);
    if (!put(place, events)) return -EFAULT;
  }
  return result + invalid;
}

// True where an entry names a descriptor of the monitor. Only what a well-behaved guest sees depends on this:
// one that changes the entry meanwhile learns whether a descriptor of the monitor is readable, no more.
bool names_hidden(Call& call, uint64_t count, std::vector<pollfd>& all) {
  constexpr uint64_t kPart = 64;
  pollfd part[kPart];
  for (uint64_t done = 0; done < count; done += kPart) {
    uint64_t now = count - done < kPart ? count - done : kPart;
    if (!copy_in(part, call.ptr(0) + done * sizeof(pollfd), now * sizeof(pollfd))) return false;  // the host says EFAULT
    for (uint64_t i = 0; i < now; ++i) {
      if (!is_hidden(call.thread, part[i].fd)) continue;
      all.resize(count);
      return copy_in(all.data(), call.ptr(0), count * sizeof(pollfd));
    }
  }
  return false;
}

// The bits of a descriptor set that are the monitor's. select says EBADF for a closed descriptor.
bool selects_hidden(Call& call, int highest) {
  const OwnedDescriptors& own = call.thread.process->own();
  if (highest <= own.base) return false;
  for (int set = 1; set <= 3; ++set) {
    if (call.a[set] == 0) continue;
    for (int fd = own.base; fd < highest && fd < own.end(); ++fd) {
      if (!own.owns(fd)) continue;
      uint8_t byte;
      if (!get(byte, call.ptr(set) + static_cast<uint64_t>(fd) / 8)) return false;
      if (byte >> (fd % 8) & 1) return true;
    }
  }
  return false;
}

}  // namespace

int64_t sys_poll(Call& call) {
  uint64_t count = static_cast<uint32_t>(call.a[1]);
  if (count && is_beyond_limit(call.thread, count - 1)) return -EINVAL;
  std::vector<pollfd> all;
  if (!names_hidden(call, count, all)) return host_call(call.thread, call.number, hp(call.ptr(0)), count, call.a[2]);
  int64_t wait = static_cast<int32_t>(call.a[2]);
  timespec timeout{wait / 1000, wait % 1000 * 1'000'000};
  return poll_without_hidden(call, std::move(all), wait < 0 ? 0 : arg(&timeout), 0, 0);
}

int64_t sys_ppoll(Call& call) {
  uint64_t count = static_cast<uint32_t>(call.a[1]);
  if (count && is_beyond_limit(call.thread, count - 1)) return -EINVAL;
  CallMask mask(call.thread);
  if (int64_t error = mask.take(call.ptr(3), call.a[4])) return error;
  std::vector<pollfd> all;
  if (!names_hidden(call, count, all))
    return host_call(call.thread, SYS_ppoll, hp(call.ptr(0)), count, hp(call.ptr(2)), mask.value(), 8);
  return poll_without_hidden(call, std::move(all), hp(call.ptr(2)), mask.value(), 8);
}

int64_t sys_select(Call& call) {
  if (selects_hidden(call, call.fd(0))) return -EBADF;
  return host_call(call.thread, call.number, call.a[0], hp(call.ptr(1)), hp(call.ptr(2)), hp(call.ptr(3)),
                   hp(call.ptr(4)));
}

int64_t sys_pselect6(Call& call) {
  struct {
    uint64_t mask;
    uint64_t bytes;
  } nested{};
  if (call.a[5] != 0 && !get(nested, call.ptr(5))) return -EFAULT;
  CallMask mask(call.thread);
  if (int64_t error = mask.take({nested.mask}, nested.bytes)) return error;
  if (selects_hidden(call, call.fd(0))) return -EBADF;
  nested = {mask.value(), 8};
  return host_call(call.thread, SYS_pselect6, call.a[0], hp(call.ptr(1)), hp(call.ptr(2)), hp(call.ptr(3)),
                   hp(call.ptr(4)), arg(&nested));
}

int64_t sys_epoll_ctl(Call& call) {
  if (is_hidden(call.thread, call.fd(0)) || is_hidden(call.thread, call.fd(2))) return -EBADF;
  return host_call(call.thread, SYS_epoll_ctl, call.a[0], call.a[1], call.a[2], hp(call.ptr(3)));
}

int64_t sys_epoll_pwait(Call& call) {
  if (is_hidden(call.thread, call.fd(0))) return -EBADF;
  CallMask mask(call.thread);
  if (int64_t error = mask.take(call.ptr(4), call.a[5])) return error;
  return host_call(call.thread, SYS_epoll_pwait, call.a[0], hp(call.ptr(1)), call.a[2], call.a[3], mask.value(), 8);
}

int64_t sys_epoll_pwait2(Call& call) {
  if (is_hidden(call.thread, call.fd(0))) return -EBADF;
  CallMask mask(call.thread);
  if (int64_t error = mask.take(call.ptr(4), call.a[5])) return error;
  return host_call(call.thread, call.number, call.a[0], hp(call.ptr(1)), call.a[2], hp(call.ptr(3)), mask.value(), 8);
}

}  // namespace tine
