// The page through which a vCPU posts system calls without leaving the machine. The guest can write it: everything in
// it is copied once and trusted for nothing but the guest's own sake.
#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "process/thread.h"

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
  // kvm/answers.h: which are known, and what they are.
  std::atomic<uint32_t> known;
  uint64_t answers[8];
  std::atomic<uint32_t> version;  // of `actions`, odd while they change
  uint32_t seen;                  // the version that the stub began with
  std::atomic<int32_t> unseen;    // calls that trapped and may still be answered before the monitor sees one
  uint64_t more[3];               // answers 8 to 10: rseq, the stack's soft and hard limit
  uint64_t robust_list, clear_child_tid;  // what the thread has set, and
  std::atomic<uint32_t> noted;            // which of these it has: StubNote
  uint32_t unused;
  std::atomic<uint64_t> changed;          // the signals whose actions the thread has changed in `actions`
  std::atomic<uint64_t> mask;             // the thread's, as rt_sigprocmask tells it; the stub may change it
  std::atomic<uint32_t> watch;            // rounds that the stub watches a futex before its thread sleeps there
  std::atomic<uint32_t> changes_seen;     // of these watches, how many saw the word change
  std::atomic<uint64_t> known_mask;       // what the monitor knows of it
  std::atomic<uint64_t> caught;           // the signals that come to the monitor first, which may be blocked without it
  uint8_t room[2048 - 296];
  GuestAction actions[64];        // by signal, as the kernel has them
};
static_assert(sizeof(PostPage) == 4096 && offsetof(PostPage, known) == 124 && offsetof(PostPage, answers) == 128 &&
              offsetof(PostPage, version) == 192 && offsetof(PostPage, unseen) == 200 && offsetof(PostPage, more) == 208 && offsetof(PostPage, robust_list) == 232 && offsetof(PostPage, noted) == 248 &&
              offsetof(PostPage, changed) == 256 && offsetof(PostPage, mask) == 264 && offsetof(PostPage, watch) == 272 && offsetof(PostPage, changes_seen) == 276 && offsetof(PostPage, known_mask) == 280 && offsetof(PostPage, caught) == 288 && offsetof(PostPage, actions) == 2048 && sizeof(GuestAction) == 32);
static_assert(offsetof(PostPage, number) == 16 && offsetof(PostPage, return_address) == 72 && offsetof(PostPage, result) == 88 &&
              offsetof(PostPage, cpuid_return) == 96 && offsetof(PostPage, cpuid_flags) == 120);

enum PostState : uint32_t { kPostIdle, kPosted, kPostClaimed, kPostDone, kPostLeave, kPostSlow };

}  // namespace tine
