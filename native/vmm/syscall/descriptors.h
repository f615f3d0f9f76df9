// Descriptor numbers: which are the guest's, which are the monitor's.
#pragma once
#include <errno.h>

#include "process/thread.h"
#include "syscall/call.h"
#include "syscall/descriptor_gate.h"

namespace tine {

// The monitor's numbers look closed to the guest.
inline bool is_hidden(const Thread& thread, int64_t fd) { return thread.process->owns(static_cast<int>(fd)); }

// Whether the guest's RLIMIT_NOFILE has no place for a number. Asked of the host only where it would be refused.
bool is_beyond_limit(Thread& thread, uint64_t fd);

// A new descriptor's number as the guest may see it: beyond its RLIMIT_NOFILE, or inside the monitor's block,
// it is closed again and the answer is EMFILE. Passes errors through.
int64_t limit_descriptor(Thread& thread, int64_t result);

// The same, for one that may be a file of procfs or (through a magic link) one of the monitor's: received by
// SCM_RIGHTS, by pidfd_getfd, by a file handle. 0 to keep it, or -errno after closing it.
int64_t admit_descriptor(Thread& thread, int fd);

inline DescriptorCall hold_gate(Thread& thread) {
  return DescriptorCall(thread.process->descriptor_gate, thread.process->thread_count.load() > 1);
}
inline void pass_gate(Thread& thread) {
  if (thread.process->thread_count.load() > 1) thread.process->descriptor_gate.wait_open();
}

}  // namespace tine
