// What `tine regions` and `tine stats` read of a monitor from outside, through /proc/PID/mem: found by its first bytes in the monitor's
// own data, and pointing at the live map of mappings, so that keeping it up costs nothing.
// runtime/fork/board.ts reads it; a change here raises kBoardVersion.
#pragma once
#include <cstdint>

namespace tine {

constexpr uint32_t kBoardVersion = 3;

// Forks by what they took: four classes for each doubling, the first from 2^kFirstDoubling ticks, so that a percentile is
// told to a fifth.
constexpr uint32_t kForkClasses = 128, kFirstDoubling = 12;

struct Board {
  char magic[16];
  uint32_t version;
  uint32_t asked;       // Strategy
  uint32_t translated;  // 1: runs under a translator
  uint32_t forks;       // made by this process
  uint64_t window_bit;  // host address = guest address XOR this
  uint64_t copied;      // bytes that became this process's own when it was forked
  uint64_t mappings;    // address of the header node of the map
  uint64_t fork_ticks;  // what the forks took, from the call to the child's first word
  uint64_t calls;       // address of syscall/counters.h's figures, kCallLimit of them
  uint64_t ticks_khz;   // what a tick is; 0 where the processor does not say
  uint32_t execs;       // programs that this process has begun since it was forked
  uint32_t unused;
  uint32_t fork_took[kForkClasses];
};
extern Board board;

// A fork was made, in that many ticks.
void show_fork(uint64_t ticks);
// In a fork's child: it has made none, and begun no program.
void clear_figures();

}  // namespace tine
