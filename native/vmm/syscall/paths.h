// Paths a guest passes: copied once, and asked of procfs/ where the name may reach the monitor.
#pragma once
#include <linux/limits.h>

#include "process/thread.h"
#include "syscall/call.h"

namespace tine {

// The copy the host kernel is given. `value` is null where the guest passed null.
struct HostPath {
  char text[PATH_MAX];
  bool null = false;
  uint64_t value() const { return null ? 0 : arg(text); }
};

// `directory` is a descriptor or AT_FDCWD; `follow` says whether the call follows a symbolic link at the end.
// 0, or -errno to answer.
int64_t take_path(Thread& thread, int directory, GuestAddr guest, bool follow, HostPath& path);

}  // namespace tine
