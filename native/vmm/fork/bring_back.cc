// The pages that both sides of a fork write first. The host's fork leaves them shared and write-protected, and where the
// page tables are shadowed every one comes back by itself, twice if it is read before it is written, at 40 µs each. Made the
// process's own in bulk they cost one to three and come back eight at a time (memory/write_key.h). They are few: the
// stack's end and the data of the program and its libraries. A translator looks everything that it does up in tables of
// its own, by hashes, so that both sides touch most pages of them.
#include <algorithm>

#include "fork/fork.h"
#include "host/raw.h"
#include "memory/write_key.h"

namespace tine {
namespace {

constexpr uint64_t kLargestTable = 2 << 20, kMost = 1 << 20;
constexpr uint64_t kBelowStack = 8 << 10, kAboveStack = 24 << 10, kLargestData = 64 << 10;
constexpr uint64_t kHeap = 24 << 10, kSmallHeap = 256 << 10, kLargestHeap = 512 << 10;
constexpr uint64_t kSmall = 32 << 10;
constexpr int kSmallOnes = 8;
constexpr uint32_t kPassedOver = kVmaShared | kVmaLocked | kVmaWipeOnFork | kVmaDontFork;

// What is resident of [start, end), at most kLargestTable.
template <class F>
void for_each_resident(uint64_t start, uint64_t end, F&& run) {
  uint8_t resident[kLargestTable / kPage];
  if (raw(SYS_mincore, to_host({start}).v, end - start, arg(resident))) return;
  const uint64_t pages = (end - start) / kPage;
  for (uint64_t i = 0, from; i < pages; i++) {
    if (!(resident[i] & 1)) continue;
    for (from = i; i < pages && (resident[i] & 1);) i++;
    run(start + from * kPage, start + i * kPage);
  }
}

}  // namespace

void bring_back_after_fork(Thread& t, bool child) {
  if (!arch_exits_are_dear()) return;
  AddressSpace& space = *t.process->space;
  const bool translated = t.process->translated;
  uint64_t left = translated ? 2 * kLargestTable : kMost;
  int small = kSmallOnes;
  const uint64_t stack = guest_sp(t);
  const OpenWriteKey key;
  auto bring = [&](uint64_t start, uint64_t end) {
    if (end - start > left) return false;
    left -= end - start;
    raw(SYS_madvise, to_host({start}).v, end - start, MADV_POPULATE_WRITE);
    return true;
  };
  auto bring_of = [&](const Vma& vma, uint64_t start, uint64_t end) {
    if (bring(start, end)) space.let_write(vma, start, end);
  };
  // The stack first, and the code: every call goes through it.
  space.for_each([&](const Vma& vma) {
    if (stack < vma.start || stack >= vma.end || !(vma.prot & PROT_WRITE) || (vma.flags & kPassedOver)) return;
    bring_of(vma, std::max(vma.start, (stack - kBelowStack) & ~(kPage - 1)), std::min(vma.end, (stack + kAboveStack) & ~(kPage - 1)));
  });
  space.for_each_changed([&](uint64_t start, uint64_t end) {
    constexpr uint64_t kGroup = kNeighbours * kPage;
    bring(start, end);
    if (child) space.bring_stored(start & ~(kGroup - 1), (end + kGroup - 1) & ~(kGroup - 1));
  });
  uint64_t data_end = 0;
  space.for_each([&](const Vma& vma) {
    if (vma.flags & kPassedOver) return;
    const bool writable = vma.prot & PROT_WRITE, anonymous = !(vma.flags & kVmaFile);
    // What follows a program's data is data that begins as zeros.
    const bool data = vma.flags & kVmaOwned ? !(vma.prot & PROT_EXEC) : writable && anonymous && vma.start == data_end;
    if (translated && writable && !(vma.flags & kVmaJit) && vma.bytes() <= kLargestTable)
      for_each_resident(vma.start, vma.end, [&](uint64_t start, uint64_t end) { bring_of(vma, start, end); });
    else if (vma.flags & kVmaHeap && vma.bytes() <= kLargestHeap)
      bring_of(vma, vma.start, vma.bytes() <= kSmallHeap ? vma.end : vma.start + kHeap);
    else if (data && vma.bytes() <= kLargestData)
      bring_of(vma, vma.start, vma.end);
    // The threads' blocks and libraries' tables.
    else if (writable && anonymous && vma.bytes() <= kSmall && small-- > 0)
      bring_of(vma, vma.start, vma.end);
    data_end = writable && vma.flags & kVmaOwned ? vma.end : 0;
  });
}

}  // namespace tine
