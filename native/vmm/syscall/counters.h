// How often a process made each call, how it was served and how long that took: what `tine stats --calls` reads from
// outside (fork/board.h says where it lies). A forked child begins with zeros by the kernel's hand (MADV_WIPEONFORK).
#pragma once
#include <cstdint>

#include "syscall/table.h"

namespace tine {

// runtime/fork/board.ts knows this layout.
struct alignas(32) CallCount {
  uint64_t exits;   // the guest had left the machine
  uint64_t posted;  // it had not (kvm/runner.h)
  uint64_t ticks;   // from the call's arrival to its answer, waiting included
  uint64_t unused;
};

constexpr uint64_t kCallCountsBytes = kCallLimit * sizeof(CallCount);

// Pages of their own, so that nothing else is wiped. Threads count into the same lines: relaxed additions.
extern CallCount call_counts[kCallLimit];

// Once, before the first fork. Where the kernel refuses, children go on from their parents' figures.
void wipe_counts_on_fork();

inline void count_call(uint32_t number, bool posted, uint64_t ticks) {
  if (number >= kCallLimit) return;
  CallCount& count = call_counts[number];
  __atomic_fetch_add(posted ? &count.posted : &count.exits, 1, __ATOMIC_RELAXED);
  __atomic_fetch_add(&count.ticks, ticks, __ATOMIC_RELAXED);
}

}  // namespace tine
