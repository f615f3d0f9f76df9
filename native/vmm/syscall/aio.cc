// Linux AIO. The kernel maps the completion ring wherever it likes and the ring's address is the context's
// name: the ring is moved into a window, after which both sides agree on it.
//
// A submitted iocb is the monitor's copy, since its fields with pointers are translated and another guest thread
// may write to the guest's own. The kernel names an event by the copy's address (`obj`), which is turned back
// when events are handed out. The guest can write to the ring, so an `obj` is only ever looked up.
#include <errno.h>
#include <linux/aio_abi.h>
#include <sys/mman.h>

#include <map>
#include <vector>

#include "memory/address_space.h"
#include "memory/guest_copy.h"
#include "signal/signal.h"
#include "syscall/call_mask.h"
#include "syscall/descriptors.h"
#include "syscall/handlers.h"
#include "syscall/iovecs.h"

namespace tine {
namespace {

// Head of the ring (fs/aio.c, struct aio_ring).
constexpr uint32_t kRingMagic = 0xa10a10a1;
struct Ring {
  uint32_t id, entries, head, tail, magic, compatible, incompatible, header_length;
};

struct Submitted {
  iocb copy;
  GuestAddr guest;
};

class Submissions {
 public:
  Submitted* add(GuestAddr guest, const iocb& copy) {
    auto* one = new Submitted{copy, guest};
    Guard guard(lock_);
    by_address_[arg(one)] = one;
    return one;
  }
  // The guest's iocb of an event, which is forgotten; 0 where there is none.
  uint64_t take(uint64_t object) {
    Guard guard(lock_);
    auto found = by_address_.find(object);
    if (found == by_address_.end()) return 0;
    Submitted* one = found->second;
    by_address_.erase(found);
    uint64_t guest = one->guest.v;
    delete one;
    return guest;
  }
  uint64_t find(GuestAddr guest) {
    Guard guard(lock_);
    for (auto& [address, one] : by_address_)
      if (one->guest == guest) return address;
    return 0;
  }

 private:
  Lock lock_;
  std::map<uint64_t, Submitted*> by_address_;
};

Submissions g_submissions;

uint64_t ring_bytes(HostAddr ring) {
  Ring header;
  if (!copy_checked(&header, ring.ptr<void>(), sizeof header) || header.magic != kRingMagic) return 0;
  uint64_t bytes = header.header_length + uint64_t{header.entries} * sizeof(io_event);
  return (bytes + kPage - 1) & ~(kPage - 1);
}

int64_t submit_one(Call& call, GuestAddr at) {
  iocb block;
  if (!get(block, at)) return -EFAULT;
  if (is_hidden(call.thread, static_cast<int>(block.aio_fildes))) return -EBADF;
  if ((block.aio_flags & IOCB_FLAG_RESFD) && is_hidden(call.thread, static_cast<int>(block.aio_resfd))) return -EBADF;
  IoVectors vectors;
  if (block.aio_lio_opcode == IOCB_CMD_PREADV || block.aio_lio_opcode == IOCB_CMD_PWRITEV) {
    if (int64_t error = take_vectors({block.aio_buf}, block.aio_nbytes, -EINVAL, vectors)) return error;
    block.aio_buf = arg(vectors.at);
  } else if (block.aio_lio_opcode == IOCB_CMD_PREAD || block.aio_lio_opcode == IOCB_CMD_PWRITE) {
    block.aio_buf = hp({block.aio_buf});
  }
  Submitted* one = g_submissions.add(at, block);
  uint64_t list = arg(&one->copy);
  int64_t result = host_call(call.thread, SYS_io_submit, hp(call.ptr(0)), 1, arg(&list));
  if (result != 1) g_submissions.take(list);
  // The kernel marks what it took (KIOCB_KEY is 0).
  else if (!put(at + offsetof(iocb, aio_key), uint32_t{0})) return -EFAULT;
  return result;
}

int64_t get_events(Call& call, uint64_t mask_pointer) {
  constexpr int64_t kMost = 65536;
  int64_t least = static_cast<int64_t>(call.a[1]), most = static_cast<int64_t>(call.a[2]);
  if (least < 0 || most < 0 || least > most) return -EINVAL;
  // Fewer than asked for is always a right answer as long as it is not fewer than the least.
  if (most > kMost) most = least > kMost ? least : kMost;
  if (most > INT32_MAX) return -EINVAL;
  std::vector<io_event> events(static_cast<size_t>(most));
  int64_t result = host_call(call.thread, mask_pointer ? SYS_io_pgetevents : SYS_io_getevents, hp(call.ptr(0)),
                             static_cast<uint64_t>(least), static_cast<uint64_t>(most), arg(events.data()),
                             hp(call.ptr(4)), mask_pointer);
  for (int64_t i = 0; i < result; ++i) {
    io_event& event = events[static_cast<size_t>(i)];
    event.obj = g_submissions.take(event.obj);
  }
  if (result > 0 && !copy_out(call.ptr(3), events.data(), static_cast<size_t>(result) * sizeof(io_event)))
    return -EFAULT;
  return result;
}

}  // namespace

int64_t sys_io_setup(Call& call) {
  uint64_t context;
  if (!get(context, call.ptr(1))) return -EFAULT;
  if (context != 0) return -EINVAL;
  uint64_t ring = 0;
  int64_t result = host_call(call.thread, SYS_io_setup, static_cast<uint32_t>(call.a[0]), arg(&ring));
  if (result != 0) return result;
  uint64_t bytes = ring_bytes({ring});
  int64_t moved = bytes == 0 ? -EINVAL
                             : call.thread.process->space->adopt(call.thread, {ring}, bytes, PROT_READ | PROT_WRITE);
  if (is_error(moved)) {
    raw(SYS_io_destroy, ring);
    return moved;
  }
  // The kernel follows the ring (aio_ring_mremap), so the context now has the new address.
  GuestAddr guest{static_cast<uint64_t>(moved)};
  if (put(call.ptr(1), guest.v)) return 0;
  raw(SYS_io_destroy, hp(guest));
  call.thread.process->space->unmap(guest.v, bytes);
  return -EFAULT;
}

int64_t sys_io_destroy(Call& call) {
  uint64_t bytes = ring_bytes(to_host(call.ptr(0)));
  int64_t result = host_call(call.thread, SYS_io_destroy, hp(call.ptr(0)));
  // The kernel has unmapped the ring; the guest's mapping goes with it.
  if (result == 0 && bytes != 0) call.thread.process->space->unmap(call.a[0], bytes);
  return result;
}

int64_t sys_io_submit(Call& call) {
  int64_t count = static_cast<int64_t>(call.a[1]);
  if (count < 0) return -EINVAL;
  // An empty list says whether the context exists, which the kernel looks at first.
  int64_t known = host_call(call.thread, SYS_io_submit, hp(call.ptr(0)), 0, 0);
  if (known != 0 || count == 0) return known;
  int64_t done = 0;
  for (; done < count; ++done) {
    uint64_t block;
    int64_t result = get(block, call.ptr(2) + static_cast<uint64_t>(done) * 8) ? submit_one(call, {block}) : -EFAULT;
    if (result != 1) return done ? done : result;
  }
  return done;
}

int64_t sys_io_cancel(Call& call) {
  io_event event{};
  uint64_t object = g_submissions.find(call.ptr(1));
  if (object == 0) return -EINVAL;
  return host_call(call.thread, SYS_io_cancel, hp(call.ptr(0)), object, arg(&event));
}

int64_t sys_io_getevents(Call& call) { return get_events(call, 0); }

int64_t sys_io_pgetevents(Call& call) {
  struct {
    uint64_t mask;
    uint64_t bytes;
  } nested{};
  if (call.a[5] != 0 && !get(nested, call.ptr(5))) return -EFAULT;
  CallMask mask(call.thread);
  if (int64_t error = mask.take({nested.mask}, nested.bytes)) return error;
  nested = {mask.value(), 8};
  return get_events(call, arg(&nested));
}

}  // namespace tine
