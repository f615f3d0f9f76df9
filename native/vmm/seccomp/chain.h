// The filters of a thread, newest first. A chain is counted: threads share it, and a longer one holds the
// one it was made from, so that a chain seen by a thread stays alive when another thread adds to it.
#pragma once
#include <atomic>
#include <cstdint>
#include <span>
#include <vector>

#include "seccomp/bpf.h"

namespace tine {

struct SeccompChain {
  std::atomic<uint32_t> references{1};
  SeccompChain* previous = nullptr;
  std::vector<sock_filter> program;
  uint32_t weight = 0;   // instructions of the whole chain as the kernel counts them
  uint32_t filters = 0;  // how many there are, for Seccomp_filters in /proc/PID/status
  static constexpr uint32_t kCachedNumbers = 512;
  // Bit n: call n is allowed by this filter and by all older ones whatever its arguments are.
  uint64_t always_allowed[kCachedNumbers / 64] = {};
};

// AUDIT_ARCH_* of the guest, as seccomp_data.arch.
#if defined(__x86_64__)
constexpr uint32_t kAuditArch = 0xc000003e;
#elif defined(__aarch64__)
constexpr uint32_t kAuditArch = 0xc00000b7;
#endif

SeccompChain* seccomp_retain(SeccompChain* chain);  // for clone: the new thread shares its creator's chain
void seccomp_release(SeccompChain* chain);          // for the end of a thread

// A chain of `program` in front of `previous`, whose reference it takes over. nullptr, and the reference is
// not taken, where the chain would be longer than the kernel allows (ENOMEM). The program must be checked.
SeccompChain* seccomp_extend(SeccompChain* previous, BpfProgram program);

// The chain as bytes for an exec that replaces the monitor, and back (nullptr for an empty chain or for
// bytes that are not a chain).
std::vector<uint8_t> seccomp_serialize(const SeccompChain* chain);
SeccompChain* seccomp_deserialize(std::span<const uint8_t> bytes);

}  // namespace tine
