// Process calls that are neither creation nor end: personality, namespaces, robust lists, prctl's dispatch.
#include <linux/prctl.h>

#include <cerrno>

#include "kvm/answers.h"
#include "memory/guest_copy.h"
#include "process/thread.h"
#include "seccomp/seccomp.h"
#include "syscall/descriptors.h"
#include "syscall/handlers.h"
#include "syscall/prctl.h"

namespace tine {
namespace {

// Bits that would move the monitor's own layout at its next exec; the loader honours them for the guest.
constexpr uint32_t kLayoutBits = 0x0040000 /* ADDR_NO_RANDOMIZE */ | 0x0200000 /* ADDR_COMPAT_LAYOUT */ |
                                 0x0400000 /* READ_IMPLIES_EXEC */ | 0x0100000 /* MMAP_PAGE_ZERO */ |
                                 0x0800000 /* ADDR_LIMIT_32BIT */ | 0x8000000 /* ADDR_LIMIT_3GB */;

}  // namespace

int64_t sys_personality(Call& c) {
  Process& p = *c.thread.process;
  uint32_t old = p.personality, wanted = static_cast<uint32_t>(c.a[0]);
  if (wanted == 0xffffffff) return old;
  int64_t host = raw(SYS_personality, wanted & ~kLayoutBits);
  if (is_error(host)) return host;
  p.personality = wanted;
  return old;
}

// Some namespaces can only be left by a process with one task.
int64_t sys_unshare(Call& c) {
  retire_runner(c.thread);
  return host_call(c.thread, SYS_unshare, c.a[0]);
}

int64_t sys_setns(Call& c) {
  if (is_hidden(c.thread, c.fd(0))) return -EBADF;
  retire_runner(c.thread);
  return host_call(c.thread, SYS_setns, c.a[0], c.a[1]);
}

int64_t sys_get_robust_list(Call& c) {
  int tid = c.fd(0);
  Process& p = *c.thread.process;
  uint64_t head = 0;
  bool found = false;
  {
    Guard guard(p.threads_lock);
    for (Thread* t = p.threads; t; t = t->next)
      if (tid == 0 ? t == &c.thread : t->tid == tid) {
        take_notes(*t);
        head = t->robust_list.v;
        found = true;
      }
  }
  if (!found) {
    const int64_t there = raw(SYS_tkill, static_cast<uint64_t>(tid), 0);
    return there == 0 || there == -EPERM ? -EPERM : -ESRCH;
  }
  uint64_t length = 24;  // sizeof(struct robust_list_head)
  return put(c.ptr(1), head) && put(c.ptr(2), length) ? 0 : -EFAULT;
}

// As on a kernel without CONFIG_RSEQ: the area would have to be written by the host kernel at the host's addresses on
// every preemption of the guest's own code, which the host does not see.
int64_t sys_rseq(Call&) { return -ENOSYS; }

int64_t sys_sched_yield(Call& c) { return host_call(c.thread, SYS_sched_yield); }

int64_t sys_prctl(Call& c) {
  switch (static_cast<int>(c.a[0])) {
    case PR_SET_SECCOMP:
    case PR_GET_SECCOMP:
    case PR_SET_NO_NEW_PRIVS:
    case PR_GET_NO_NEW_PRIVS: return seccomp_prctl(c);
    default: return prctl_passthrough(c);
  }
}

}  // namespace tine
