// madvise, mlock, and System V shared memory over the mirrored mappings.
#include <sys/shm.h>

#include <algorithm>
#include <cerrno>

#include "arch/arch.h"
#include "host/raw.h"
#include "memory/address_space.h"
#include "process/thread.h"

namespace tine {
namespace {

constexpr uint64_t page_up(uint64_t n) { return (n + kPage - 1) & ~(kPage - 1); }
// uapi/asm-generic/mman-common.h; newer than the C library's header.
constexpr int kMadvCollapse = 25, kMadvDontneedLocked = 24;

bool advice_known(int advice) {
  switch (advice) {
    case MADV_NORMAL: case MADV_RANDOM: case MADV_SEQUENTIAL: case MADV_WILLNEED: case MADV_DONTNEED: case MADV_FREE:
    case MADV_REMOVE: case MADV_DONTFORK: case MADV_DOFORK: case MADV_MERGEABLE: case MADV_UNMERGEABLE: case MADV_HUGEPAGE:
    case MADV_NOHUGEPAGE: case MADV_DONTDUMP: case MADV_DODUMP: case MADV_WIPEONFORK: case MADV_KEEPONFORK: case MADV_COLD:
    case MADV_PAGEOUT: case MADV_POPULATE_READ: case MADV_POPULATE_WRITE: case kMadvDontneedLocked: case kMadvCollapse:
      return true;
    // Guard regions (102, 103) would fault on the host without an address: refused as kernels before 6.13 do.
    default: return false;
  }
}

}  // namespace

int64_t AddressSpace::advise(uint64_t address, uint64_t bytes, int advice) {
  if (!advice_known(advice)) return -EINVAL;
  if (address & (kPage - 1)) return -EINVAL;
  uint64_t length = page_up(bytes);
  if (bytes && !length) return -EINVAL;
  uint64_t end = address + length;
  if (end < address) return -EINVAL;
  if (!length) return 0;
  Guard guard(lock);
  bool gap = false;
  int64_t result = 0;
  uint64_t at = address;
  for (auto it = vmas_.upper_bound(address) == vmas_.begin() ? vmas_.begin() : std::prev(vmas_.upper_bound(address));
       it != vmas_.end() && it->first < end; ++it) {
    Vma& vma = it->second;
    if (vma.end <= at || (vma.flags & kVmaHidden)) continue;
    const bool populates = advice == MADV_POPULATE_READ || advice == MADV_POPULATE_WRITE;
    // This advice ends at the first page that cannot be made.
    if (vma.start > at && populates) return -ENOMEM;
    if (vma.start > at) gap = true;
    uint64_t from = std::max(vma.start, at), to = std::min(vma.end, end);
    // On the host these pages could be written (memory/write_key.h).
    if (populates && !(vma.prot & (advice == MADV_POPULATE_WRITE ? PROT_WRITE : PROT_READ))) return -EINVAL;
    int64_t one = raw(SYS_madvise, to_host({from}).v, to - from, static_cast<uint64_t>(advice));
    if (is_error(one)) return one;
    // What has not been touched comes in runs instead (fill_run); what has only needs its entries again.
    if (advice == MADV_NOHUGEPAGE && (vma.prot & PROT_WRITE) && !(vma.flags & (kVmaShared | kVmaFile | kVmaSysv | kVmaVdso | kVmaVvar | kVmaLocked)) &&
        to - from >= kHugePage && arch_exits_are_dear())
      withdraw(from, to - from);
    result = one;
    at = to;
  }
  if (at < end) gap = true;
  uint32_t set = 0, clear = 0;
  switch (advice) {
    case MADV_DONTFORK: set = kVmaDontFork; break;
    case MADV_DOFORK: clear = kVmaDontFork; break;
    case MADV_WIPEONFORK: set = kVmaWipeOnFork; break;
    case MADV_KEEPONFORK: clear = kVmaWipeOnFork; break;
    case MADV_HUGEPAGE: set = kVmaHuge, clear = kVmaNoHuge; break;
    case MADV_NOHUGEPAGE: set = kVmaNoHuge, clear = kVmaHuge; break;
    default: break;
  }
  if (set | clear) {
    split_at(address);
    split_at(end);
    for (auto it = vmas_.lower_bound(address); it != vmas_.end() && it->first < end; ++it)
      if (!(it->second.flags & kVmaHidden)) it->second.flags = (it->second.flags | set) & ~clear;
  }
  return gap ? -ENOMEM : result;
}

int64_t AddressSpace::attach_sysv(Thread& t, int id, uint64_t address, int flags) {
  shmid_ds info;
  int64_t result = raw(SYS_shmctl, static_cast<uint64_t>(id), IPC_STAT, arg(&info));
  // No read permission for IPC_STAT still leaves shmat to say what is wrong; the size is needed otherwise.
  if (is_error(result)) return result == -EINVAL || result == -EIDRM ? result : -EACCES;
  uint64_t bytes = page_up(info.shm_segsz);
  if (address) {
    if (address & (SHMLBA - 1)) {
      if (!(flags & SHM_RND)) return -EINVAL;
      address &= ~static_cast<uint64_t>(SHMLBA - 1);
      if (!address && (flags & SHM_REMAP)) return -EINVAL;
    }
  } else if (flags & SHM_REMAP) {
    return -EINVAL;
  }
  Guard guard(lock);
  if (address) {
    if (!guest_range_ok(address, bytes)) return -EINVAL;
    if (!is_free(address, bytes)) {
      if (!(flags & SHM_REMAP)) return -EINVAL;
      if (int64_t unmapped = unmap_locked(address, bytes)) return unmapped;
    }
  } else if (!(address = search(bytes, kPage, 65536, mmap_top))) {
    return -ENOMEM;
  }
  uint32_t prot = PROT_READ | (flags & SHM_RDONLY ? 0u : static_cast<uint32_t>(PROT_WRITE)) |
                  (flags & SHM_EXEC ? static_cast<uint32_t>(PROT_EXEC) : 0u);
  if (int64_t limited = check_limits(t, bytes, prot, kVmaShared, 0)) return limited;
  result = raw(SYS_shmat, static_cast<uint64_t>(id), to_host({address}).v, static_cast<uint64_t>(flags & ~(SHM_EXEC | SHM_RND)));
  if (is_error(result)) return result;
  insert({address, address + bytes, prot, kVmaShared | kVmaSysv});
  fill(address, address + bytes, prot);
  return static_cast<int64_t>(address);
}

int64_t AddressSpace::detach_sysv(uint64_t address) {
  if (address & (kPage - 1)) return -EINVAL;
  Guard guard(lock);
  auto it = find(address);
  if (it == vmas_.end() || it->second.start != address || !(it->second.flags & kVmaSysv)) return -EINVAL;
  // shmdt removes every piece of the segment; pieces are neighbours unless the guest remapped some.
  uint64_t end = it->second.end;
  for (auto next = std::next(it); next != vmas_.end() && next->first == end && (next->second.flags & kVmaSysv); ++next) end = next->second.end;
  withdraw(address, end - address);
  int64_t result = raw(SYS_shmdt, to_host({address}).v);
  if (is_error(result)) return result;
  // The host says which of the pieces are gone: what another segment mapped is still there.
  for (auto piece = vmas_.find(address); piece != vmas_.end() && piece->first < end;) {
    unsigned char resident;
    uint64_t from = piece->second.start, to = piece->second.end;
    ++piece;
    if (raw(SYS_mincore, to_host({from}).v, kPage, arg(&resident)) == -ENOMEM) carve(from, to);
    else fill(from, to, find(from)->second.prot);
  }
  return 0;
}

}  // namespace tine
