// clone, clone3, fork and vfork: from each call's arguments to one request.
#include <linux/sched.h>
#include <signal.h>

#include <cerrno>

#include "arch/arch.h"
#include "memory/guest_copy.h"
#include "process/clone.h"
#include "syscall/handlers.h"

namespace tine {

int64_t sys_clone(Call& c) {
  CloneRequest q;
  q.flags = c.a[0] & 0xffffffff & ~static_cast<uint64_t>(CSIGNAL | CLONE_DETACHED);
  q.exit_signal = c.a[0] & CSIGNAL;
  if (q.flags & CLONE_PIDFD) {
    if ((q.flags & CLONE_PARENT_SETTID) || (c.a[0] & CLONE_DETACHED)) return -EINVAL;
    q.pidfd = c.ptr(2);  // the old call keeps it in the parent_tid argument
  }
  // clone3 wants no exit signal where the old call ignored it.
  if (q.flags & (CLONE_THREAD | CLONE_PARENT)) q.exit_signal = 0;
  if (q.exit_signal > kSignals) q.exit_signal = 0;
  q.stack = c.ptr(1);
  q.parent_tid = c.ptr(2);
  q.child_tid = c.ptr(kCloneChildTid);
  q.tls = c.a[kCloneTls];
  return clone_any(c, q);
}

int64_t sys_clone3(Call& c) {
  uint64_t size = c.a[1];
  if (size < CLONE_ARGS_SIZE_VER0) return -EINVAL;
  if (size > kPage) return -E2BIG;
  clone_args a{};
  uint8_t extra[kPage];
  uint64_t known = size < sizeof a ? size : sizeof a;
  if (!copy_in(&a, c.ptr(0), known)) return -EFAULT;
  if (size > sizeof a) {
    if (!copy_in(extra, c.ptr(0) + sizeof a, size - sizeof a)) return -EFAULT;
    for (uint64_t i = 0; i < size - sizeof a; i++)
      if (extra[i]) return -E2BIG;
  }
  if (a.flags & (CLONE_DETACHED | (CSIGNAL & ~static_cast<uint64_t>(CLONE_NEWTIME)))) return -EINVAL;
  if ((a.flags & (CLONE_THREAD | CLONE_PARENT)) && a.exit_signal) return -EINVAL;
  if ((a.flags & CLONE_SIGHAND) && (a.flags & CLONE_CLEAR_SIGHAND)) return -EINVAL;
  if (a.exit_signal > kSignals) return -EINVAL;
  if ((a.stack == 0) != (a.stack_size == 0) || (a.set_tid == 0) != (a.set_tid_size == 0)) return -EINVAL;
  if (a.stack && !guest_range_ok(a.stack, a.stack_size)) return -EINVAL;
  CloneRequest q;
  q.flags = a.flags;
  q.exit_signal = a.exit_signal;
  q.pidfd = {a.pidfd};
  q.child_tid = {a.child_tid};
  q.parent_tid = {a.parent_tid};
  q.stack = {a.stack + a.stack_size};
  q.tls = a.tls;
  q.set_tid = {a.set_tid};
  q.set_tid_size = a.set_tid_size;
  q.cgroup = a.cgroup;
  return clone_any(c, q);
}

int64_t sys_fork(Call& c) {
  CloneRequest q;
  q.exit_signal = SIGCHLD;
  return clone_any(c, q);
}

int64_t sys_vfork(Call& c) {
  CloneRequest q;
  q.flags = CLONE_VFORK | CLONE_VM;
  q.exit_signal = SIGCHLD;
  return clone_any(c, q);
}

}  // namespace tine
