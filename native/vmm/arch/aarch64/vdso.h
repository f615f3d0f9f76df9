// The vDSO's signal trampoline: glibc gives no SA_RESTORER on arm64.
#pragma once
#include <cstdint>

namespace tine {

// Offset of __kernel_rt_sigreturn in the vDSO; 0 where there is none.
uint64_t vdso_signal_return();

}  // namespace tine
