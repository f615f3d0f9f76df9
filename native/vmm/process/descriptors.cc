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

constexpr int kLargestBlock = kVcpuPlace + 1024;

}  // namespace

RoomForDescriptors::RoomForDescriptors(const Process& process) {
  uint64_t needed = static_cast<uint64_t>(process.own.base) + OwnedDescriptors::kSpan;
  raw(SYS_prlimit64, 0, RLIMIT_NOFILE, 0, arg(&saved_));
  if (saved_.rlim_cur >= needed) return;
  rlimit64 wider = saved_;
  wider.rlim_cur = std::min<uint64_t>(saved_.rlim_max, needed);
  changed_ = raw(SYS_prlimit64, 0, RLIMIT_NOFILE, arg(&wider), 0) == 0;
}

RoomForDescriptors::~RoomForDescriptors() {
  if (changed_) raw(SYS_prlimit64, 0, RLIMIT_NOFILE, arg(&saved_), 0);
}

bool make_room_for_descriptors(Process& process) {
  rlimit64 limit{};
  raw(SYS_prlimit64, 0, RLIMIT_NOFILE, 0, arg(&limit));
  // Where even the hard limit leaves no room, the guest's own soft limit gives way.
  uint64_t needed = static_cast<uint64_t>(kVcpuPlace) + 56;
  if (limit.rlim_max < 1024 + needed) {
    if (limit.rlim_max < needed + 8) return false;
    limit.rlim_cur = std::min(limit.rlim_cur, limit.rlim_max - needed);
    raw(SYS_prlimit64, 0, RLIMIT_NOFILE, arg(&limit), 0);
    process.nofile_limit.rlim_cur = std::min(process.nofile_limit.rlim_cur, limit.rlim_cur);
    process.own.base = static_cast<int>(limit.rlim_cur);
    return true;
  }
  process.own.base = descriptor_base(process.nofile_limit.rlim_cur);
  return true;
}

int64_t own_descriptor(Process& process, int fd, int place, bool close_on_exec) {
  RoomForDescriptors room(process);
  int at = process.own.base + place;
  int64_t moved;
  if (place < kVmPlace) {
    moved = fd == at ? at : raw(SYS_dup3, static_cast<uint64_t>(fd), static_cast<uint64_t>(at), close_on_exec ? O_CLOEXEC : 0);
  } else {
    moved = raw(SYS_fcntl, static_cast<uint64_t>(fd), close_on_exec ? F_DUPFD_CLOEXEC : F_DUPFD, static_cast<uint64_t>(at));
  }
  if (moved != fd) raw(SYS_close, static_cast<uint64_t>(fd));
  if (!is_error(moved)) process.own.add(static_cast<int>(moved));
  return moved;
}

void relocate_own_descriptors(Process& process, int wanted) {
  OwnedDescriptors old = process.own;
  if (!old.owns(wanted)) return;
  RoomForDescriptors room(process);
  // The block moves as a whole: a coming exec finds its parts by their places.
  auto taken = [](int fd) { return !is_error(raw(SYS_fcntl, static_cast<uint64_t>(fd), F_GETFD)); };
  int base = old.base;
  for (bool free = false; !free;) {
    base += kVcpuPlace;
    free = wanted < base || wanted >= base + kVcpuPlace;
    for (int place = 0; free && place < kVcpuPlace; place++) free = !taken(base + place);
    if (base > old.base + OwnedDescriptors::kSpan / 2) return;
  }
  OwnedDescriptors moved;
  moved.base = base;
  for (int fd = old.base; fd < old.end(); fd++) {
    if (!old.owns(fd)) continue;
    int place = fd - old.base;
    int64_t to = place < kVmPlace ? raw(SYS_dup3, static_cast<uint64_t>(fd), static_cast<uint64_t>(base + place), 0)
                                  : raw(SYS_fcntl, static_cast<uint64_t>(fd), F_DUPFD_CLOEXEC, static_cast<uint64_t>(base + kVmPlace));
    if (is_error(to)) return;
    int now = static_cast<int>(to);
    moved.add(now);
    for (int* held : {&process.kvm_fd, &process.self_fd, &process.exe_fd, &process.log_fd, &process.root_fd, &process.space->vm.fd})
      if (*held == fd) *held = now;
    process.space->vm.renumber(fd, now);
  }
  process.own = moved;
  set_log_descriptor(process.log_fd);
  for (int fd = old.base; fd < old.end(); fd++)
    if (old.owns(fd)) raw(SYS_close, static_cast<uint64_t>(fd));
}

}  // namespace tine
