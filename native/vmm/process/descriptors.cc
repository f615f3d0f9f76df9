#include "process/descriptors.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>

#include "host/raw.h"
#include "host/report.h"
#include "kvm/vm.h"
#include "memory/address_space.h"

namespace tine {
namespace {

constexpr int kMostThreads = 1024;  // more than there may be
constexpr int kSearch = 512;  // numbers tried at one place

// The first of as many free numbers as the block has places, `wanted` not among them. -1: none in [low, high).
int free_block(int low, int high, int wanted) {
  int run = 0;
  for (int fd = low; fd < high + kVcpuPlace; fd++) {
    const bool taken = fd == wanted || !is_error(raw(SYS_fcntl, static_cast<uint64_t>(fd), F_GETFD));
    run = taken ? 0 : run + 1;
    if (run == kVcpuPlace) return fd - kVcpuPlace + 1;
  }
  return -1;
}

// The limit's lock is held.
void raise(const HostDescriptorLimit& limit, uint64_t needed) {
  rlimit64 now{};
  raw(SYS_prlimit64, 0, RLIMIT_NOFILE, 0, arg(&now));
  if (now.rlim_cur >= needed || now.rlim_cur == now.rlim_max) return;
  now.rlim_cur = std::min<uint64_t>(now.rlim_max, needed);
  limit.wide = raw(SYS_prlimit64, 0, RLIMIT_NOFILE, arg(&now), 0) == 0 || limit.wide;
}

}  // namespace

RoomForDescriptors::RoomForDescriptors(const Process& process) : limit_(process.host_nofile) {
  Guard guard(limit_.lock);
  if (limit_.begun.fetch_add(1) == limit_.ended.load()) raw(SYS_prlimit64, 0, RLIMIT_NOFILE, 0, arg(&limit_.kept));
  raise(limit_, static_cast<uint64_t>(process.own().base) + OwnedDescriptors::kSpan);
}

void RoomForDescriptors::widen(uint64_t needed) {
  Guard guard(limit_.lock);
  raise(limit_, needed);
}

RoomForDescriptors::~RoomForDescriptors() {
  Guard guard(limit_.lock);
  if (limit_.ended.fetch_add(1) + 1 != limit_.begun.load() || !limit_.wide) return;
  limit_.wide = false;
  raw(SYS_prlimit64, 0, RLIMIT_NOFILE, arg(&limit_.kept), 0);
}

int64_t set_host_descriptor_limit(Process& process, const rlimit64& limit) {
  HostDescriptorLimit& known = process.host_nofile;
  Guard guard(known.lock);
  rlimit64 now = limit;
  // Another thread may be making a descriptor, and leaves the limit behind as it is to be.
  if (known.wide) now.rlim_cur = std::max(limit.rlim_cur, std::min<rlim64_t>(limit.rlim_max, process.own().base + OwnedDescriptors::kSpan));
  const int64_t result = raw(SYS_prlimit64, 0, RLIMIT_NOFILE, arg(&now), 0);
  if (result == 0) known.set = known.kept = limit;
  return result;
}

void adopt_descriptor_limit(Process& process) {
  HostDescriptorLimit& known = process.host_nofile;
  Guard guard(known.lock);
  if (known.ended.load() != known.begun.load()) return;
  rlimit64 host{};
  if (raw(SYS_prlimit64, 0, RLIMIT_NOFILE, 0, arg(&host)) != 0) return;
  // The host's hard limit may be above the guest's, so each of the two speaks for itself.
  if (host.rlim_cur != known.set.rlim_cur) process.nofile_limit.rlim_cur = host.rlim_cur;
  if (host.rlim_max != known.set.rlim_max) process.nofile_limit.rlim_max = host.rlim_max;
  known.set = host;
}

void settle_descriptor_limit(Process& process) {
  HostDescriptorLimit& known = process.host_nofile;
  const uint32_t begun = known.begun.load();
  if (known.ended.exchange(begun) == begun) return;
  known.wide = false;
  set_host_descriptor_limit(process, rlimit64{known.set});
}

bool make_room_for_descriptors(Process& process) {
  rlimit64 limit{};
  raw(SYS_prlimit64, 0, RLIMIT_NOFILE, 0, arg(&limit));
  // Where even the hard limit leaves no room, the guest's own soft limit gives way.
  uint64_t needed = static_cast<uint64_t>(kVcpuPlace) + 56 + kSpareNumbers;
  if (limit.rlim_max < 1024 + needed) {
    if (limit.rlim_max < needed + 8) return false;
    limit.rlim_cur = std::min(limit.rlim_cur, limit.rlim_max - needed);
    set_host_descriptor_limit(process, limit);
    process.nofile_limit.rlim_cur = std::min(process.nofile_limit.rlim_cur, limit.rlim_cur);
    process.own().base = static_cast<int>(limit.rlim_cur);
    return true;
  }
  const int base = descriptor_base(process.nofile_limit.rlim_cur);
  // Where the hard limit is hardly higher, or the soft one itself, the block stands among the guest's numbers, and moves away
  // from those that the guest asks for.
  process.own().base = static_cast<uint64_t>(base) + kVcpuPlace + kMostThreads <= limit.rlim_max ? base : 1024;
  return true;
}

int64_t own_descriptor(Process& process, int fd, int place, bool close_on_exec) {
  RoomForDescriptors room(process);
  int at = process.own().base + place;
  int64_t moved;
  if (place >= kVmPlace && fd >= at && fd < process.own().end()) {
    // It is where it may be, and there may be no other free number.
    raw(SYS_fcntl, static_cast<uint64_t>(fd), F_SETFD, close_on_exec ? FD_CLOEXEC : 0);
    moved = fd;
  } else if (place < kVmPlace) {
    moved = fd == at ? at : raw(SYS_dup3, static_cast<uint64_t>(fd), static_cast<uint64_t>(at), close_on_exec ? O_CLOEXEC : 0);
  } else {
    moved = raw(SYS_fcntl, static_cast<uint64_t>(fd), close_on_exec ? F_DUPFD_CLOEXEC : F_DUPFD, static_cast<uint64_t>(at));
  }
  if (moved != fd) raw(SYS_close, static_cast<uint64_t>(fd));
  if (!is_error(moved)) process.own().add(static_cast<int>(moved));
  return moved;
}

bool has_room_for_vcpu(const Process& process) {
  rlimit64 limit{};
  raw(SYS_prlimit64, 0, RLIMIT_NOFILE, 0, arg(&limit));
  const uint64_t first = static_cast<uint64_t>(process.own().base) + kVcpuPlace;
  if (first + OwnedDescriptors::kSpan <= limit.rlim_max) return true;
  int free = 0;
  for (uint64_t fd = limit.rlim_max; fd-- > first && free <= kSpareNumbers;)
    free += is_error(raw(SYS_fcntl, fd, F_GETFD));
  return free > kSpareNumbers;
}

bool relocate_own_descriptors(Process& process, int wanted) {
  const OwnedDescriptors& old = process.own();
  if (!old.owns(wanted)) return true;
  // A vfork child has descriptors of its own but the parent's machine, whose numbers are the parent's.
  if (process.shares_memory && !process.shares_files) return false;
  RoomForDescriptors room(process);
  rlimit64 limit{};
  raw(SYS_prlimit64, 0, RLIMIT_NOFILE, 0, arg(&limit));
  int owned = 0;
  for (int fd = old.base; fd < old.end(); fd++) owned += old.owns(fd);
  // Far away, since a guest that asks for one of these numbers will ask for more; but a larger table makes forks dearer.
  const int highest = static_cast<int>(std::min<uint64_t>(limit.rlim_max, INT32_MAX)) - owned - kVcpuPlace;
  int base = -1;
  // Where the limit is near, with room for more threads' vCPUs if that may be.
  for (int room_above : {64, 16, 0}) {
    const int beyond = highest - room_above;
    for (int wish = std::min(2 * old.base, beyond); wish > 0 && base < 0; wish = wish < beyond ? std::min(2 * wish, beyond) : 0)
      base = free_block(wish, std::min(wish + kSearch, beyond), wanted);
    if (base < 0) base = free_block(8, beyond, wanted);
  }
  if (base < 0) return false;
  room.widen(static_cast<uint64_t>(base) + OwnedDescriptors::kSpan);
  const int now = process.own_block.load();
  OwnedDescriptors& moved = process.own_blocks[1 - now];
  moved = OwnedDescriptors{};
  moved.base = base;
  int to[OwnedDescriptors::kSpan];
  auto undo = [&] {
    for (int fd = moved.base; fd < moved.end(); fd++)
      if (moved.owns(fd)) raw(SYS_close, static_cast<uint64_t>(fd));
    moved = OwnedDescriptors{};
  };
  for (int fd = old.base; fd < old.end(); fd++) {
    if (!old.owns(fd)) continue;
    const int place = fd - old.base;
    // Marks the number before it exists: no thread of the guest may ever name it.
    if (place < kVmPlace) moved.add(base + place);
    const int64_t made = place < kVmPlace
                             ? raw(SYS_dup3, static_cast<uint64_t>(fd), static_cast<uint64_t>(base + place), 0)
                             : raw(SYS_fcntl, static_cast<uint64_t>(fd), F_DUPFD_CLOEXEC, static_cast<uint64_t>(base + kVmPlace));
    if (is_error(made)) return undo(), false;
    to[place] = static_cast<int>(made);
    moved.add(to[place]);
  }
  for (int fd = old.base; fd < old.end(); fd++) {
    if (!old.owns(fd)) continue;
    const int number = to[fd - old.base];
    for (int* held : {&process.kvm_fd, &process.self_fd, &process.exe_fd, &process.log_fd, &process.proc_fd, &process.load_fd, &process.code_store_fd,
                      &process.space->vm.fd})
      if (*held == fd) *held = number;
    process.space->vm.renumber(fd, number);
  }
  set_log_descriptor(process.log_fd);
  process.own_block.store(1 - now, std::memory_order_release);
  for (int fd = old.base; fd < old.end(); fd++)
    if (old.owns(fd)) raw(SYS_close, static_cast<uint64_t>(fd));
  process.own_blocks[now] = OwnedDescriptors{};
  return true;
}

}  // namespace tine
