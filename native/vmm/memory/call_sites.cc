#include "memory/call_sites.h"

#include <linux/membarrier.h>

#include <algorithm>
#include <cstring>

#include "host/raw.h"
#include "memory/address_space.h"
#include "memory/guest_copy.h"
#include "memory/write_key.h"
#include "process/thread.h"

namespace tine {
namespace {

constexpr uint64_t kRegionBytes = 32 << 10;
constexpr uint32_t kRegionSlots = kRegionBytes / kCallSlotBytes;

uint32_t place_of(uint64_t address) { return static_cast<uint32_t>((address * 0x9e3779b97f4a7c15ull) >> 55); }

// Tells the code of one loader from another's, four words at a time.
uint64_t digest(std::span<const uint8_t> code) {
  constexpr uint64_t kFactor = 0x9e3779b97f4a7c15ull;
  uint64_t lanes[4] = {code.size(), 1, 2, 3}, words[4];
  for (size_t at = 0; at < code.size(); at += sizeof words) {
    std::memset(words, 0, sizeof words);
    std::memcpy(words, code.data() + at, std::min(sizeof words, code.size() - at));
    for (int i = 0; i < 4; i++) {
      lanes[i] = (lanes[i] ^ words[i]) * kFactor;
      lanes[i] ^= lanes[i] >> 29;
    }
  }
  uint64_t all = 0;
  for (uint64_t lane : lanes) all = (all ^ lane) * kFactor ^ all >> 31;
  return all | 1;  // never that of nothing
}

}  // namespace

bool CallSites::is_settled(uint64_t back) const { return done_[place_of(back)].load(std::memory_order_relaxed) == back; }

bool CallSites::note(Thread& t, uint64_t back, uint32_t number) {
  const uint32_t place = place_of(back);
  if (done_[place].load(std::memory_order_relaxed) == back) return true;
  if (once_[place].exchange(back, std::memory_order_relaxed) != back) return false;
  Guard guard(space_.lock);
  done_[place].store(back, std::memory_order_relaxed);
  if (!site_of_slot(back)) patch(t, back, number);
  return true;
}

bool CallSites::patch(Thread& t, uint64_t back, uint32_t number) {
  const bool shared = t.process->thread_count.load() > 1 || space_.references.load() > 1;
  uint8_t jump[kCallSiteBytes];
  if (const CallSite* known = site_of_call(back)) {
    // Either it was reached by a way round the jump, or the guest has the file's page again (MADV_DONTNEED), or another
    // file's, for which the slot would be wrong.
    uint8_t now[kCallSiteBytes];
    if (!copy_in(now, {known->at}, sizeof now) || std::memcmp(now, known->code, sizeof now) != 0) return false;
    if (!space_.is_fixed_code(known->at, back + kCallSiteBytes)) return false;
    arch_make_call_jump(*known, jump);
    return space_.write_code(known->at, jump, shared);
  }
  CallSite site{};
  site.back = back;
  if (!arch_plan_call_site(site, number)) return false;
  if (!space_.is_fixed_code(site.at, back + kCallSiteBytes)) return false;
  return change(site, shared);
}

bool CallSites::change(CallSite& site, bool shared) {
  Region* region;
  uint32_t index;
  if (!find_slot(site, region, index)) return false;
  site.slot = region->start + index * kCallSlotBytes;
  const Lock::Change change(space_.lock);
  uint8_t code[kCallSlotBytes], jump[kCallSiteBytes];
  arch_make_call_slot(site, region->start, code);
  std::memcpy(to_host({site.slot}).ptr(), code, sizeof code);
  region->sites[index] = site.at;
  sites_.emplace(site.at, site);
  any_.store(true, std::memory_order_release);
  arch_make_call_jump(site, jump);
  return space_.write_code(site.at, jump, shared);
}

void CallSites::change_loader(LoaderSites& known, uint64_t start, uint64_t bytes, uint64_t unwind, uint64_t unwind_bytes) {
  constexpr uint64_t kMost = 1 << 20;
  if (!bytes || bytes > kMost || !unwind_bytes || unwind_bytes > kMost) return;
  Guard guard(space_.lock);
  if (!space_.is_owned_code(start, start + bytes)) return;
  // Pages of the process's own, and nothing of the guest's runs yet.
  const std::span<const uint8_t> mapped{to_host({start}).ptr(), bytes};
  const uint64_t now = digest(mapped);
  if (known.digest != now) {
    std::vector<uint8_t> table(unwind_bytes);
    if (!copy_in(table.data(), {unwind}, unwind_bytes)) return;
    known = {now, {}};
    for (const CallSite& site : arch_loader_sites(mapped, start, table, unwind)) known.sites.push_back(arch_pack_site(site, start));
  }
  std::vector<CallSite> sites;
  sites.reserve(known.sites.size());
  CallSite site;
  for (uint32_t packed : known.sites)
    if (arch_unpack_site(packed, mapped, start, site)) sites.push_back(site);
  for (CallSite& one : sites) change(one, false);
}

const CallSite* CallSites::site_of_call(uint64_t back) const {
  for (auto it = sites_.lower_bound(back); it != sites_.begin();) {
    --it;
    if (it->second.back == back) return &it->second;
    if (back - it->first > 2 * kCallSiteBytes) break;
  }
  return nullptr;
}

bool CallSites::find_slot(const CallSite& site, Region*& region, uint32_t& index) {
  for (bool made = false;; made = true) {
    for (Region& one : regions_) {
      // The first slot holds what all have in common.
      for (uint32_t i = 1; i < kRegionSlots; i++) {
        if (one.sites[i] || !arch_call_slot_fits(site, one.start + i * kCallSlotBytes)) continue;
        region = &one;
        index = i;
        return true;
      }
    }
    if (made || !new_region(site.at)) return false;
  }
}

CallSites::Region* CallSites::new_region(uint64_t near) {
  // A process that has used up several has code of a kind not thought of here.
  constexpr size_t kMost = 64;
  if (regions_.size() >= kMost) return nullptr;
  const uint64_t start = space_.map_hidden(near, kRegionBytes, kCallSiteReach);
  if (!start) return nullptr;
  arch_make_common_slot(to_host({start}).ptr());
  const Lock::Change change(space_.lock);
  regions_.push_back({start, std::vector<uint64_t>(kRegionSlots)});
  return &regions_.back();
}

CallSite* CallSites::site_of_slot(uint64_t ip) {
  for (Region& region : regions_) {
    if (ip - region.start >= kRegionBytes) continue;
    auto site = sites_.find(region.sites[(ip - region.start) / kCallSlotBytes]);
    return site == sites_.end() ? nullptr : &site->second;
  }
  return nullptr;
}

uint64_t CallSites::continuation(uint64_t ip) {
  if (!any_.load(std::memory_order_acquire)) return 0;
  Guard guard(space_.lock);
  for (const Region& region : regions_) {
    if (ip - region.start >= kRegionBytes) continue;
    const CallSite* site = site_of_slot(ip);
    return site ? arch_call_continuation(*site, ip) : ip - region.start < kCallSlotBytes ? ip : 0;  // the first is common to all
  }
  auto it = sites_.upper_bound(ip);
  if (it == sites_.begin()) return 0;
  const CallSite& site = std::prev(it)->second;
  if (ip - site.at >= kCallSiteBytes) return 0;
  // Is the changed code still there? The guest may have mapped something else.
  uint8_t now[kCallSiteBytes], jump[kCallSiteBytes];
  arch_make_call_jump(site, jump);
  if (!copy_in(now, {site.at}, sizeof now) || std::memcmp(now, jump, sizeof now) != 0) return 0;
  return arch_call_continuation(site, ip);
}

uint64_t CallSites::original(uint64_t ip) {
  if (!any_.load(std::memory_order_acquire)) return ip;
  Guard guard(space_.lock);
  const CallSite* site = site_of_slot(ip);
  return site ? arch_call_original(*site, ip) : ip;
}

uint64_t CallSites::return_after_leaving(uint64_t ip) {
  Guard guard(space_.lock);
  auto it = gone_.upper_bound(ip);
  if (it == gone_.begin() || ip - std::prev(it)->first >= kCallSlotBytes) return ip;
  return arch_call_original(std::prev(it)->second, ip);
}

void CallSites::put_back(const CallSite& site) {
  uint8_t now[kCallSiteBytes], jump[kCallSiteBytes];
  arch_make_call_jump(site, jump);
  if (copy_in(now, {site.at}, sizeof now) && std::memcmp(now, jump, sizeof now) == 0 && space_.is_fixed_code(site.at, site.at + kCallSiteBytes))
    (void)space_.write_code(site.at, site.code, true);
}

// The sites stay known: somebody may be in a slot, and the code may come back.
void CallSites::restore(uint64_t start, uint64_t end) {
  for (auto it = sites_.lower_bound(start - std::min(start, kCallSiteBytes - 1)); it != sites_.end() && it->first < end; ++it) {
    put_back(it->second);
    done_[place_of(it->second.back)].store(0, std::memory_order_relaxed);
  }
}

void CallSites::leave(uint64_t start, uint64_t end) {
  bool left = false;
  for (auto region = regions_.begin(); region != regions_.end();) {
    if (region->start >= end || region->start + kRegionBytes <= start) {
      ++region;
      continue;
    }
    for (uint64_t at : region->sites) {
      auto it = sites_.find(at);
      if (!at || it == sites_.end()) continue;
      put_back(it->second);
      const Lock::Change change(space_.lock);
      gone_[it->second.slot] = it->second;
      sites_.erase(it);
    }
    space_.unmap_hidden(region->start, kRegionBytes);
    const Lock::Change change(space_.lock);
    region = regions_.erase(region);
    left = true;
  }
  if (!left) return;
  times_left_.fetch_add(1, std::memory_order_acq_rel);
  for (auto& one : done_) one.store(0, std::memory_order_relaxed);
}

// ---- what it needs of the address space ---------------------------------------------------------------

bool AddressSpace::is_fixed_code(uint64_t start, uint64_t end) {
  auto it = find(start);
  return it != vmas_.end() && end <= it->second.end && it->second.prot == (PROT_READ | PROT_EXEC) &&
         (it->second.flags & (kVmaFile | kVmaShared | kVmaSysv | kVmaVdso | kVmaHidden)) == kVmaFile;
}

bool AddressSpace::is_owned_code(uint64_t start, uint64_t end) {
  return is_fixed_code(start, end) && (find(start)->second.flags & kVmaOwned);
}

// Another thread may execute the code meanwhile: a breakpoint stands at its first byte while the rest changes, and each
// step is seen by every CPU before the next (Intel SDM 3A 9.1.3, cross-modifying code).
bool AddressSpace::write_code(uint64_t at, const uint8_t (&code)[kCallSiteBytes], bool shared) {
  const uint64_t first = at & ~(kPage - 1), last = (at + kCallSiteBytes - 1) & ~(kPage - 1);
  const HostAddr pages = to_host({first});
  const uint64_t bytes = last + kPage - first;
  const bool stored = in_store(first) || in_store(last);
  const Lock::Change change(lock);
  if (stored) withdraw(first, bytes);
  const bool owned = find(at)->second.flags & kVmaOwned;
  if (!owned && raw(SYS_mprotect, pages.v, bytes, PROT_READ | PROT_WRITE)) return false;
  const OpenWriteKey key;
  auto* to = to_host({at}).ptr<volatile uint8_t>();
  auto everywhere = [&] {
    if (!shared) return;
    if (!membarrier_ready_) {
      raw(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE, 0, 0);
      membarrier_ready_ = true;
    }
    raw(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE, 0, 0);
  };
  if (shared) {
    to[0] = arch_breakpoint();
    everywhere();
  }
  for (uint64_t i = 1; i < kCallSiteBytes; i++) to[i] = code[i];
  everywhere();
  to[0] = code[0];
  everywhere();
  // The page is the process's own now, and comes with its neighbours if the host's mapping stays writable.
  if (!owned && (write_key() < 0 || raw(SYS_pkey_mprotect, pages.v, bytes, PROT_READ | PROT_WRITE, static_cast<uint64_t>(write_key()))))
    raw(SYS_mprotect, pages.v, bytes, PROT_READ);
  else
    for (uint64_t page = first; page <= last; page += kPage) changed_code_.insert(page);
  if (stored) fill(first, first + bytes, find(at)->second.prot);
  return true;
}

uint64_t AddressSpace::map_hidden(uint64_t near, uint64_t bytes, uint64_t reach) {
  // The first gap below that is large enough; a stack's own room to grow is left alone.
  uint64_t at = 0;
  for (auto it = find(near); it != vmas_.end() && near - it->second.start < reach;) {
    const uint64_t floor = it == vmas_.begin() ? kMinimumAddress : std::prev(it)->second.end;
    const uint64_t start = it->second.start;
    if (!(it->second.flags & (kVmaStack | kVmaGrowsDown)) && start >= floor + bytes && near - (start - bytes) < reach &&
        guest_range_ok(start - bytes, bytes)) {
      at = start - bytes;
      break;
    }
    if (it == vmas_.begin()) break;
    --it;
  }
  if (!at) return 0;
  const int64_t mapped = raw(SYS_mmap, to_host({at}).v, bytes, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, ~0ull, 0);
  if (is_error(mapped)) return 0;
  insert({at, at + bytes, PROT_READ | PROT_EXEC, kVmaHidden});
  fill(at, at + bytes, PROT_READ | PROT_EXEC);
  return at;
}

void AddressSpace::unmap_hidden(uint64_t start, uint64_t bytes) {
  tables_.unmap(start, bytes);
  raw(SYS_munmap, to_host({start}).v, bytes);
  carve(start, start + bytes);
}

}  // namespace tine
