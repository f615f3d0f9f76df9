// ioctl: requests are looked up in ioctl.def.
#include <asm/ioctls.h>
#include <errno.h>
#include <linux/blkpg.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <linux/fscrypt.h>
#include <linux/fsverity.h>
#include <linux/hdreg.h>
#include <linux/if_tun.h>
#include <linux/kd.h>
#include <linux/loop.h>
#include <linux/nsfs.h>
#include <linux/random.h>
#include <linux/rtc.h>
#include <linux/sockios.h>
#include <linux/vt.h>
#include <linux/watch_queue.h>

#include "procfs/procfs.h"
#include "syscall/descriptors.h"
#include "syscall/handlers.h"
#include "syscall/nested_ioctl.h"

// <sys/timerfd.h> and <linux/timerfd.h> do not go together with the headers above.
#define TFD_IOC_SET_TICKS _IOW('T', 0, __u64)

namespace tine {
namespace {

enum class ArgumentKind : uint8_t { unknown, none, integer, pointer, descriptor, makes, makes_by_pointer, handled };

struct Request {
  ArgumentKind kind = ArgumentKind::unknown;
  Handler handler = nullptr;
};

// A switch, so that the compiler finds two rows with the same number.
Request find(uint32_t request) {
  switch (request) {
#define NONE(number) \
  case static_cast<uint32_t>(number): return {ArgumentKind::none, nullptr};
#define INTEGER(number) \
  case static_cast<uint32_t>(number): return {ArgumentKind::integer, nullptr};
#define POINTER(number) \
  case static_cast<uint32_t>(number): return {ArgumentKind::pointer, nullptr};
#define DESCRIPTOR(number) \
  case static_cast<uint32_t>(number): return {ArgumentKind::descriptor, nullptr};
#define MAKES(number, by_pointer) \
  case static_cast<uint32_t>(number): \
    return {by_pointer ? ArgumentKind::makes_by_pointer : ArgumentKind::makes, nullptr};
#define HANDLED(number, function) \
  case static_cast<uint32_t>(number): return {ArgumentKind::handled, function};
#include "syscall/ioctl.def"
#undef NONE
#undef INTEGER
#undef POINTER
#undef DESCRIPTOR
#undef MAKES
#undef HANDLED
    default: return {};
  }
}

}  // namespace

int64_t sys_ioctl(Call& call) {
  Thread& thread = call.thread;
  if (is_hidden(thread, call.fd(0))) return -EBADF;
  uint64_t request = static_cast<uint32_t>(call.a[1]);
  Request row = find(static_cast<uint32_t>(request));
  switch (row.kind) {
    case ArgumentKind::none:
    case ArgumentKind::integer:
      return host_call(thread, SYS_ioctl, call.a[0], request, call.a[2]);
    case ArgumentKind::pointer:
      return host_call(thread, SYS_ioctl, call.a[0], request, hp(call.ptr(2)));
    case ArgumentKind::descriptor:
      if (is_hidden(thread, call.fd(2))) return -EBADF;
      return host_call(thread, SYS_ioctl, call.a[0], request, call.a[2]);
    case ArgumentKind::makes:
    case ArgumentKind::makes_by_pointer: {
      auto gate = hold_gate(thread);
      uint64_t value = row.kind == ArgumentKind::makes ? call.a[2] : hp(call.ptr(2));
      return limit_descriptor(thread, host_call(thread, SYS_ioctl, call.a[0], request, value));
    }
    case ArgumentKind::handled:
      return row.handler(call);
    case ArgumentKind::unknown:
      break;
  }
  // A closed descriptor is noticed before the request is.
  return raw(SYS_fcntl, call.a[0], 1 /* F_GETFD */) < 0 ? -EBADF : -ENOTTY;
}

}  // namespace tine
