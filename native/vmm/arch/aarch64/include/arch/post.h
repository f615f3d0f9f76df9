// The page through which a vCPU could post system calls without leaving the machine (kvm/runner.h). The arm64 stub does
// not: arch_can_post() says so, and no page ever changes from zero.
#pragma once
#include <atomic>
#include <cstdint>

namespace tine {

struct PostPage {
  std::atomic<uint32_t> mode, state, spin;
  uint32_t padding;
  uint64_t number;
  uint64_t arguments[6];
  uint64_t return_address;
  uint64_t flags;
  uint64_t result;
};

enum PostState : uint32_t { kPostIdle, kPosted, kPostClaimed, kPostDone, kPostLeave, kPostSlow };

}  // namespace tine
