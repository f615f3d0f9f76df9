// The signal mask that ppoll, pselect6, epoll_pwait and io_pgetevents put in force while they wait.
#pragma once
#include "process/thread.h"
#include "syscall/call.h"

namespace tine {

// While a signal is on its way the mask stays in force, as the kernel's restore_saved_sigmask_unless does: the
// handler runs under it and its frame holds the mask from before. Otherwise it ends with the call.
class CallMask {
 public:
  explicit CallMask(Thread& thread) : thread_(thread) {}
  ~CallMask() {
    if (set_ && thread_.pending == 0) thread_.call_mask_set = false;
  }
  CallMask(const CallMask&) = delete;
  CallMask& operator=(const CallMask&) = delete;

  // Null means no mask. 0, -EINVAL for a wrong size, -EFAULT.
  int64_t take(GuestAddr mask, uint64_t bytes);
  // What the host call gets: 0 where the guest passed no mask.
  uint64_t value() const { return set_ ? reinterpret_cast<uint64_t>(&host_) : 0; }

 private:
  Thread& thread_;
  SignalSet host_ = 0;
  bool set_ = false;
};

}  // namespace tine
