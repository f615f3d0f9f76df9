// mmap, munmap, mprotect, mremap, brk over the mirrored mappings.
//
// The order of the two sides matters. Tightening: guest tables first, then the host mapping, whose MMU notifier
// makes the machine forget. Loosening: the host first, then the tables.
#include <sys/statfs.h>

#include <algorithm>
#include <cerrno>

#include "arch/arch.h"
#include "host/raw.h"
#include "kvm/answers.h"
#include "memory/address_space.h"
#include "memory/write_key.h"
#include "process/thread.h"

namespace tine {
namespace {

constexpr uint64_t page_up(uint64_t n) { return (n + kPage - 1) & ~(kPage - 1); }
constexpr uint64_t kEagerBytes = 64ull << 20;  // larger mappings get their tables when touched
constexpr int kMountNoExec = 8;                // ST_NOEXEC
constexpr int kMapTypeMask = 0xf;
constexpr int kMap32Bit = 0x40;
constexpr uint64_t kBroughtInMapping = 128 << 10;
constexpr uint64_t kOwnedSegment = 64 << 10, kOwnedTable = 64 << 10;

constexpr uint32_t kNeverJit = kVmaShared | kVmaFile | kVmaStack | kVmaSysv | kVmaVdso | kVmaVvar;

bool mount_forbids_exec(int fd) {
  struct statfs info;
  return raw(SYS_fstatfs, static_cast<uint64_t>(fd), arg(&info)) == 0 && (info.f_flags & kMountNoExec);
}

// ThreadSanitizer and MemorySanitizer forbid themselves all that lies between their regions, in mappings without access that
// run through the refused zone, or into it: the zone's own part needs no mapping.
bool reaches_refused(const MapRequest& q) {
  return q.prot == PROT_NONE && (q.flags & MAP_ANONYMOUS) && q.bytes <= kGuestEnd && q.address <= kGuestEnd - q.bytes &&
         !guest_range_ok(q.address, q.bytes) && (q.address < kRefusedStart || q.address + q.bytes > kRefusedEnd);
}

}  // namespace

namespace {

struct HostAccess {
  uint64_t prot, key;
  bool operator==(const HostAccess&) const = default;
};

HostAccess host_access(const Vma& vma, uint32_t prot) {
  if ((vma.flags & kVmaOwned) && prot && !(prot & PROT_WRITE)) return {PROT_READ | PROT_WRITE, static_cast<uint64_t>(write_key())};
  return {static_cast<uint64_t>(host_prot(prot)), 0};
}

}  // namespace

int64_t AddressSpace::protect_host(const Vma& vma, uint32_t old, uint32_t prot) {
  const HostAccess from = host_access(vma, old), to = host_access(vma, prot);
  auto first = changed_code_.lower_bound(vma.start);
  const bool changed = first != changed_code_.end() && *first < vma.end;
  auto set = [&](const HostAccess& access) {
    if (changed) {
      const Lock::Change change(lock);
      while (first != changed_code_.end() && *first < vma.end) first = changed_code_.erase(first);
    }
    const uint64_t host = to_host({vma.start}).v;
    return vma.flags & kVmaOwned || changed ? raw(SYS_pkey_mprotect, host, vma.bytes(), access.prot, access.key)
                                 : raw(SYS_mprotect, host, vma.bytes(), access.prot);
  };
  if (from != to) return set(to);
  if ((old & PROT_EXEC) && !(prot & PROT_EXEC)) {
    // The host's protection does not change, so nothing would tell the machine: change it and back. Adding
    // execute rather than taking access away keeps other threads' calls on this memory working.
    if (!is_error(set({to.prot | PROT_EXEC, to.key}))) set(to);
  }
  return 0;
}

int64_t AddressSpace::map(Thread& t, const MapRequest& request) {
  Guard guard(lock);
  return map_locked(t, request);
}

int64_t AddressSpace::map_locked(Thread& t, MapRequest q) {
  bool anonymous = q.flags & MAP_ANONYMOUS;
  bool shared = (q.flags & kMapTypeMask) != MAP_PRIVATE;
  uint64_t unit = q.flags & MAP_HUGETLB ? kHugePage : kPage;
  if (!q.bytes) return -EINVAL;
  q.bytes = (q.bytes + unit - 1) & ~(unit - 1);
  if (!q.bytes || q.bytes > kGuestEnd) return -ENOMEM;
  uint32_t vma_flags = q.vma_flags | (shared ? kVmaShared : 0) | (anonymous ? 0 : kVmaFile) |
                       (!shared && !anonymous && (q.flags & MAP_DENYWRITE) ? kVmaLoaded : 0) |
                       (q.flags & MAP_GROWSDOWN ? kVmaGrowsDown : 0) | (q.flags & MAP_NORESERVE ? kVmaNoReserve : 0) |
                       ((q.flags & MAP_LOCKED) || lock_future != LockFuture::kNo ? kVmaLocked : 0);
  if (anonymous && !shared && (q.prot & PROT_EXEC)) vma_flags |= kVmaJit;
  if (q.flags & MAP_HUGETLB) vma_flags |= kVmaNoHuge | kVmaFile;
  if (vma_flags & kVmaGrowsDown) grows_down_ = true;

  uint64_t at;
  uint64_t replaced = 0;
  if (q.flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) {
    at = q.address;
    if (at & (unit - 1)) return -EINVAL;
    if (reaches_refused(q)) {
      MapRequest below = q, above = q;
      below.bytes = at < kRefusedStart ? kRefusedStart - at : 0;
      above.address = kRefusedEnd;
      above.bytes = at + q.bytes > kRefusedEnd ? at + q.bytes - kRefusedEnd : 0;
      if ((q.flags & MAP_FIXED_NOREPLACE) && above.bytes && !is_free(above.address, above.bytes)) return -EEXIST;
      if (above.bytes)
        if (int64_t result = map_locked(t, above); result < 0) return result;
      if (below.bytes)
        if (int64_t result = map_locked(t, below); result < 0) return result;
      return static_cast<int64_t>(at);
    }
    if (!guest_range_ok(at, q.bytes)) return -ENOMEM;
    if (at < kMinimumAddress) return -EPERM;
    // Hidden mappings make room, but not for a mapping that cannot be made.
    if ((q.flags & MAP_FIXED_NOREPLACE) && !is_free_of_guests(at, q.bytes)) return -EEXIST;
    call_sites.leave(at, at + q.bytes);
    auto it = vmas_.lower_bound(at);
    if (it != vmas_.begin() && std::prev(it)->second.end > at) --it;
    for (; it != vmas_.end() && it->first < at + q.bytes; ++it)
      replaced += std::min(it->second.end, at + q.bytes) - std::max(it->first, at);
  } else {
    uint64_t low = kMinimumAddress;
    uint64_t high = mmap_top;
    if (q.flags & kMap32Bit) {
      low = 1ull << 30;
      high = 1ull << 31;
    }
    bool large = anonymous && q.bytes >= kHugePage && !(q.flags & MAP_STACK);
    const bool table = q.by_loader && !anonymous && !(vma_flags & kVmaLoaded) && q.bytes <= kOwnedTable;
    const uint64_t wanted = large ? kHugePage : table ? kNeighbours * kPage : vma_flags & kVmaLoaded ? code_alignment() : unit;
    uint64_t hint = page_up(q.address);
    if (hint && hint >= kMinimumAddress && guest_range_ok(hint, q.bytes) && is_free(hint, q.bytes) && !(hint & (unit - 1)))
      at = hint;
    else if (!(at = search(q.bytes, wanted, low, high)) && !(at = search(q.bytes, unit, low, high)) &&
             !(at = search(q.bytes, unit, kMinimumAddress, kGuestEnd)))
      return -ENOMEM;
  }
  if (int64_t result = check_limits(t, q.bytes, q.prot, vma_flags, replaced)) return result;
  if (!anonymous && (q.prot & PROT_EXEC) && mount_forbids_exec(q.fd)) return -EPERM;

  if (replaced || !is_free(at, q.bytes)) withdraw(at, q.bytes);
  int host_flags = (q.flags & ~(kMap32Bit | MAP_GROWSDOWN | MAP_FIXED_NOREPLACE)) | MAP_FIXED;
  const bool on_fault = lock_future == LockFuture::kOnFault && !(q.flags & MAP_LOCKED);
  if ((vma_flags & kVmaLocked) && !on_fault) host_flags |= MAP_LOCKED;
  int64_t result = raw(SYS_mmap, to_host({at}).v, q.bytes, static_cast<uint64_t>(host_prot(q.prot)),
                       static_cast<uint64_t>(host_flags), static_cast<uint64_t>(q.fd), q.offset);
  if (is_error(result)) return result;
  if (on_fault && is_error(raw(SYS_mlock2, to_host({at}).v, q.bytes, MLOCK_ONFAULT))) {
    raw(SYS_munmap, to_host({at}).v, q.bytes);
    if (replaced) carve(at, at + q.bytes);
    return -EAGAIN;
  }
  insert({at, at + q.bytes, q.prot, vma_flags});
  if (t.process->huge_pages && anonymous && !shared && q.bytes >= kHugePage && !(q.flags & (MAP_STACK | MAP_GROWSDOWN)) && !(vma_flags & kVmaNoHuge))
    raw(SYS_madvise, to_host({at}).v, q.bytes, MADV_HUGEPAGE);
  // Code and constants; the loader's own code is changed before it runs.
  const bool constant = (vma_flags & kVmaLoaded) && q.prot && !(q.prot & PROT_WRITE) && !(vma_flags & kVmaLocked) && !q.is_loader;
  const bool stored = constant && q.keeps_fd && (q.flags & MAP_FIXED) && enter_store(at, at + q.bytes, q.prot, q.fd, q.offset);
  // Larger memory of the process's own comes in runs as it is touched (fault()), huge pages at once.
  const bool in_runs = anonymous && !shared && (q.prot & PROT_WRITE) && q.bytes > kBroughtInMapping && !(q.flags & (MAP_POPULATE | MAP_HUGETLB)) &&
                       !(vma_flags & (kVmaHeap | kVmaLocked)) && arch_exits_are_dear();
  if (in_runs) {
    const uint64_t low = (at + kHugePage - 1) & ~(kHugePage - 1), high = (at + q.bytes) & ~(kHugePage - 1);
    if (t.process->huge_pages && low < high && !(q.flags & (MAP_STACK | MAP_GROWSDOWN)) && q.bytes <= kEagerBytes) fill(low, high, q.prot);
  } else if (!stored && q.bytes <= kEagerBytes) {
    fill(at, at + q.bytes, q.prot);
  }
  if (constant && !(q.flags & MAP_FIXED)) note_whole_file(at, q);
  // Of files only what a program loader says is a program's data: other mappings follow the file while nobody writes.
  if (!on_fault && !shared && (anonymous || (q.flags & MAP_DENYWRITE)) && !(q.flags & (MAP_NORESERVE | MAP_STACK | MAP_GROWSDOWN | MAP_HUGETLB)))
    if (!anonymous || (vma_flags & kVmaHeap) || q.bytes <= kBroughtInMapping) bring_in(at, q.bytes, q.prot);
  if (!shared && !anonymous && q.prot && !(vma_flags & kVmaLocked)) {
    // The data and small segments of programs, and what the dynamic loader reads from end to end.
    const bool loaded = vma_flags & kVmaLoaded;
    if (!stored && (q.is_loader || (loaded && ((q.prot & PROT_WRITE) || (q.bytes <= kOwnedSegment && !(q.prot & PROT_EXEC)))) || (q.by_loader && q.bytes <= kOwnedTable)))
      own_pages(at, q.bytes);
    if (loaded && q.keeps_fd && (q.flags & MAP_FIXED) && (q.prot & PROT_EXEC)) bring_symbols(at, q.fd);
    if (loaded && (q.prot & PROT_WRITE)) own_group(at);
  }
  return static_cast<int64_t>(at);
}

int64_t AddressSpace::unmap(uint64_t address, uint64_t bytes) {
  if ((address & (kPage - 1)) || !bytes) return -EINVAL;
  bytes = page_up(bytes);
  if (!bytes || address >= kGuestEnd || bytes > kGuestEnd - address) return -EINVAL;
  Guard guard(lock);
  return unmap_locked(address, bytes);
}

int64_t AddressSpace::unmap_locked(uint64_t start, uint64_t bytes) {
  uint64_t end = start + bytes;
  split_at(start);
  split_at(end);
  // Only what is mapped is touched: the range may run through the refused zone.
  auto it = vmas_.lower_bound(start);
  while (it != vmas_.end() && it->first < end) {
    if (it->second.flags & kVmaHidden) {
      ++it;
      continue;
    }
    uint64_t from = it->second.start, to = it->second.end;
    for (auto next = std::next(it);
         next != vmas_.end() && next->first == to && next->first < end && !(next->second.flags & kVmaHidden); ++next)
      to = next->second.end;
    withdraw(from, to - from);
    int64_t result = raw(SYS_munmap, to_host({from}).v, to - from);
    if (is_error(result)) return result;
    carve(from, to);
    it = vmas_.lower_bound(to);
  }
  return 0;
}

int64_t AddressSpace::protect(Thread& t, uint64_t address, uint64_t bytes, uint32_t prot, bool grows_down, bool grows_up) {
  if (address & (kPage - 1)) return -EINVAL;
  bytes = page_up(bytes);
  if (!bytes) return 0;
  if (address >= kGuestEnd || bytes > kGuestEnd - address) return -ENOMEM;
  if (grows_up) return -EINVAL;
  Guard guard(lock);
  uint64_t end = address + bytes;
  if (grows_down) {
    auto it = find(address);
    if (it == vmas_.end()) return -ENOMEM;
    if (!(it->second.flags & (kVmaGrowsDown | kVmaStack))) return -EINVAL;
    address = it->second.start;
  }
  int64_t result = 0;
  uint64_t at = address;
  while (at < end && !result) {
    split_at(at);
    auto it = vmas_.find(at);
    if (it == vmas_.end() || (it->second.flags & kVmaHidden)) {
      result = -ENOMEM;
      break;
    }
    if (it->second.end > end) split_at(end);
    Vma& vma = it->second;
    uint32_t old = vma.prot;
    uint64_t next = vma.end;
    if (old != prot) {
      if (!(old & PROT_WRITE) && exceeds_data_limit(*t.process, vma.bytes(), prot, vma.flags)) {
        result = -ENOMEM;
        break;
      }
      if (old & ~prot) withdraw(vma.start, vma.bytes());
      result = protect_host(vma, old, prot);
      if (!is_error(result)) {
        result = 0;
        vma.prot = prot;
        vma.flags &= ~kVmaWhole;
        if ((prot & PROT_EXEC) && !(vma.flags & kNeverJit)) vma.flags |= kVmaJit;
      }
      if (next - at <= kEagerBytes) fill(at, next, vma.prot);
      if (!old && !(vma.flags & (kVmaShared | kVmaFile | kVmaSysv | kVmaStack))) bring_in(at, next - at, prot);
    }
    at = next;
  }
  merge_around(address, end);
  return result;
}

int64_t AddressSpace::remap(Thread& t, uint64_t old_address, uint64_t old_bytes, uint64_t new_bytes, int flags, uint64_t new_address) {
  if (flags & ~(MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP)) return -EINVAL;
  if ((flags & (MREMAP_FIXED | MREMAP_DONTUNMAP)) && !(flags & MREMAP_MAYMOVE)) return -EINVAL;
  if (old_address & (kPage - 1)) return -EINVAL;
  old_bytes = page_up(old_bytes);
  new_bytes = page_up(new_bytes);
  if (!new_bytes) return -EINVAL;
  if ((flags & MREMAP_DONTUNMAP) && old_bytes != new_bytes) return -EINVAL;
  Guard guard(lock);
  if (flags & MREMAP_FIXED) {
    if (new_address & (kPage - 1)) return -EINVAL;
    if (!guest_range_ok(new_address, new_bytes)) return -EINVAL;
    if (old_address < new_address + new_bytes && new_address < old_address + old_bytes) return -EINVAL;
    if (new_address < kMinimumAddress) return -EPERM;
  }
  auto it = find(old_address);
  if (it == vmas_.end() || (it->second.flags & kVmaHidden)) return -EFAULT;
  if (old_bytes > it->second.end - old_address) return -EFAULT;
  if (!old_bytes && !(it->second.flags & kVmaShared)) return -EINVAL;
  Vma source = it->second;
  bool move = flags & (MREMAP_FIXED | MREMAP_DONTUNMAP);
  if (!move && old_bytes && new_bytes <= old_bytes) {
    if (new_bytes < old_bytes) {
      int64_t result = unmap_locked(old_address + new_bytes, old_bytes - new_bytes);
      if (result) return result;
    }
    return static_cast<int64_t>(old_address);
  }
  if (new_bytes > old_bytes)
    if (int64_t result = check_limits(t, new_bytes - old_bytes, source.prot, source.flags, 0)) return result;
  if (!move && old_bytes && old_address + old_bytes == source.end && is_free(source.end, new_bytes - old_bytes) &&
      guest_range_ok(old_address, new_bytes) && source.end != stack_floor) {
    int64_t result = raw(SYS_mremap, to_host({old_address}).v, old_bytes, new_bytes, 0, 0);
    if (!is_error(result)) {
      Vma grown = source;
      grown.start = source.end;
      grown.end = old_address + new_bytes;
      it->second.end = grown.end;
      mapped_bytes_ += grown.bytes();
      merge_around(it->first, grown.end);
      if (grown.bytes() <= kEagerBytes) fill(grown.start, grown.end, source.prot);
      return static_cast<int64_t>(old_address);
    }
  }
  if (!(flags & MREMAP_MAYMOVE)) return -ENOMEM;
  uint64_t target = new_address;
  if (!(flags & MREMAP_FIXED)) {
    uint64_t hint = (flags & MREMAP_DONTUNMAP) ? page_up(new_address) : 0;
    if (hint && guest_range_ok(hint, new_bytes) && is_free(hint, new_bytes))
      target = hint;
    else
      target = search(new_bytes, new_bytes >= kHugePage ? kHugePage : kPage, kMinimumAddress, mmap_top);
    if (!target) return -ENOMEM;
  } else {
    call_sites.leave(target, target + new_bytes);
  }
  if ((flags & MREMAP_FIXED) && !is_free(target, new_bytes)) {
    if (int64_t result = unmap_locked(target, new_bytes)) return result;
  }
  call_sites.restore(old_address, old_address + old_bytes);
  withdraw(old_address, old_bytes);
  // Pages of changed code are apart from their neighbours on the host, which moves what is one mapping.
  if (auto page = changed_code_.lower_bound(old_address); page != changed_code_.end() && *page < old_address + old_bytes) {
    const Lock::Change change(lock);
    while (page != changed_code_.end() && *page < old_address + old_bytes) page = changed_code_.erase(page);
    raw(SYS_pkey_mprotect, to_host({old_address}).v, old_bytes, static_cast<uint64_t>(host_prot(source.prot)), 0);
  }
  int64_t result = raw(SYS_mremap, to_host({old_address}).v, old_bytes, new_bytes,
                       static_cast<uint64_t>(flags | MREMAP_MAYMOVE | MREMAP_FIXED), to_host({target}).v);
  if (is_error(result)) {
    fill(old_address, old_address + old_bytes, source.prot);
    return result;
  }
  if (!(flags & MREMAP_DONTUNMAP) && old_bytes) carve(old_address, old_address + old_bytes);
  insert({target, target + new_bytes, source.prot, source.flags & ~(kVmaHeap | kVmaStack | kVmaWhole)});
  if (new_bytes <= kEagerBytes) fill(target, target + new_bytes, source.prot);
  return static_cast<int64_t>(target);
}

int64_t AddressSpace::set_break(Thread& t, uint64_t address) {
  Guard guard(lock);
  if (address < brk_start || address >= kGuestEnd) return static_cast<int64_t>(brk_now);
  uint64_t old_end = page_up(brk_now), new_end = page_up(address);
  if (t.process->data_limit.rlim_cur != RLIM64_INFINITY && address - brk_start + (data_end - data_start) > t.process->data_limit.rlim_cur)
    return static_cast<int64_t>(brk_now);
  if (new_end < old_end) {
    if (unmap_locked(new_end, old_end - new_end)) return static_cast<int64_t>(brk_now);
  } else if (new_end > old_end) {
    MapRequest q;
    q.address = old_end;
    q.bytes = new_end - old_end;
    q.prot = PROT_READ | PROT_WRITE;
    q.flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;
    q.vma_flags = kVmaHeap;
    if (map_locked(t, q) < 0) return static_cast<int64_t>(brk_now);
    // Small steps do not qualify one by one; the heap as a whole does.
    if (t.process->huge_pages && new_end - brk_start >= 2 * kHugePage && (new_end ^ old_end) >> 21)
      raw(SYS_madvise, to_host({page_up(brk_start)}).v, new_end - page_up(brk_start), MADV_HUGEPAGE);
  }
  brk_now = address;
  answer_break(*t.process);
  return static_cast<int64_t>(address);
}

int64_t AddressSpace::adopt(Thread& t, HostAddr memory, uint64_t bytes, uint32_t prot) {
  (void)t;
  Guard guard(lock);
  bytes = page_up(bytes);
  uint64_t target = search(bytes, kPage, kMinimumAddress, mmap_top);
  if (!target) return -ENOMEM;
  int64_t result = raw(SYS_mremap, memory.v, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, to_host({target}).v);
  if (is_error(result)) return result;
  insert({target, target + bytes, prot, kVmaShared | kVmaFile});
  fill(target, target + bytes, prot);
  written_by_others_ = true;
  return static_cast<int64_t>(target);
}

}  // namespace tine
