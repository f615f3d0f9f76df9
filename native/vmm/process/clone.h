// clone in all its forms, as clone_calls.cc has understood the call.
#pragma once
#include "syscall/call.h"

namespace tine {

// What the guest asked for, in clone3's terms with guest pointers.
struct CloneRequest {
  uint64_t flags = 0;
  uint64_t exit_signal = 0;
  GuestAddr pidfd{0}, child_tid{0}, parent_tid{0}, stack{0};
  uint64_t tls = 0;
  GuestAddr set_tid{0};
  uint64_t set_tid_size = 0;
  uint64_t cgroup = 0;
};

// Makes the thread or the process. Its number, or -errno.
int64_t clone_any(Call& c, const CloneRequest& q);

}  // namespace tine
