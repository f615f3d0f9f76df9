#include "kvm/vcpu.h"

#include <cerrno>

#include "host/raw.h"
#include "memory/write_key.h"

namespace tine {

int64_t Vcpu::enter() {
  arch_before_entry(*this);
  const OpenWriteKey key;
  for (;;) {
    int used = __atomic_load_n(&fd, __ATOMIC_ACQUIRE);
    int64_t result = raw(SYS_ioctl, static_cast<uint64_t>(used), KVM_RUN, 0);
    // Another thread may just have moved the monitor's descriptors, and the guest taken the number.
    if ((result != -EBADF && result != -ENOTTY) || used == __atomic_load_n(&fd, __ATOMIC_ACQUIRE)) return result;
  }
}

}  // namespace tine
