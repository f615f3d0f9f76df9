#include "kvm/vcpu.h"

#include <cerrno>

#include "host/raw.h"
#include "memory/write_key.h"

namespace tine {

namespace {

int64_t vcpu_ioctl(const int& fd, uint64_t request, uint64_t argument) {
  for (;;) {
    int used = __atomic_load_n(&fd, __ATOMIC_ACQUIRE);
    int64_t result = raw(SYS_ioctl, static_cast<uint64_t>(used), request, argument);
    // Another thread may just have moved the monitor's descriptors, and the guest taken the number.
    if ((result != -EBADF && result != -ENOTTY) || used == __atomic_load_n(&fd, __ATOMIC_ACQUIRE)) return result;
  }
}

}  // namespace

int64_t Vcpu::enter() {
  arch_before_entry(*this);
  const OpenWriteKey key;
  return vcpu_ioctl(fd, KVM_RUN, 0);
}

void Vcpu::mask_signals(const uint64_t* blocked) {
  constexpr uint64_t kSetSignalMask = _IOW(KVMIO, 0x8b, uint32_t);  // struct kvm_signal_mask ends in a flexible array
  struct {
    uint32_t bytes = sizeof *blocked;
    uint32_t low, high;
  } mask;
  if (blocked) {
    mask.low = static_cast<uint32_t>(*blocked);
    mask.high = static_cast<uint32_t>(*blocked >> 32);
  }
  // Where it fails, the next entry tries again.
  if (vcpu_ioctl(fd, kSetSignalMask, blocked ? arg(&mask) : 0) == 0) masks_signals = blocked != nullptr;
}

}  // namespace tine
