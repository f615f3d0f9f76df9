// arm64 register state: what the entry stub spills into a vCPU's frame, and what fork, vfork and clone carry over. The
// offsets are known to arch/aarch64/entry.S.
#pragma once
#include <cstddef>
#include <cstdint>

namespace tine {

struct CpuState {
  uint64_t x[31];
  uint64_t sp;
  uint64_t pc;
  uint64_t pstate;
  uint64_t tls;    // TPIDR_EL0
  uint64_t padding;
  struct alignas(16) Vector {
    uint64_t low, high;
  } v[32];
  uint64_t fpsr, fpcr;
};
static_assert(offsetof(CpuState, sp) == 248 && offsetof(CpuState, tls) == 272 && offsetof(CpuState, v) == 288 &&
              offsetof(CpuState, fpsr) == 800);

}  // namespace tine
