// The guest's page tables: four levels, kept in pools of guest-physical memory, written by the host.
//
// They mirror present, write and no-execute of the guest's mappings. Loosening an entry is always seen by the
// machine. Tightening is seen because the caller changes the host mapping of the same page afterwards: the MMU
// notifier drops the translation and the next access walks these tables afresh (docs/memory.md).
//
// A table, once made, stays at its place in guest-virtual space: under shadow paging the machine keeps its own
// link from the upper level to the shadow of a table and does not see the host break it, so a table given to
// another address would appear at both.
#pragma once
#include <atomic>
#include <cstdint>
#include <vector>

#include "memory/address.h"

namespace tine {

// A run of guest-physical memory that holds tables and the CPU's structures.
struct Pool {
  uint8_t* host;
  GuestPhys at;
  uint64_t bytes;
  uint64_t used;
  uint64_t behind = 0;  // what else its memory slot holds
};

class PageTables {
 public:
  // The first pool's start holds `reserved` bytes for the CPU; the root follows. `own_roots`: how many vCPUs may have a
  // copy of it (kOwnRoots). `behind`: room for as much in the same memory slot. False: out of memory.
  bool create(uint64_t reserved, const std::atomic<uint32_t>& own_roots, uint64_t behind);
  // Where the room behind the first pool begins.
  uint8_t* room() const { return pools_[0].host + pools_[0].bytes; }
  GuestPhys room_at() const { return pools_[0].at + pools_[0].bytes; }
  // Where the architecture has two roots, the kernel half's is the page after this one.
  GuestPhys root() const { return root_; }
  // Maps [start, start + bytes) to guest-physical `to`; 2 MiB leaves where both are aligned.
  void map(uint64_t start, uint64_t bytes, GuestPhys to, uint32_t prot);
  void unmap(uint64_t start, uint64_t bytes);
  // What is mapped there can be read and executed as before.
  void forbid_writes(uint64_t start, uint64_t bytes);
  // Pages of the kernel half, which user mode cannot reach unless `user`.
  void map_kernel(uint64_t at, GuestPhys to, uint64_t pages, bool user, bool code);
  // The leaf that maps `at`, or 0.
  uint64_t leaf(uint64_t at) const;

  const std::vector<Pool>& pools() const { return pools_; }
  // Pools added since the last call must become memory slots before the guest runs; the address space asks.
  uint32_t slots_made = 0;

 private:
  template <class F>
  void change_leaves(uint64_t start, uint64_t bytes, F&& change);
  uint64_t* table(GuestPhys at) const;
  GuestPhys new_table();
  uint64_t* walk(uint64_t at, int level, bool make) { return walk_from(root_, at, level, make); }
  uint64_t* walk_from(GuestPhys root, uint64_t at, int level, bool make);
  bool add_pool(uint64_t bytes, uint64_t behind = 0);
  void add_to_own_roots(uint64_t index, uint64_t entry);

  std::vector<Pool> pools_;
  GuestPhys root_{0};
  const std::atomic<uint32_t>* own_roots_ = nullptr;
};

}  // namespace tine
