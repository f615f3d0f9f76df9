// The map of a guest's mappings: finding, splitting, merging, searching for room, limits.
#include "memory/address_space.h"

#include <algorithm>
#include <cerrno>

#include "arch/arch.h"
#include "host/raw.h"
#include "process/thread.h"

namespace tine {

bool AddressSpace::create(int code_store) {
  const uint64_t room = arch_exits_are_dear() ? CodeStore::bytes_of(code_store) : 0;
  if (!tables_.create((kSharedCpuPages + kMaxVcpus * kVcpuPages) * kPage, vm.own_roots, room)) return false;
  if (room && !is_error(raw(SYS_mmap, arg(tables_.room()), room, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED | MAP_NORESERVE,
                            static_cast<uint64_t>(code_store), 0)))
    code_store_.attach(tables_.room(), room);
  next_physical_ = {4ull << 30};
  return true;
}

AddressSpace::VmaMap::iterator AddressSpace::find(uint64_t address) {
  auto it = vmas_.upper_bound(address);
  if (it == vmas_.begin()) return vmas_.end();
  --it;
  return address < it->second.end ? it : vmas_.end();
}

void AddressSpace::split_at(uint64_t address) {
  auto it = find(address);
  if (it == vmas_.end() || it->second.start == address) return;
  Vma upper = it->second;
  upper.start = address;
  const Lock::Change change(lock);
  it->second.end = address;
  vmas_.emplace(address, upper);
}

void AddressSpace::carve(uint64_t start, uint64_t end) {
  const Lock::Change change(lock);
  split_at(start);
  split_at(end);
  auto it = vmas_.lower_bound(start);
  if (it == vmas_.end() || it->first >= end) return;
  do {
    if (!(it->second.flags & kVmaHidden)) mapped_bytes_ -= it->second.bytes();
    it = vmas_.erase(it);
  } while (it != vmas_.end() && it->first < end);
  // The new gap reaches up to what lies above it.
  search_from_ = std::max(search_from_, it == vmas_.end() ? uint64_t{~0ull} : it->first);
}

void AddressSpace::insert(const Vma& vma) {
  const Lock::Change change(lock);
  carve(vma.start, vma.end);
  if (!(vma.flags & kVmaHidden)) mapped_bytes_ += vma.bytes();
  vmas_.emplace(vma.start, vma);
  merge_around(vma.start, vma.end);
}

// Joins anonymous neighbours of one kind, so that brk and piecewise mprotect do not grow the map without end.
// File mappings stay apart: whether they join depends on offsets, which only the host knows.
void AddressSpace::merge_around(uint64_t start, uint64_t end) {
  const Lock::Change change(lock);
  auto it = vmas_.lower_bound(start);
  if (it != vmas_.begin()) --it;
  while (it != vmas_.end() && it->first <= end) {
    auto next = std::next(it);
    if (next == vmas_.end()) break;
    if (it->second.end == next->second.start && it->second.like(next->second) &&
        !(it->second.flags & (kVmaFile | kVmaSysv | kVmaShared))) {
      it->second.end = next->second.end;
      vmas_.erase(next);
    } else {
      it = next;
    }
  }
}

bool AddressSpace::is_free(uint64_t start, uint64_t bytes) {
  auto it = vmas_.lower_bound(start);
  if (it != vmas_.end() && it->first < start + bytes) return false;
  return it == vmas_.begin() || std::prev(it)->second.end <= start;
}

bool AddressSpace::is_free_of_guests(uint64_t start, uint64_t bytes) {
  auto it = vmas_.upper_bound(start);
  if (it != vmas_.begin()) --it;
  for (; it != vmas_.end() && it->first < start + bytes; ++it)
    if (it->second.end > start && !(it->second.flags & kVmaHidden)) return false;
  return true;
}

// Lowest address of the highest gap below `high` that holds `bytes`, as Linux's top-down search; 0: none.
// A program with thousands of mappings must not have them all walked each time: gaps that lie above `search_from_`
// and below mmap_top are known to hold at most `widest_skipped_` bytes.
uint64_t AddressSpace::search(uint64_t bytes, uint64_t alignment, uint64_t low, uint64_t high) {
  bool usual = high == mmap_top;
  uint64_t ceiling = high;
  uint64_t skipped = 0;
  if (usual && bytes > widest_skipped_) {
    ceiling = std::min(high, search_from_);
    skipped = widest_skipped_;
  }
  auto found = [&](uint64_t at) {
    if (usual) {
      search_from_ = at;
      widest_skipped_ = std::max(skipped, ceiling - at - bytes);
    }
    return at;
  };
  auto it = vmas_.lower_bound(ceiling);
  for (;;) {
    uint64_t floor = low;
    if (it != vmas_.begin()) {
      auto below = std::prev(it);
      if (below->second.end > ceiling) {
        ceiling = below->second.start;
        it = below;
        continue;
      }
      floor = below->second.end > low ? below->second.end : low;
    }
    while (ceiling >= bytes && ceiling - bytes >= floor) {
      uint64_t at = (ceiling - bytes) & ~(alignment - 1);
      if (at < floor) break;
      if (guest_range_ok(at, bytes)) return found(at);
      if (ceiling <= kRefusedStart) break;
      if (ceiling > kRefusedEnd) skipped = std::max(skipped, ceiling - kRefusedEnd);
      ceiling = kRefusedStart;
    }
    if (it == vmas_.begin()) return 0;
    if (ceiling > floor) skipped = std::max(skipped, ceiling - floor);
    it = std::prev(it);
    if (it->second.start < ceiling) ceiling = it->second.start;
    if (ceiling <= low) return 0;
  }
}

bool AddressSpace::has_hidden(uint64_t start, uint64_t bytes) {
  Guard guard(lock);
  auto it = vmas_.upper_bound(start);
  if (it != vmas_.begin()) --it;
  for (; it != vmas_.end() && it->first < start + bytes; ++it)
    if (it->second.end > start && (it->second.flags & kVmaHidden)) return true;
  return false;
}

uint64_t AddressSpace::writable_from(GuestAddr start, uint64_t bytes) {
  Guard guard(lock);
  uint64_t done = 0;
  while (done < bytes) {
    auto it = find(start.v + done);
    if (it == vmas_.end() || !(it->second.prot & PROT_WRITE)) break;
    done = std::min(bytes, it->second.end - start.v);
  }
  return done;
}

uint64_t AddressSpace::data_bytes() {
  uint64_t total = 0;
  for (auto& [start, vma] : vmas_)
    if ((vma.prot & PROT_WRITE) && !(vma.flags & (kVmaShared | kVmaStack))) total += vma.bytes();
  return total;
}

// As Linux (may_expand_vm): where the soft limit is 0, the hard one counts.
bool AddressSpace::exceeds_data_limit(const Process& p, uint64_t more, uint32_t prot, uint32_t flags) {
  const rlim64_t limit = p.data_limit.rlim_cur ? p.data_limit.rlim_cur : p.data_limit.rlim_max;
  return limit != RLIM64_INFINITY && (prot & PROT_WRITE) && !(flags & (kVmaShared | kVmaStack)) && data_bytes() + more > limit;
}

int64_t AddressSpace::check_limits(Thread& t, uint64_t bytes, uint32_t prot, uint32_t flags, uint64_t replaced) {
  const Process& p = *t.process;
  if (p.as_limit.rlim_cur != RLIM64_INFINITY && mapped_bytes_ + bytes - replaced > p.as_limit.rlim_cur) return -ENOMEM;
  if (exceeds_data_limit(p, bytes - replaced, prot, flags)) return -ENOMEM;
  return 0;
}

// The host has done it: from here on it is known.
int64_t AddressSpace::lock_pages(uint64_t address, uint64_t bytes, bool on) {
  const uint64_t start = address & ~(kPage - 1), end = (address + bytes + kPage - 1) & ~(kPage - 1);
  Guard guard(lock);
  if (start >= end) return 0;
  split_at(start);
  split_at(end);
  for (auto it = vmas_.lower_bound(start); it != vmas_.end() && it->first < end; ++it)
    it->second.flags = on ? it->second.flags | kVmaLocked : it->second.flags & ~kVmaLocked;
  merge_around(start, end);
  return 0;
}

void AddressSpace::drop_not_inherited() {
  search_from_ = ~0ull;
  written_by_others_ = false;
  lock_future = LockFuture::kNo;
  for (auto it = vmas_.begin(); it != vmas_.end();) {
    if (it->second.flags & kVmaDontFork) {
      withdraw(it->second.start, it->second.bytes());
      mapped_bytes_ -= it->second.bytes();
      it = vmas_.erase(it);
    } else {
      it->second.flags &= ~kVmaLocked;
      ++it;
    }
  }
}

}  // namespace tine
