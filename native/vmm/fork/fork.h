// A forked child's memory: which strategy gives it, one file a strategy (fork/README.md).
#pragma once
#include "arch/arch.h"
#include "fork/word.h"
#include "memory/address_space.h"
#include "process/thread.h"

namespace tine {

// What somebody may ask for, in the order of the command line's words.
enum class Strategy : int { kAuto, kCow, kSelectiveCow, kRegionCopy };

// The host's fork has shared every page copy-on-write, at one instant. A strategy says which mappings the child gets
// pages of its own for before it runs; nullptr: none.
struct ForkStrategy {
  const char* name;
  bool (*copies)(const Vma& vma);
};
extern const ForkStrategy kCopyOnWrite, kSelectiveCopyOnWrite, kCopyRegions;

// The one in force for a process: what was asked for, else what the process is.
const ForkStrategy& fork_strategy(const Process& process);

struct ForkChild {
  Thread& thread;
  const CpuState& state;     // the parent's registers at the call
  bool shares_descriptors;   // CLONE_FILES: the parent's descriptors are not ours to close
  ForkWord& word;            // the parent waits for it
};

// Runs in the child, right after the host fork: gives it a machine of its own over its memory, its one thread a
// vCPU with the parent's registers. 0 or -errno.
int64_t give_memory_to_child(ForkChild& child);

// For strategies that copy, in the child, while nothing of it runs: every page of the
// chosen mappings that the host's fork shares becomes the child's alone. Bytes copied, or -errno.
int64_t copy_shared_pages(Process& process, bool (*chosen)(const Vma& vma));

// Once it runs: [start, end) of a mapping, within one huge page, is about to be written. What is shared there becomes the process's
// own; `alone`: nothing else can write this memory meanwhile, so that whole huge pages stay such. False: nothing was
// shared, and nothing is from `start` to what is now `end`, at most to `limit`.
bool own_pages_after_fork(Process& process, uint64_t start, uint64_t& end, const Vma& vma, uint64_t limit, bool alone);

// On either side: what the thread writes first becomes its process's own.
void bring_back_after_fork(Thread& t, bool child);

// Makes the first KVM_RUN of a new machine in a helper that ends at once. Since Linux 6.14 the first run starts a
// kernel thread in the caller's thread group, which would be visible, counted by the pids limit, and in the way of
// unshare(CLONE_NEWUSER); in the helper it goes with it. Both need room under the pids limit and RLIMIT_NPROC for a
// moment: -EAGAIN where none came within `patience` pauses of 5 ms, else 0.
constexpr int kBriefly = 4, kPatience = 6000;
int64_t first_run_in_helper(Vcpu& vcpu, int patience);
// The helper may still be ending when the guest runs: `wait` for it, or reap it if it is over.
void await_helper(Process& process, bool wait);

}  // namespace tine
