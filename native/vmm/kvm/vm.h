// One KVM virtual machine: memory slots and vCPUs over an address space.
#pragma once
#include <linux/kvm.h>

#include <atomic>
#include <cstdint>
#include <vector>

#include "kvm/vcpu.h"
#include "memory/address.h"

namespace tine {

struct Process;

class Vm {
 public:
  int fd = -1;

  // Makes the machine. Descriptors go into the process's own block. 0 or -errno.
  int64_t create(Process& process);
  int64_t add_slot(GuestPhys at, HostAddr memory, uint64_t bytes);
  // A vCPU in user form with all registers zero: a parked one where there is one. `block_of` gives the CPU's
  // own pages by vCPU index. nullptr: out of resources, `error` says why.
  Vcpu* acquire(Process& process, int64_t& error);
  // A vCPU whose thread is gone waits here for the next one: KVM cannot destroy a vCPU alone.
  void park(Vcpu* vcpu);
  // After a fork, in the child: forgets everything that belongs to the parent's machine. `close_descriptors` is
  // false where the descriptor table is still the parent's too.
  void abandon(Process& process, bool close_descriptors);

  uint8_t* kernel_area = nullptr;  // host address of the first pool: descriptor tables, vCPU blocks
  GuestPhys root{0};               // page-table root
  // vCPUs that may have a root of their own, a copy of that one (arch/layout.h): whoever adds to the root adds to these.
  std::atomic<uint32_t> own_roots{0};

  // A vCPU's descriptor has another number now.
  void renumber(int from, int to);
  void lock_for_fork();
  void unlock_after_fork();
  void release_lock_of(uint32_t stack) { lock_.release_of(stack); }
  uint32_t vcpu_count() const { return next_index_; }

 private:
  Lock lock_;
  uint32_t next_slot_ = 0;
  uint32_t next_index_ = 0;
  Vcpu* parked_ = nullptr;
  std::vector<Vcpu*> all_;
};

// Bytes of a kvm_run mapping, asked once.
uint64_t kvm_run_bytes(int kvm_fd);

}  // namespace tine
