// What a fork has left shared between parent and child, until one of them writes it.
//
// The host's fork shares every page; whoever writes one gets a copy. Where the page tables are shadowed that costs 50 to 110 µs
// for each page of 4 KiB, since KVM learns of each copy by itself, and huge pages fall apart. So the page tables say "read-only"
// from the fork on, and the first write comes to the monitor, which makes pages around it the process's own in bulk
// (fork/copy.cc) and lets them be written again. It is a matter of cost alone: a page that is not marked, or still marked after
// somebody else has copied it, behaves as ever.
#include <algorithm>
#include <iterator>

#include "arch/arch.h"
#include "fork/fork.h"
#include "memory/address_space.h"
#include "memory/write_key.h"
#include "process/thread.h"

namespace tine {
namespace {

constexpr uint64_t kSmallestMapping = 128 << 10;  // what is smaller comes back by itself, or by fork/bring_back.cc
// Around a write that stands alone as many pages become the process's own as come in one fault of the machine's. Only where
// the next write follows is it twice as much each time.
constexpr uint64_t kFirstWindow = kNeighbours * kPage, kLongestWindow = kHugePage;
// Huge pages are copied whole, as long as writes follow each other; of those that stand alone, so much after a fork.
constexpr uint64_t kAlone = 8 << 20;

bool is_marked(const Vma& vma) {
  constexpr uint32_t kOthers = kVmaShared | kVmaFile | kVmaStack | kVmaVdso | kVmaVvar | kVmaDontFork | kVmaWipeOnFork | kVmaLocked | kVmaSysv |
                               kVmaHidden | kVmaOwned;
  return !(vma.flags & kOthers) && (vma.prot & (PROT_WRITE | PROT_EXEC)) == PROT_WRITE && vma.bytes() >= kSmallestMapping;
}

}  // namespace

void AddressSpace::share_for_fork() {
  if (!arch_exits_are_dear()) return;
  Guard guard(lock);
  for (const auto& [start, vma] : vmas_) {
    if (!is_marked(vma)) continue;
    for (uint64_t at = vma.start; at < vma.end;) {
      auto next = shared_.upper_bound(at);
      if (next != shared_.begin() && std::prev(next)->second > at) {
        at = std::prev(next)->second;
        continue;
      }
      const uint64_t end = next == shared_.end() ? vma.end : std::min(vma.end, next->first);
      tables_.forbid_writes(at, end - at);
      at = end;
    }
    forget_shared(vma.start, vma.end);
    const Lock::Change change(lock);
    shared_.emplace(vma.start, vma.end);
  }
  for (Window& window : windows_) window = {};
  copied_alone_ = 0;
}

void AddressSpace::forget_shared(uint64_t start, uint64_t end) {
  if (shared_.empty()) return;
  auto it = shared_.upper_bound(start);
  if (it != shared_.begin() && std::prev(it)->second > start) --it;
  while (it != shared_.end() && it->first < end) {
    const auto [from, to] = *it;
    const Lock::Change change(lock);
    it = shared_.erase(it);
    if (from < start) shared_.emplace(from, start);
    if (to > end) it = shared_.emplace(end, to).first;
  }
}

void AddressSpace::let_write(const Vma& vma, uint64_t start, uint64_t end) {
  if (shared_.empty()) return;
  auto it = shared_.upper_bound(start);
  if (it != shared_.begin() && std::prev(it)->second > start) --it;
  if (it != shared_.end() && it->first < end) fill(start, end, vma.prot);
}

// False: nothing that a fork left.
bool AddressSpace::own_shared(Thread& t, const Vma& vma, uint64_t page) {
  auto it = shared_.upper_bound(page);
  if (it == shared_.begin() || (--it)->second <= page) return false;
  const uint64_t low = std::max(it->first, vma.start), high = std::min(it->second, vma.end);
  Window* window = nullptr;
  for (Window& known : windows_)
    if ((known.end <= page && page < known.end + kFirstWindow) || known.start == page + kPage) window = &known;
  const bool huge = entry_is_huge(tables_.leaf(page));
  const uint64_t bytes = huge ? kHugePage : window ? std::min(2 * window->bytes, kLongestWindow) : kFirstWindow;
  const uint64_t from = std::max(page & ~(bytes - 1), low);
  uint64_t to = std::min((page & ~(bytes - 1)) + bytes, high);
  if (huge && !window && (copied_alone_ += bytes) > kAlone) {
    fill(from, to, vma.prot);
    return true;
  }
  if (!window) window = &windows_[next_window_++ % std::size(windows_)];
  *window = {from, to, bytes};
  const bool alone = t.process->thread_count.load() == 1 && references.load() == 1 && !written_by_others_;
  own_pages_after_fork(*t.process, from, to, vma, high, alone);
  fill(from, to, vma.prot);
  return true;
}

}  // namespace tine
