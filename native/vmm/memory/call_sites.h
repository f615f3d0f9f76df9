// Call sites that jump to the system call stub instead of trapping into it.
//
// Where KVM is PVM the `syscall` instruction alone costs 1 to 35 µs. Once a site has made two calls, or before the program
// starts where it is the dynamic loader's, its code is changed
// into a jump to a *slot* near by, which goes on to the vCPU's own stub (kSelfVirtual). Slots lie in hidden mappings that
// the guest's own memory calls pass over. Only private mappings of files that the guest may execute and not write are
// changed, in the process's own copy of the page. What may be changed, and how, is the architecture's
// (arch/ARCH/call_sites.cc); docs/exitless.md says why no program can tell, but for one that reads its own code.
#pragma once
#include <atomic>
#include <cstdint>
#include <map>
#include <vector>

#include "arch/arch.h"
#include "memory/loader_sites.h"

namespace tine {

class AddressSpace;

class CallSites {
 public:
  explicit CallSites(AddressSpace& space) : space_(space) {}

  // A call was made by the instruction that ends at `back`. Takes the space's lock at most twice for one site. True: nothing
  // more will be done about it.
  bool note(Thread& t, uint64_t back, uint32_t number);
  // What `note` would say now, without any change.
  bool is_settled(uint64_t back) const;
  // The sites of a dynamic loader that has just been mapped: code at [start, start + bytes), its unwind table behind `unwind`.
  void change_loader(LoaderSites& known, uint64_t start, uint64_t bytes, uint64_t unwind, uint64_t unwind_bytes);
  // Where to go on after an exception that only changed code can have brought, at `ip`. 0: it is the program's own.
  uint64_t continuation(uint64_t ip);
  // The address in the program's own code that `ip`, perhaps in a slot, stands for.
  uint64_t original(uint64_t ip);
  // The guest maps something over [start, end): sites whose slots lie there get their code back. With the lock held.
  void leave(uint64_t start, uint64_t end);
  // How often that gave slots up. A call that began before would go back into one: where it goes on instead.
  uint32_t times_left() const { return times_left_.load(std::memory_order_acquire); }
  uint64_t return_after_leaving(uint64_t ip);
  // Code in [start, end) moves, and its jumps would lead elsewhere: it is as the file has it. With the lock held.
  void restore(uint64_t start, uint64_t end);

 private:
  struct Region {
    uint64_t start;
    std::vector<uint64_t> sites;  // by slot: the site's address, or 0
  };
  void put_back(const CallSite& site);
  bool patch(Thread& t, uint64_t back, uint32_t number);
  bool change(CallSite& site, bool shared);
  bool find_slot(const CallSite& site, Region*& region, uint32_t& index);
  Region* new_region(uint64_t near);
  CallSite* site_of_slot(uint64_t ip);
  const CallSite* site_of_call(uint64_t back) const;

  static constexpr uint32_t kRemembered = 512;
  AddressSpace& space_;
  std::atomic<uint64_t> done_[kRemembered] = {};  // changed, or found unfit
  std::atomic<uint64_t> once_[kRemembered] = {};  // called once
  std::map<uint64_t, CallSite> sites_;            // by the address of the changed code
  std::vector<Region> regions_;
  std::map<uint64_t, CallSite> gone_;  // by the slot that is no more
  std::atomic<uint32_t> times_left_{0};
  std::atomic<bool> any_{false};
};

}  // namespace tine
