// futex: which arguments are addresses depends on the operation.
#include <errno.h>
#include <linux/futex.h>

#include <optional>

#include "memory/guest_copy.h"
#include "process/thread.h"
#include "syscall/futex_waiters.h"
#include "syscall/handlers.h"

namespace tine {
namespace {

// struct futex_waitv; userland's headers may lack it.
struct Waiter {
  uint64_t value;
  uint64_t address;
  uint32_t flags;
  uint32_t reserved;
};
constexpr uint64_t kMaxWaiters = 128;  // FUTEX_WAITV_MAX
constexpr uint32_t kPrivate = FUTEX_PRIVATE_FLAG;  // FUTEX2_PRIVATE as well

int64_t take_waiters(Process& process, GuestAddr from, uint64_t count, Waiter* waiters) {
  if (!copy_in(waiters, from, count * sizeof(Waiter))) return -EFAULT;
  for (uint64_t i = 0; i < count; ++i) {
    if (waiters[i].flags & kPrivate) expect_futex_waiters(process, {waiters[i].address});
    waiters[i].address = hp({waiters[i].address});
  }
  return 0;
}

}  // namespace

int64_t sys_futex(Call& call) {
  uint64_t fourth = call.a[3], second = call.a[4];
  const bool ours = call.a[1] & kPrivate;
  std::optional<FutexWaiter> waits;
  // The kernel's `op` is an int: what stands above must not hide an operation.
  switch (static_cast<int>(call.a[1]) & FUTEX_CMD_MASK) {
    case FUTEX_WAIT:
    case FUTEX_WAIT_BITSET:
    case FUTEX_LOCK_PI:
    case FUTEX_LOCK_PI2:
      fourth = hp(call.ptr(3));  // a time-out
      if (ours) waits.emplace(call.thread, call.ptr(0));
      break;
    case FUTEX_WAIT_REQUEUE_PI:
      if (ours) waits.emplace(call.thread, call.ptr(0));
      fourth = hp(call.ptr(3));
      second = hp(call.ptr(4));
      break;
    case FUTEX_REQUEUE:
    case FUTEX_CMP_REQUEUE:
    case FUTEX_WAKE_OP:
    case FUTEX_CMP_REQUEUE_PI:
      if (ours) expect_futex_waiters(*call.thread.process, call.ptr(4));
      second = hp(call.ptr(4));  // the fourth is a count
      break;
    default:
      break;
  }
  return host_call(call.thread, SYS_futex, hp(call.ptr(0)), call.a[1], call.a[2], fourth, second, call.a[5]);
}

int64_t sys_futex_waitv(Call& call) {
  uint64_t count = static_cast<uint32_t>(call.a[1]);
  if (count == 0 || count > kMaxWaiters || call.a[0] == 0 || call.a[2] != 0) return -EINVAL;
  Waiter waiters[kMaxWaiters];
  if (int64_t error = take_waiters(*call.thread.process, call.ptr(0), count, waiters)) return error;
  return host_call(call.thread, call.number, arg(waiters), count, 0, hp(call.ptr(3)), call.a[4]);
}

int64_t sys_futex_wait(Call& call) {
  if (call.a[3] & kPrivate) expect_futex_waiters(*call.thread.process, call.ptr(0));
  return host_call(call.thread, call.number, hp(call.ptr(0)), call.a[1], call.a[2], call.a[3], hp(call.ptr(4)), call.a[5]);
}

int64_t sys_futex_requeue(Call& call) {
  if (call.a[1] != 0 || call.a[0] == 0) return -EINVAL;
  Waiter waiters[2];
  if (int64_t error = take_waiters(*call.thread.process, call.ptr(0), 2, waiters)) return error;
  return host_call(call.thread, call.number, arg(waiters), 0, call.a[2], call.a[3]);
}

}  // namespace tine
