#include "kvm/vcpu.h"

#include "host/raw.h"

namespace tine {

int64_t Vcpu::enter() {
  arch_before_entry(*this);
  return raw(SYS_ioctl, static_cast<uint64_t>(fd), KVM_RUN, 0);
}

}  // namespace tine
