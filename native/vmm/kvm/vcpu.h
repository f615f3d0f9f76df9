// One virtual CPU: its descriptor, its shared kvm_run page, and KVM_RUN.
#pragma once
#include <linux/kvm.h>

#include <cstdint>

#include "arch/arch.h"

namespace tine {

class Vcpu {
 public:
  int fd = -1;
  kvm_run* run = nullptr;
  uint64_t run_bytes = 0;
  uint32_t index = 0;
  uint8_t* block = nullptr;      // host address of the CPU's own pages
  uint64_t block_offset = 0;     // the same within the kernel area
  bool entered_by_stub = false;  // last exit came through the system call stub
  bool left_with_post = false;   // ... with the call in the post page
  bool masks_signals = false;    // mask_signals was told a mask
  Vcpu* next_parked = nullptr;

  int64_t enter();  // KVM_RUN: 0 or -errno
  // The signals blocked during KVM_RUN; nullptr: those that the calling thread blocks. By whoever runs it, before it does.
  void mask_signals(const uint64_t* blocked);
  // A signal handler calls this: the next or current KVM_RUN returns EINTR.
  void interrupt() { __atomic_store_n(&run->immediate_exit, 1, __ATOMIC_SEQ_CST); }
};

}  // namespace tine
