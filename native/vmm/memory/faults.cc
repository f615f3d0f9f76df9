// Guest page faults that reach the monitor, and the filling of page tables and extents.
//
// Tables are filled when a mapping is made, so a fault comes from a large mapping touched for the first time,
// from the stack growing, or from a program's own mistake.
#include <algorithm>
#include <cerrno>
#include <iterator>

#include "arch/arch.h"
#include "host/raw.h"
#include "memory/address_space.h"
#include "memory/guest_copy.h"
#include "process/thread.h"
#include "syscall/futex_waiters.h"

namespace tine {
namespace {

constexpr uint64_t kExtentUnit = 32ull << 20;
constexpr uint64_t kLargestExtent = 4ull << 30;
constexpr uint64_t kFaultChunk = 64ull << 20;  // tables filled around a fault in a large mapping
constexpr uint64_t kStackGap = 256 * kPage;    // stack_guard_gap
constexpr uint64_t kStackStep = 128 << 10;
constexpr uint64_t kLargestGrowth = 8 << 20;   // by one call: what a stack usually may hold
constexpr uint64_t kFirstRun = 32 << 10, kLongestRun = 512 << 10;

bool mostly_touched(uint64_t start, uint64_t end) {
  uint8_t resident[kLongestRun / kPage];
  const uint64_t pages = (end - start) / kPage;
  if (pages > sizeof resident || raw(SYS_mincore, to_host({start}).v, end - start, arg(resident))) return false;
  return static_cast<uint64_t>(std::count_if(resident, resident + pages, [](uint8_t page) { return page & 1; })) * 8 >= pages * 7;
}

}  // namespace

// Gives [start, end) guest-physical addresses and memory slots. Extents grow with what there already is, since a
// slot costs time at fork and large ones cost memory.
bool AddressSpace::add_extent(uint64_t start, uint64_t end) {
  uint64_t at = start;
  while (at < end) {
    auto above = extents_.upper_bound(at);
    if (above != extents_.begin()) {
      const Extent& below = std::prev(above)->second;
      if (at < below.end) {
        at = below.end;
        continue;
      }
    }
    uint64_t low = at & ~(kExtentUnit - 1);
    uint64_t wanted = std::clamp(extent_bytes_ / 2, kExtentUnit, kLargestExtent) & ~(kExtentUnit - 1);
    uint64_t high = std::max((std::min(end, low + wanted) + kExtentUnit - 1) & ~(kExtentUnit - 1), low + kExtentUnit);
    if (above != extents_.end()) high = std::min(high, above->second.start);
    if (low < kRefusedStart) high = std::min(high, kRefusedStart);
    GuestPhys physical = next_physical_;
    if (vm.fd >= 0 && vm.add_slot(physical, window_start(low), high - low)) return false;
    const Lock::Change change(lock);
    next_physical_ = physical + (high - low);
    extents_.emplace(low, Extent{low, high, physical});
    extent_bytes_ += high - low;
    at = high;
  }
  return true;
}

bool AddressSpace::sync_pools() {
  if (vm.fd < 0) return true;
  const auto& pools = tables_.pools();
  for (; pool_slots_ < pools.size(); pool_slots_++) {
    const Pool& pool = pools[pool_slots_];
    if (vm.add_slot(pool.at, {arg(pool.host)}, pool.bytes + pool.behind)) return false;
  }
  return true;
}

void AddressSpace::fill(uint64_t start, uint64_t end, uint32_t prot) {
  if (!(prot & (PROT_READ | PROT_WRITE | PROT_EXEC))) return;
  if (!add_extent(start, end)) return;
  leave_store(start, end);
  forget_shared(start, end);
  auto it = std::prev(extents_.upper_bound(start));
  for (; it != extents_.end() && it->second.start < end; ++it) {
    uint64_t from = std::max(start, it->second.start), to = std::min(end, it->second.end);
    tables_.map(from, to - from, it->second.at + (from - it->second.start), prot);
  }
  sync_pools();
}

void AddressSpace::withdraw(uint64_t start, uint64_t bytes) {
  tables_.unmap(start, bytes);
  leave_store(start, start + bytes);
  forget_shared(start, start + bytes);
}

// The page tables lead to the copy of what is mapped at [start, end), if there is one.
bool AddressSpace::enter_store(uint64_t start, uint64_t end, uint32_t prot, int fd, uint64_t offset) {
  const uint64_t at = code_store_.find(fd, offset, end - start, to_host({start}));
  if (!at) return false;
  withdraw(start, end - start);
  tables_.map(start, end - start, tables_.room_at() + at, prot);
  sync_pools();
  const Lock::Change change(lock);
  stored_.emplace(start, Stored{end, at});
  return true;
}

// The page tables lead to the store for nothing in [start, end) any more, and the machine learns of it.
void AddressSpace::leave_store(uint64_t start, uint64_t end) {
  if (stored_.empty()) return;
  auto it = stored_.upper_bound(start);
  if (it != stored_.begin() && std::prev(it)->second.end > start) --it;
  while (it != stored_.end() && it->first < end) {
    const uint64_t from = it->first;
    const Stored whole = it->second;
    const uint64_t low = std::max(from, start), high = std::min(whole.end, end);
    tables_.unmap(low, high - low);
    code_store_.drop(whole.at + (low - from), high - low);
    const Lock::Change change(lock);
    it = stored_.erase(it);
    if (from < low) stored_.emplace(from, Stored{low, whole.at});
    if (high < whole.end) stored_.emplace(high, Stored{whole.end, whole.at + (high - from)});
  }
}

void AddressSpace::leave_for_good(uint64_t start, uint64_t end) {
  start &= ~(kPage - 1);
  end = (end + kPage - 1) & ~(kPage - 1);
  auto it = vmas_.upper_bound(start);
  if (it != vmas_.begin()) --it;
  for (; it != vmas_.end() && it->first < end; ++it) {
    const uint64_t from = std::max(start, it->second.start), to = std::min(end, it->second.end);
    if (from >= to) continue;
    it->second.flags &= ~kVmaWhole;
    auto stored = stored_.upper_bound(from);
    if (stored != stored_.begin()) --stored;
    bool any = false;
    for (; stored != stored_.end() && stored->first < to; ++stored) any |= stored->second.end > from;
    if (any) fill(from, to, it->second.prot);
  }
}

bool AddressSpace::in_store(uint64_t address) const {
  auto it = stored_.upper_bound(address);
  return it != stored_.begin() && address < std::prev(it)->second.end;
}

void AddressSpace::replace(const Vma& vma) {
  Guard guard(lock);
  withdraw(vma.start, vma.bytes());
  insert(vma);
  fill(vma.start, vma.end, vma.prot);
}

void AddressSpace::populate_tables(uint64_t start, uint64_t end) {
  for (auto it = vmas_.lower_bound(start); it != vmas_.end() && it->first < end; ++it)
    fill(it->second.start, it->second.end, it->second.prot);
}

// Memory of the process's own that is touched for the first time. Each page would cost a fault that KVM serves alone; made
// in bulk by the host they come eight at a time. A first touch brings nothing else: only where the next one follows is
// more made, twice as much each time, and only if hardly a page was left out so far. False: huge pages are for this place.
bool AddressSpace::fill_run(const Vma& vma, uint64_t page, bool written) {
  const uint64_t huge = page & ~(kHugePage - 1);
  if (huge >= vma.start && huge + kHugePage <= vma.end && !(vma.flags & (kVmaNoHuge | kVmaStack | kVmaGrowsDown)) && huge_runs) return false;
  uint64_t from = page & ~(kFirstRun - 1), to = from + kFirstRun;
  Run* run = nullptr;
  bool brought = false;
  for (Run& known : runs_) {
    if (known.mapping != vma.start || (known.end != page && known.start != page + kPage)) continue;
    run = &known;
    if (!mostly_touched(known.start, known.end)) break;
    brought = written && !(vma.flags & kVmaJit);  // a fork may have to copy it
    const uint64_t bytes = std::min(2 * (known.end - known.start), kLongestRun);
    if (known.end == page) from = page, to = page + bytes;
    else to = page + kPage, from = to > bytes ? to - bytes : 0;
    break;
  }
  from = std::max(from, vma.start);
  to = std::min(to, vma.end);
  if (brought) raw(SYS_madvise, to_host({from}).v, to - from, MADV_POPULATE_WRITE);
  if (!run) run = &runs_[next_run_++ % std::size(runs_)];
  *run = {vma.start, from, to};
  fill(from, to, vma.prot);
  return true;
}

AddressSpace::Fault AddressSpace::fault(Thread& t, GuestAddr address, uint32_t access) {
  Guard guard(lock);
  uint64_t page = address.v & ~(kPage - 1);
  if (!guest_range_ok(page, kPage)) return Fault::kNoMapping;
  auto it = find(page);
  if (it == vmas_.end()) {
    // A mapping that grows downwards reaches for the page below it.
    it = vmas_.lower_bound(page);
    if (it == vmas_.end() || !(it->second.flags & (kVmaGrowsDown | kVmaStack))) return Fault::kNoMapping;
    Vma& stack = it->second;
    uint64_t limit = t.process->stack_limit.rlim_cur;
    if (limit != RLIM64_INFINITY && stack.end - page > limit) return Fault::kNoMapping;
    uint64_t floor = 65536;
    if (it != vmas_.begin()) floor = std::prev(it)->second.end + kStackGap;
    if (page < floor || !guest_range_ok(page, stack.start - page)) return Fault::kNoMapping;
    uint64_t low = std::max({floor, (page - (kStackStep - kPage)) & ~(kPage - 1),
                             limit == RLIM64_INFINITY || limit > stack.end ? 0 : stack.end - limit});
    if (stack.flags & kVmaStack && page >= stack_floor) {
      low = std::max(low, stack_floor);
    } else {
      if (!(stack.flags & kVmaStack)) low = page;
      int64_t mapped = raw(SYS_mmap, to_host({low}).v, stack.start - low, static_cast<uint64_t>(host_prot(stack.prot)),
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, ~0ull, 0);
      if (is_error(mapped)) return Fault::kNoMapping;
    }
    Vma grown = stack;
    uint64_t old_start = stack.start;
    grown.start = low;
    const Lock::Change change(lock);
    mapped_bytes_ += old_start - low;
    vmas_.erase(it);
    it = vmas_.emplace(low, grown).first;
  }
  Vma& vma = it->second;
  uint32_t needed = access == PROT_READ ? PROT_READ | PROT_WRITE | PROT_EXEC : access;
  if (!(vma.prot & needed)) return Fault::kNoAccess;
  if (suspicious_) {
    uint8_t byte;
    if (!copy_checked(&byte, to_host({page}).ptr(), 1)) return Fault::kBus;
    fill(page, page + kPage, vma.prot);
    return Fault::kServed;
  }
  // Another thread was changing the tables a moment ago.
  if (in_store(page)) return Fault::kServed;
  if (access == PROT_WRITE && own_shared(t, vma, page)) return Fault::kServed;
  if (!(vma.flags & (kVmaFile | kVmaShared | kVmaSysv | kVmaVdso | kVmaVvar | kVmaLocked)) && (vma.prot & PROT_WRITE) && arch_exits_are_dear() &&
      fill_run(vma, page, access == PROT_WRITE))
    return Fault::kServed;
  uint64_t start = vma.start, end = vma.end;
  if (end - start > kFaultChunk) {
    start = std::max(start, page & ~(kFaultChunk - 1));
    end = std::min(end, (page & ~(kFaultChunk - 1)) + kFaultChunk);
  }
  fill(start, end, vma.prot);
  return Fault::kServed;
}

bool AddressSpace::grow_for_call(Thread& t, const uint64_t (&arguments)[6]) {
  if (!grows_down_) return false;
  bool grown = false;
  for (uint64_t address : arguments) {
    {
      Guard guard(lock);
      const uint64_t page = address & ~(kPage - 1);
      if (!guest_range_ok(page, kPage) || find(page) != vmas_.end()) continue;
      auto above = vmas_.lower_bound(page);
      if (above == vmas_.end() || !(above->second.flags & kVmaGrowsDown) || above->first - page > kLargestGrowth) continue;
    }
    grown |= fault(t, {address}, PROT_WRITE) == Fault::kServed;
  }
  return grown;
}

void AddressSpace::suspect_everything() {
  Guard guard(lock);
  suspicious_ = true;
  for (auto& [start, vma] : vmas_) withdraw(start, vma.bytes());
}

int64_t AddressSpace::create_machine(Process& process) {
  int64_t result = vm.create(process);
  if (result) return result;
  vm.root = tables_.root();
  vm.kernel_area = tables_.pools()[0].host;
  forget_futex_waiters(vm.kernel_area);
  pool_slots_ = 0;
  if (!sync_pools()) return -ENOMEM;
  for (auto& [start, extent] : extents_) {
    result = vm.add_slot(extent.at, window_start(start), extent.end - extent.start);
    if (result) return result;
  }
  return 0;
}

void AddressSpace::prepare_kernel_half() {
  uint8_t* area = tables_.pools()[0].host;
  arch_prepare_shared(area);
  for (uint64_t page = 0; page < kSharedCpuPages; page++) {
    KernelPage kind = arch_kernel_page(page);
    tables_.map_kernel(kKernelVirtual + page * kPage, {page * kPage}, 1, kind.user, kind.code);
  }
  tables_.map_kernel(kKernelVirtual + kSharedCpuPages * kPage, {kSharedCpuPages * kPage}, kMaxVcpus * kVcpuPages, false, false);
}

}  // namespace tine
