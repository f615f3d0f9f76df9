// x86-64 register state carried by fork, vfork and clone.
#pragma once
#include <linux/kvm.h>

#include <cstdint>

namespace tine {

// KVM_GET_XSAVE2 may need more than the 4 KiB of KVM_GET_XSAVE (AMX); 16 KiB holds every component known.
constexpr uint64_t kXsaveBytes = 16384;

struct CpuState {
  kvm_regs regs;
  kvm_sregs sregs;
  alignas(64) uint8_t xsave[kXsaveBytes];
};

}  // namespace tine
