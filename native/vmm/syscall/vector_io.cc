// readv and its relatives, and the calls that move memory between processes by vectors.
#include <errno.h>

#include <algorithm>

#include "host/raw.h"
#include "memory/address_space.h"
#include "memory/guest_copy.h"
#include "procfs/procfs.h"
#include "syscall/descriptors.h"
#include "syscall/handlers.h"
#include "syscall/iovecs.h"

namespace tine {

int64_t take_vectors(GuestAddr from, uint64_t count, int64_t too_many, IoVectors& vectors) {
  if (count > kMaxVectors) return too_many;
  if (count != 0 && !copy_in(vectors.at, from, count * sizeof(iovec))) return -EFAULT;
  vectors.count = count;
  for (uint64_t i = 0; i < count; ++i) {
    GuestAddr base{reinterpret_cast<uint64_t>(vectors.at[i].iov_base)};
    vectors.at[i].iov_base = to_host(base).ptr<void>();
  }
  return 0;
}

namespace {

enum class Way : uint8_t { in, out };

int64_t memory_file(Call& call, Way way, GuestAddr at, uint64_t bytes, int64_t position) {
  return way == Way::in ? procfs_memory_read(call.thread, call.fd(0), at, bytes, position)
                        : procfs_memory_write(call.thread, call.fd(0), at, bytes, position);
}

int64_t refresh(Call& call, Way way, bool positioned, uint64_t bytes) {
  if (way == Way::out || bytes == 0 || !procfs_has_text_files(call.thread)) [[likely]] return 0;
  return procfs_refresh(call.thread, call.fd(0), positioned ? static_cast<int64_t>(call.a[3]) : -1);
}

// read, write, pread64, pwrite64. `positioned`: the fourth argument is the position.
int64_t plain(Call& call, Way way, bool positioned) {
  if (is_hidden(call.thread, call.fd(0))) return -EBADF;
  if (procfs_has_memory_files(call.thread)) [[unlikely]] {
    int64_t position = positioned ? static_cast<int64_t>(call.a[3]) : -1;
    if (positioned && position < 0) return -EINVAL;
    int64_t result = memory_file(call, way, call.ptr(1), call.a[2], position);
    if (result != kNotMemoryFile) return result;
  }
  if (int64_t error = refresh(call, way, positioned, call.a[2])) return error;
  return host_call(call.thread, call.number, call.a[0], hp(call.ptr(1)), call.a[2], call.a[3]);
}

// The vectors of a file whose positions are addresses, one after the other.
int64_t memory_file_vectors(Call& call, Way way, bool positioned, const IoVectors& vectors) {
  int64_t total = 0;
  for (uint64_t i = 0; i < vectors.count; ++i) {
    if (vectors.at[i].iov_len == 0) continue;
    int64_t position = positioned ? static_cast<int64_t>(call.a[3]) + total : -1;
    GuestAddr at = to_guest({reinterpret_cast<uint64_t>(vectors.at[i].iov_base)});
    int64_t result = memory_file(call, way, at, vectors.at[i].iov_len, position);
    if (result < 0) return total ? total : result;
    total += result;
    if (static_cast<uint64_t>(result) < vectors.at[i].iov_len) break;
  }
  return total;
}

// The vectored forms: (descriptor, vectors, count, ...).
int64_t transfer(Call& call, Way way, bool positioned) {
  if (is_hidden(call.thread, call.fd(0))) return -EBADF;
  IoVectors vectors;
  if (int64_t error = take_vectors(call.ptr(1), call.a[2], -EINVAL, vectors)) {
    // As Linux, which looks at the descriptor first.
    return raw(SYS_fcntl, call.a[0], 1 /* F_GETFD */) < 0 ? -EBADF : error;
  }
  if (procfs_has_memory_files(call.thread)) [[unlikely]] {
    // A transfer of nothing tells what the descriptor is.
    if (memory_file(call, way, {0}, 0, 0) != kNotMemoryFile) return memory_file_vectors(call, way, positioned, vectors);
  }
  if (int64_t error = refresh(call, way, positioned, vectors.count)) return error;
  return host_call(call.thread, call.number, call.a[0], arg(vectors.at), vectors.count, call.a[3], call.a[4],
                   call.a[5]);
}

// Up to where the guest itself could write: the kernel heeds no protection key here (memory/write_key.h).
void cut_to_writable(AddressSpace& space, IoVectors& vectors) {
  for (uint64_t i = 0; i < vectors.count; i++) {
    iovec& one = vectors.at[i];
    const HostAddr base{reinterpret_cast<uint64_t>(one.iov_base)};
    if (!in_window(base) || !one.iov_len) continue;  // the kernel says what is wrong with it
    const uint64_t writable = space.writable_from(to_guest(base), one.iov_len);
    if (writable == one.iov_len) continue;
    one.iov_len = writable;
    vectors.count = writable ? i + 1 : i;
    return;
  }
}

// The other process is a monitor too, so its guest addresses translate in the same way: whatever the guest
// passes, only guest memory can be reached.
int64_t across(Call& call) {
  IoVectors local, remote;
  if (int64_t error = take_vectors(call.ptr(1), call.a[2], -EINVAL, local)) return error;
  if (int64_t error = take_vectors(call.ptr(3), call.a[4], -EINVAL, remote)) return error;
  Process& process = *call.thread.process;
  if (call.number == SYS_process_vm_writev && remote.count && !call.a[5] &&
      raw(SYS_tgkill, static_cast<uint64_t>(process.pid), call.a[0], 0) == 0) {
    cut_to_writable(*process.space, remote);
    if (!remote.count) return std::any_of(local.at, local.at + local.count, [](const iovec& one) { return one.iov_len; }) ? -EFAULT : 0;
  }
  return host_call(call.thread, call.number, call.a[0], arg(local.at), local.count, arg(remote.at), remote.count,
                   call.a[5]);
}

}  // namespace

int64_t sys_read(Call& call) { return plain(call, Way::in, false); }
int64_t sys_write(Call& call) { return plain(call, Way::out, false); }
int64_t sys_pread64(Call& call) { return plain(call, Way::in, true); }
int64_t sys_pwrite64(Call& call) { return plain(call, Way::out, true); }
int64_t sys_readv(Call& call) { return transfer(call, Way::in, false); }
int64_t sys_writev(Call& call) { return transfer(call, Way::out, false); }
int64_t sys_preadv(Call& call) { return transfer(call, Way::in, true); }
int64_t sys_pwritev(Call& call) { return transfer(call, Way::out, true); }
// A position of -1 means the descriptor's own.
int64_t sys_preadv2(Call& call) { return transfer(call, Way::in, call.a[3] != UINT64_MAX); }
int64_t sys_pwritev2(Call& call) { return transfer(call, Way::out, call.a[3] != UINT64_MAX); }
int64_t sys_vmsplice(Call& call) { return transfer(call, Way::out, false); }
int64_t sys_process_vm_readv(Call& call) { return across(call); }
int64_t sys_process_vm_writev(Call& call) { return across(call); }

// The array holds addresses; nodes and status are flat. Taken in parts, as the kernel does.
int64_t sys_move_pages(Call& call) {
  constexpr uint64_t kPart = 512;
  uint64_t count = call.a[1], pages[kPart];
  if (count > UINT64_MAX / sizeof(uint64_t)) return -EFAULT;
  int64_t moved = 0;
  uint64_t done = 0;
  do {
    uint64_t part = count - done < kPart ? count - done : kPart;
    if (part != 0 && !copy_in(pages, call.ptr(2) + done * 8, part * 8)) return -EFAULT;
    for (uint64_t i = 0; i < part; ++i) pages[i] = hp({pages[i]});
    uint64_t nodes = call.a[3] ? hp(call.ptr(3) + done * 4) : 0;
    int64_t result = host_call(call.thread, SYS_move_pages, call.a[0], part, arg(pages), nodes,
                               hp(call.ptr(4) + done * 4), call.a[5]);
    if (result < 0) return result;
    moved += result;
    done += part;
  } while (done < count);
  return moved;
}

}  // namespace tine
