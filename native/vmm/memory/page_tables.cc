#include "memory/page_tables.h"

#include <sys/mman.h>

#include "arch/arch.h"
#include "host/raw.h"

namespace tine {
namespace {

constexpr uint64_t kPoolBytes = 16ull << 20;
// Pools stand at the bottom of guest-physical memory, extents of user memory above kUserPhysical.
constexpr int kTopLevel = 4;
constexpr int shift_of(int level) { return 12 + 9 * (level - 1); }
constexpr uint64_t index_at(uint64_t address, int level) { return (address >> shift_of(level)) & 511; }

void set_leaf(uint64_t* at, uint64_t entry) {
  uint64_t old = *at;
  __atomic_store_n(at, entry, __ATOMIC_RELEASE);
  if (old != entry && entry_present(old)) arch_translation_changed();
}

}  // namespace

bool PageTables::add_pool(uint64_t bytes, uint64_t behind) {
  int64_t memory = raw(SYS_mmap, 0, bytes + behind + kHugePage, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, ~0ull, 0);
  if (is_error(memory)) return false;
  uint64_t aligned = (memory + kHugePage - 1) & ~(kHugePage - 1);
  GuestPhys at{pools_.empty() ? 0 : pools_.back().at.v + pools_.back().bytes + pools_.back().behind};
  pools_.push_back({reinterpret_cast<uint8_t*>(aligned), at, bytes, 0, behind});
  return true;
}

bool PageTables::create(uint64_t reserved, const std::atomic<uint32_t>& own_roots, uint64_t behind) {
  own_roots_ = &own_roots;
  if (!add_pool((reserved + kPoolBytes / 2 + kHugePage - 1) & ~(kHugePage - 1), behind)) return false;
  pools_[0].used = reserved;
  // The first CPU's pages and the first tables are written at once: two calls instead of thirty faults.
  constexpr uint64_t kFirstCpu = (kSharedCpuPages + kVcpuPages) * kPage, kFirstTables = 16 * kPage;
  raw(SYS_madvise, arg(pools_[0].host), kFirstCpu, MADV_POPULATE_WRITE);
  raw(SYS_madvise, arg(pools_[0].host + reserved), kFirstTables, MADV_POPULATE_WRITE);
  root_ = new_table();
  if (kSplitPageTables) new_table();
  return true;
}

uint64_t* PageTables::table(GuestPhys at) const {
  for (const Pool& pool : pools_)
    if (at.v - pool.at.v < pool.bytes) return reinterpret_cast<uint64_t*>(pool.host + (at.v - pool.at.v));
  return nullptr;
}

GuestPhys PageTables::new_table() {
  if (pools_.back().used == pools_.back().bytes && !add_pool(kPoolBytes * 2)) return {0};
  Pool& pool = pools_.back();
  GuestPhys at = pool.at + pool.used;
  pool.used += kPage;
  return at;  // fresh anonymous memory is zero
}

// The entry for `at` at `level` (1 = 4 KiB leaves), making the tables above it when asked. A 2 MiB leaf on
// the way down is split.
uint64_t* PageTables::walk_from(GuestPhys root, uint64_t at, int level, bool make) {
  uint64_t* entries = table(root);
  for (int l = kTopLevel; l > level; l--) {
    uint64_t* entry = &entries[index_at(at, l)];
    if (!entry_present(*entry)) {
      if (!make) return nullptr;
      GuestPhys next = new_table();
      if (!next.v) return nullptr;
      __atomic_store_n(entry, table_entry(next), __ATOMIC_RELEASE);
      if (kOwnRoots && l == kTopLevel) add_to_own_roots(index_at(at, l), table_entry(next));
    } else if (l == 2 && entry_is_huge(*entry)) {
      GuestPhys next = new_table();
      if (!next.v) return nullptr;
      uint64_t* small = table(next);
      uint64_t huge = *entry;
      for (uint64_t i = 0; i < 512; i++) small[i] = split_entry(huge, i);
      set_leaf(entry, table_entry(next));
    }
    entries = table(entry_target(*entry));
  }
  return &entries[index_at(at, level)];
}

void PageTables::map(uint64_t start, uint64_t bytes, GuestPhys to, uint32_t prot) {
  uint64_t end = start + bytes;
  while (start < end) {
    if (!(start & (kHugePage - 1)) && !(to.v & (kHugePage - 1)) && end - start >= kHugePage) {
      uint64_t* entry = walk(start, 2, true);
      if (!entry) return;
      // A table that exists stays: see the note on permanence in the header.
      if (!entry_present(*entry) || entry_is_huge(*entry)) {
        set_leaf(entry, page_entry(to, prot, true));
        start += kHugePage;
        to = to + kHugePage;
        continue;
      }
    }
    uint64_t* entry = walk(start, 1, true);
    if (!entry) return;
    uint64_t run = 512 - index_at(start, 1);
    for (uint64_t i = 0; i < run && start < end; i++, start += kPage, to = to + kPage)
      set_leaf(entry + i, page_entry(to, prot, false));
  }
}

// Every present leaf of [start, start + bytes) becomes what `change` makes of it.
template <class F>
void PageTables::change_leaves(uint64_t start, uint64_t bytes, F&& change) {
  uint64_t end = start + bytes;
  uint64_t* top = table(root_);
  while (start < end) {
    // Skip what has no tables, level by level.
    uint64_t* entries = top;
    int level = kTopLevel;
    bool absent = false;
    for (; level > 1; level--) {
      uint64_t* entry = &entries[index_at(start, level)];
      if (!entry_present(*entry)) {
        absent = true;
        break;
      }
      if (level == 2 && entry_is_huge(*entry)) break;
      entries = table(entry_target(*entry));
    }
    uint64_t span = 1ull << shift_of(level);
    if (absent) {
      start = (start & ~(span - 1)) + span;
      continue;
    }
    if (level == 2) {
      uint64_t* entry = &entries[index_at(start, 2)];
      if (!(start & (kHugePage - 1)) && end - start >= kHugePage) {
        set_leaf(entry, change(*entry));
        start += kHugePage;
        continue;
      }
      entries = walk(start, 1, true) - index_at(start, 1);
    }
    for (uint64_t i = index_at(start, 1); i < 512 && start < end; i++, start += kPage)
      if (entry_present(entries[i])) set_leaf(&entries[i], change(entries[i]));
  }
}

void PageTables::unmap(uint64_t start, uint64_t bytes) {
  change_leaves(start, bytes, [](uint64_t) { return uint64_t{0}; });
}

void PageTables::forbid_writes(uint64_t start, uint64_t bytes) { change_leaves(start, bytes, read_only_entry); }

// A vCPU's copy is announced before it is made, so that an entry added meanwhile is in it either way.
void PageTables::add_to_own_roots(uint64_t index, uint64_t entry) {
  const uint32_t count = own_roots_->load();
  for (uint32_t i = 1; i < count; i++)
    __atomic_store_n(&table({(kSharedCpuPages + i * kVcpuPages + kOwnRootPage) * kPage})[index], entry, __ATOMIC_RELEASE);
}

void PageTables::map_kernel(uint64_t at, GuestPhys to, uint64_t pages, bool user, bool code) {
  const GuestPhys root = kSplitPageTables ? root_ + kPage : root_;
  while (pages) {
    uint64_t* entry = walk_from(root, at, 1, true);
    if (!entry) return;
    for (uint64_t left = 512 - index_at(at, 1); left && pages; left--, pages--, at += kPage, to = to + kPage)
      *entry++ = kernel_entry(to, user, code);
  }
}

uint64_t PageTables::leaf(uint64_t at) const {
  uint64_t* entries = table(root_);
  for (int l = kTopLevel; l >= 1; l--) {
    uint64_t entry = entries[index_at(at, l)];
    if (!entry_present(entry) || l == 1 || (l == 2 && entry_is_huge(entry))) return entry;
    entries = table(entry_target(entry));
  }
  return 0;
}

}  // namespace tine
