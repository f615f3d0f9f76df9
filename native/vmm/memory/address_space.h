// A guest address space: its mappings (VMAs), mirrored one to one on the host; its extents of guest-physical
// memory; its page tables; and the machine that runs over them. Shared by threads and by vfork children.
#pragma once
#include <sys/mman.h>

#include <map>
#include <set>

#include "host/lock.h"
#include "kvm/vm.h"
#include "memory/address.h"
#include "memory/call_sites.h"
#include "memory/code_store.h"
#include "memory/page_tables.h"

namespace tine {

struct Thread;

constexpr uint64_t kMinimumAddress = 65536;  // vm.mmap_min_addr

// vCPUs whose own pages lie in the first pool.
constexpr uint64_t kMaxVcpus = 768;

// What a mapping is, beside its protection.
constexpr uint32_t kVmaShared = 1u << 0,
                   kVmaFile = 1u << 1,
                   kVmaStack = 1u << 2,
                   kVmaHeap = 1u << 3,
                   kVmaVdso = 1u << 4,
                   kVmaVvar = 1u << 5,
                   kVmaDontFork = 1u << 6,
                   kVmaWipeOnFork = 1u << 7,
                   kVmaGrowsDown = 1u << 8,
                   kVmaHuge = 1u << 9,
                   kVmaNoHuge = 1u << 10,
                   kVmaLocked = 1u << 11,
                   kVmaSysv = 1u << 12,
                   kVmaNoReserve = 1u << 13,
                   kVmaJit = 1u << 14,     // private anonymous memory that is or was executable
                   kVmaHidden = 1u << 15,  // the monitor's own, among the guest's (memory/call_sites.h)
                   kVmaLoaded = 1u << 16,  // a program's or a library's file, mapped by a program loader
                   kVmaOwned = 1u << 17,   // pages of a file that are the process's own, under memory/write_key.h
                   kVmaWhole = 1u << 18;   // of a loader's mapping of a whole file, and still as the file has it

struct Vma {
  uint64_t start, end;
  uint32_t prot;   // PROT_*
  uint32_t flags;  // kVma...
  uint64_t bytes() const { return end - start; }
  bool like(const Vma& o) const { return prot == o.prot && flags == o.flags; }
};

// A run of guest-virtual memory with guest-physical addresses and a memory slot of its own.
struct Extent {
  uint64_t start, end;
  GuestPhys at;
};

struct MapRequest {
  uint64_t address = 0, bytes = 0;
  uint32_t prot = 0;
  int flags = 0;   // MAP_*
  int fd = -1;
  uint64_t offset = 0;
  uint32_t vma_flags = 0;
  bool by_loader = false;  // the dynamic loader asks for it,
  bool is_loader = false;  // or it is the dynamic loader
  bool keeps_fd = false;   // nobody puts another file behind `fd` meanwhile
};

class AddressSpace {
 public:
  std::atomic<int> references{1};
  Lock lock;
  Vm vm;

  // Empty space with page tables. `code_store`: memory/code_store.h, -1: none.
  // False: out of memory.
  bool create(int code_store);
  // Descriptor tables, entry stubs and vCPU blocks in the kernel half. Once, before the first machine.
  void prepare_kernel_half();
  // Makes the machine over whatever is mapped now. Used at start and, after a fork, in the child.
  int64_t create_machine(Process& process);
  // In a fork's child: mappings that are not inherited go.
  void drop_not_inherited();

  // Before a fork: the first write to what it shares will come to the monitor (memory/after_fork.cc).
  void share_for_fork();
  // [start, end) of a mapping is the process's own again. With the lock held, as in for_each().
  void let_write(const Vma& vma, uint64_t start, uint64_t end);

  // Each returns a value or -errno, and takes the lock.
  int64_t map(Thread& t, const MapRequest& request);
  int64_t unmap(uint64_t address, uint64_t bytes);
  int64_t protect(Thread& t, uint64_t address, uint64_t bytes, uint32_t prot, bool grows_down = false, bool grows_up = false);
  int64_t remap(Thread& t, uint64_t old_address, uint64_t old_bytes, uint64_t new_bytes, int flags, uint64_t new_address);
  int64_t set_break(Thread& t, uint64_t address);
  int64_t advise(uint64_t address, uint64_t bytes, int advice);
  int64_t lock_pages(uint64_t address, uint64_t bytes, bool on);
  int64_t attach_sysv(Thread& t, int id, uint64_t address, int flags);
  int64_t detach_sysv(uint64_t address);
  // Moves memory that the kernel mapped outside the windows (an AIO ring) into one. Address or -errno.
  int64_t adopt(Thread& t, HostAddr memory, uint64_t bytes, uint32_t prot);

  enum class Fault { kServed, kNoMapping, kNoAccess, kBus };
  // A page fault the machine brought. kServed: run on.
  Fault fault(Thread& t, GuestAddr address, uint32_t access);
  // A call met EFAULT: grows MAP_GROWSDOWN mappings for those of its arguments that lie just below one. True: it did.
  bool grow_for_call(Thread& t, const uint64_t (&arguments)[6]);
  // The host could not provide a page for the instruction at hand, address unknown: withdraws suspects, so that
  // the next run faults in the guest with an address.
  void suspect_everything();

  template <class F>
  void for_each(F&& f) {
    Guard guard(lock);
    for (auto& [start, vma] : vmas_)
      if (!(vma.flags & kVmaHidden)) f(vma);
  }
  uint64_t mapped_bytes() const { return mapped_bytes_; }
  // Whether something of the monitor's own lies in [start, start + bytes).
  bool has_hidden(uint64_t start, uint64_t bytes);
  // How much of [start, start + bytes) the guest can write, from its beginning.
  uint64_t writable_from(GuestAddr start, uint64_t bytes);
  // Runs of pages whose code call_sites changed, as [start, end).
  template <class F>
  void for_each_changed(F&& f) {
    Guard guard(lock);
    for (auto it = changed_code_.begin(); it != changed_code_.end();) {
      const uint64_t start = *it;
      uint64_t end = start + kPage;
      while (++it != changed_code_.end() && *it == end) end += kPage;
      if (is_fixed_code(start, end)) f(start, end);
    }
  }

  // In a fork's child, with the lock held: what of [start, end) is in the store comes in with its neighbours.
  void bring_stored(uint64_t start, uint64_t end);

  CallSites call_sites{*this};
  // For call_sites, with the lock held: code of a private file mapping that the guest cannot write; changes it (`shared`:
  // others may be executing it); a mapping of the monitor's own within `reach` of `near`, 0 without room.
  bool is_fixed_code(uint64_t start, uint64_t end);
  bool is_owned_code(uint64_t start, uint64_t end);  // ... and its pages are the process's own
  bool write_code(uint64_t at, const uint8_t (&code)[kCallSiteBytes], bool shared);
  uint64_t map_hidden(uint64_t near, uint64_t bytes, uint64_t reach);
  void unmap_hidden(uint64_t start, uint64_t bytes);

  // Whether programs' code is shared in copies (memory/code_store.h), and a change of [start, end) made from outside of
  // the guest, against its protection, which has to show in spite of it.
  bool stores_code() const { return code_store_.attached(); }
  uint64_t code_alignment() const { return stores_code() ? kCodeAlignment : kPage; }
  template <class F>
  int64_t change_beneath(uint64_t start, uint64_t end, F&& change) {
    Guard guard(lock);
    leave_for_good(start, end);
    return change();
  }

  // Pages of a private file mapping become the process's own at once, and come in groups (memory/write_key.h).
  void own_pages(uint64_t start, uint64_t bytes);
  // Layout, set by the program loader.
  uint64_t mmap_top = 0;
  uint64_t brk_start = 0, brk_now = 0;
  uint64_t stack_top = 0, stack_floor = 0;  // the floor: how far the stack may grow
  uint64_t vdso = 0;
  uint64_t arg_start = 0, arg_end = 0, env_start = 0, env_end = 0, auxv_address = 0;
  uint64_t code_start = 0, code_end = 0, data_start = 0, data_end = 0;
  uint64_t loader_start = 0, loader_end = 0;  // the dynamic loader's code
  // What mlockall said of mappings to come.
  enum class LockFuture : uint8_t { kNo, kAtOnce, kOnFault };
  LockFuture lock_future = LockFuture::kNo;
  uint64_t membarriers = 0;  // MEMBARRIER_CMD_REGISTER_... that the guest made
  bool huge_runs = true;  // large anonymous mappings ask for huge pages by themselves

  // Tells `tine regions` where the mappings are (fork/board.h).
  void show_on_board();

  // For the loader, which runs before any thread does: registers a mapping made on the host.
  void insert(const Vma& vma);
  // The same with page tables, for a mapping that took the place of another.
  void replace(const Vma& vma);
  // Fills page tables for [start, end) as its mappings say, making extents.
  void populate_tables(uint64_t start, uint64_t end);
  const std::map<uint64_t, Extent>& extents() const { return extents_; }

 private:
  using VmaMap = std::map<uint64_t, Vma>;

  VmaMap::iterator find(uint64_t address);  // the mapping that holds `address`, or end
  void carve(uint64_t start, uint64_t end);     // removes [start, end) from the map, splitting
  void split_at(uint64_t address);
  void merge_around(uint64_t start, uint64_t end);
  uint64_t search(uint64_t bytes, uint64_t alignment, uint64_t low, uint64_t high);
  bool is_free(uint64_t start, uint64_t bytes);
  bool is_free_of_guests(uint64_t start, uint64_t bytes);  // ... but for hidden mappings
  bool add_extent(uint64_t start, uint64_t end);
  bool sync_pools();
  int64_t check_limits(Thread& t, uint64_t bytes, uint32_t prot, uint32_t flags, uint64_t replaced);
  int64_t unmap_locked(uint64_t start, uint64_t bytes);
  int64_t map_locked(Thread& t, MapRequest request);
  void fill(uint64_t start, uint64_t end, uint32_t prot);
  void withdraw(uint64_t start, uint64_t bytes);  // from the page tables; the host's mapping must change next
  bool enter_store(uint64_t start, uint64_t end, uint32_t prot, int fd, uint64_t offset);
  void leave_store(uint64_t start, uint64_t end);
  void leave_for_good(uint64_t start, uint64_t end);
  bool in_store(uint64_t address) const;
  bool fill_run(const Vma& vma, uint64_t page, bool written);
  bool own_shared(Thread& t, const Vma& vma, uint64_t page);
  void forget_shared(uint64_t start, uint64_t end);
  void bring_in(uint64_t start, uint64_t bytes, uint32_t prot);
  void bring_symbols(uint64_t text, int fd);
  void note_whole_file(uint64_t at, const MapRequest& q);
  void own_group(uint64_t data);
  int64_t protect_host(const Vma& vma, uint32_t old, uint32_t prot);
  uint64_t data_bytes();
  bool exceeds_data_limit(const Process& process, uint64_t more, uint32_t prot, uint32_t flags);

  // What the page tables find in the store instead of in the mapping: where it ends, and where it begins there.
  struct Stored {
    uint64_t end, at;
  };
  // The last mapping of a whole file by a loader, which puts the segments over it.
  struct WholeFile {
    uint64_t start = 0, end = 0, offset = 0, device = 0, inode = 0;
  };

  VmaMap vmas_;
  CodeStore code_store_;
  std::map<uint64_t, Stored> stored_;
  WholeFile whole_file_;
  std::set<uint64_t> changed_code_;  // pages
  // Memory that came in a run lately (fill_run).
  struct Run {
    uint64_t mapping = 0, start = 0, end = 0;
  };
  Run runs_[8];
  uint32_t next_run_ = 0;
  // What a fork shared, from start to end, and the last places where it became the process's own.
  std::map<uint64_t, uint64_t> shared_;
  struct Window {
    uint64_t start = 0, end = 0, bytes = 0;
  };
  Window windows_[8];
  uint32_t next_window_ = 0;
  uint64_t copied_alone_ = 0;
  bool written_by_others_ = false;  // the kernel may write memory on its own (AIO)
  std::map<uint64_t, Extent> extents_;
  PageTables tables_;
  uint32_t pool_slots_ = 0;
  GuestPhys next_physical_{0};
  uint64_t mapped_bytes_ = 0;
  uint64_t search_from_ = ~0ull;  // search(): where the last one ended
  uint64_t widest_skipped_ = 0;   // and the widest gap above
  uint64_t extent_bytes_ = 0;
  bool suspicious_ = false;
  bool membarrier_ready_ = false;
  bool grows_down_ = false;  // has or had a MAP_GROWSDOWN mapping beside the stack
};

// Host protection for a guest mapping: never executable; write implies read as on x86.
constexpr int host_prot(uint32_t prot) {
  if (!(prot & (PROT_READ | PROT_WRITE | PROT_EXEC))) return PROT_NONE;
  return PROT_READ | (prot & PROT_WRITE ? PROT_WRITE : 0);
}

}  // namespace tine
