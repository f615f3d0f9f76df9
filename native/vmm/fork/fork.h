// A forked child's memory: which strategy gives it, one file a strategy (fork/README.md).
#pragma once
#include "arch/arch.h"
#include "process/thread.h"

namespace tine {

struct ForkChild {
  Thread& thread;
  const CpuState& state;     // the parent's registers at the call
  bool shares_descriptors;   // CLONE_FILES: the parent's descriptors are not ours to close
};

// Runs in the child, right after the host fork: gives it a machine of its own over its memory, its one thread a
// vCPU with the parent's registers. 0 or -errno.
int64_t give_memory_to_child(ForkChild& child);

// Makes the first KVM_RUN of a new machine in a helper that ends at once. Since Linux 6.14 the first run starts a
// kernel thread in the caller's thread group, which would be visible, counted by the pids limit, and in the way of
// unshare(CLONE_NEWUSER); in the helper it goes with it.
// `childless`: the process has no other children, so the helper can be reaped without counting in RUSAGE_CHILDREN.
void first_run_in_helper(Vcpu& vcpu, bool childless);

}  // namespace tine
