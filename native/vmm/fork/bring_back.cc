// The pages that both sides of a fork write first. The host's fork leaves them shared and write-protected, and where the
// page tables are shadowed every one comes back by itself, twice if it is read before it is written, at 40 µs each. Made the
// process's own in bulk they cost half a microsecond and come back eight at a time (memory/write_key.h). They are few: the
// stack's end and the data of the program and its libraries.
#include <algorithm>

#include "fork/fork.h"
#include "host/raw.h"
#include "memory/write_key.h"

namespace tine {

void bring_back_after_fork(Thread& t) {
  constexpr int kMadvPopulateWrite = 23;
  constexpr uint64_t kBelowStack = 8 << 10, kAboveStack = 24 << 10, kLargestData = 64 << 10;
  if (!arch_exits_are_dear()) return;
  uint64_t left = 160 << 10;
  const uint64_t stack = guest_sp(t);
  const OpenWriteKey key;
  t.process->space->for_each([&](const Vma& vma) {
    if (vma.flags & (kVmaShared | kVmaLocked | kVmaWipeOnFork | kVmaDontFork)) return;
    uint64_t start = vma.start, end = vma.end;
    if ((vma.prot & PROT_WRITE) && stack >= start && stack < end) {
      start = std::max(start, (stack - kBelowStack) & ~(kPage - 1));
      end = std::min(end, (stack + kAboveStack) & ~(kPage - 1));
    } else if (!(vma.flags & kVmaOwned) || (vma.prot & PROT_EXEC) || end - start > kLargestData) {
      return;
    }
    if (end - start > left) return;
    left -= end - start;
    raw(SYS_madvise, to_host({start}).v, end - start, kMadvPopulateWrite);
  });
}

}  // namespace tine
