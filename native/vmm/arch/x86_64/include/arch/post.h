// The page through which a vCPU posts system calls without leaving the machine. The guest can write it: everything in
// it is copied once and trusted for nothing but the guest's own sake.
#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace tine {

// Offsets are fixed by entry.S.
struct PostPage {
  std::atomic<uint32_t> mode;   // 0: the stub leaves the machine for every call
  std::atomic<uint32_t> state;  // PostState
  std::atomic<uint32_t> spin;   // rounds the stub waits before it leaves all the same
  uint32_t padding;
  uint64_t number;
  uint64_t arguments[6];
  uint64_t return_address;
  uint64_t flags;
  uint64_t result;
  // Of a cpuid from a patched site, while it is answered: where it returns, its operands, the flags as lahf and seto give them.
  uint64_t cpuid_return, cpuid_rax, cpuid_rcx;
  uint32_t cpuid_flags;
};
static_assert(offsetof(PostPage, number) == 16 && offsetof(PostPage, return_address) == 72 && offsetof(PostPage, result) == 88 &&
              offsetof(PostPage, cpuid_return) == 96 && offsetof(PostPage, cpuid_flags) == 120);

enum PostState : uint32_t { kPostIdle, kPosted, kPostClaimed, kPostDone, kPostLeave, kPostSlow };

}  // namespace tine
