// seccomp(2), and prctl(2) with the options that concern it.
#include <errno.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>

#include "arch/arch.h"
#include "host/raw.h"
#include "memory/guest_copy.h"
#include "process/thread.h"
#include "seccomp/seccomp.h"

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif

namespace tine {
namespace {

// struct sock_fprog of a 64-bit guest.
struct GuestProgram {
  uint16_t length;
  uint16_t padding[3];
  uint64_t filter;
};

constexpr uint64_t kKnownFlags = SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_LOG | SECCOMP_FILTER_FLAG_SPEC_ALLOW |
                                 SECCOMP_FILTER_FLAG_TSYNC_ESRCH;

bool has_sys_admin() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct sets[2]{};
  if (is_error(raw(SYS_capget, arg(&header), arg(sets)))) return false;
  return sets[CAP_SYS_ADMIN / 32].effective >> (CAP_SYS_ADMIN % 32) & 1;
}

bool descends_from(const SeccompChain* chain, const SeccompChain* ancestor) {
  if (!ancestor) return true;
  for (; chain; chain = chain->previous)
    if (chain == ancestor) return true;
  return false;
}

void set_chain(Thread& thread, SeccompChain* chain) {
  SeccompChain* old = __atomic_exchange_n(&thread.seccomp, chain, __ATOMIC_ACQ_REL);
  __atomic_store_n(&thread.seccomp_mode, SECCOMP_MODE_FILTER, __ATOMIC_RELEASE);
  // Never the last reference: the new chain has the old one among its ancestors.
  seccomp_release(old);
}

// A strict thread has a chain too, so that whoever asks whether there is one need not know of the mode.
SeccompChain* strict_chain() {
  const sock_filter kill[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_THREAD)};
  return seccomp_extend(nullptr, kill);
}

int64_t set_strict(Call& call) {
  Thread& thread = call.thread;
  Guard guard(thread.process->threads_lock);
  if (thread.seccomp_mode == SECCOMP_MODE_FILTER) return -EINVAL;
  if (!thread.seccomp) thread.seccomp = strict_chain();
  thread.seccomp_mode = SECCOMP_MODE_STRICT;
  return 0;
}

// The process's threads_lock is held while filters change: it orders the changes, as sighand->siglock does in the
// kernel, and a fork takes it, so that a child never finds one half made.
template <class Visit>
void for_each_thread(Process& process, Visit visit) {
  for (Thread* thread = process.threads; thread; thread = thread->next) visit(*thread);
}

// Of the other threads, one whose filters are not a start of the caller's: its tid, or 0.
int thread_that_cannot_follow(Thread& caller) {
  int found = 0;
  for_each_thread(*caller.process, [&](Thread& other) {
    if (found || &other == &caller || other.seccomp_mode == SECCOMP_MODE_DISABLED) return;
    if (other.seccomp_mode != SECCOMP_MODE_FILTER || !descends_from(caller.seccomp, other.seccomp)) found = other.tid;
  });
  return found;
}

int64_t set_filter(Call& call, uint64_t flags, GuestAddr argument) {
  Thread& thread = call.thread;
  if (flags & ~kKnownFlags) return -EINVAL;
  GuestProgram header{};
  if (!get(header, argument)) return -EFAULT;
  if (header.length == 0 || header.length > BPF_MAXINSNS) return -EINVAL;
  if (!thread.no_new_privs && !has_sys_admin()) return -EACCES;
  std::vector<sock_filter> program(header.length);
  if (!copy_in(program.data(), {header.filter}, program.size() * sizeof(sock_filter))) return -EFAULT;
  if (int64_t bad = bpf_check(program)) return bad;

  Guard guard(thread.process->threads_lock);
  if (thread.seccomp_mode == SECCOMP_MODE_STRICT) return -EINVAL;
  if (flags & SECCOMP_FILTER_FLAG_TSYNC)
    if (int tid = thread_that_cannot_follow(thread)) return flags & SECCOMP_FILTER_FLAG_TSYNC_ESRCH ? -ESRCH : tid;
  SeccompChain* chain = seccomp_extend(seccomp_retain(thread.seccomp), program);
  if (!chain) {
    seccomp_release(thread.seccomp);
    return -ENOMEM;
  }
  set_chain(thread, chain);
  if (flags & SECCOMP_FILTER_FLAG_TSYNC)
    for_each_thread(*thread.process, [&](Thread& other) {
      if (&other == &thread) return;
      set_chain(other, seccomp_retain(chain));
      if (other.vcpu) arch_drop_answers(*other.vcpu, ~0u);
      if (thread.no_new_privs) other.no_new_privs = true;
    });
  return 0;
}

int64_t action_available(uint64_t flags, GuestAddr argument) {
  if (flags) return -EINVAL;
  uint32_t action = 0;
  if (!get(action, argument)) return -EFAULT;
  switch (action) {
    case SECCOMP_RET_KILL_PROCESS:
    case SECCOMP_RET_KILL_THREAD:
    case SECCOMP_RET_TRAP:
    case SECCOMP_RET_ERRNO:
    case SECCOMP_RET_TRACE:
    case SECCOMP_RET_LOG:
    case SECCOMP_RET_ALLOW:
      return 0;
  }
  return -EOPNOTSUPP;
}

int64_t set_no_new_privs(Call& call) {
  if (call.a[1] != 1 || call.a[2] || call.a[3] || call.a[4]) return -EINVAL;
  if (int64_t error = raw(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1)) return error;
  call.thread.no_new_privs = true;
  return 0;
}

}  // namespace

int64_t seccomp_call(Call& call) {
  const auto operation = static_cast<uint32_t>(call.a[0]);
  const uint64_t flags = static_cast<uint32_t>(call.a[1]);
  switch (operation) {
    case SECCOMP_SET_MODE_STRICT:
      return flags || call.a[2] ? -EINVAL : set_strict(call);
    case SECCOMP_SET_MODE_FILTER:
      return set_filter(call, flags, call.ptr(2));
    case SECCOMP_GET_ACTION_AVAIL:
      return action_available(flags, call.ptr(2));
  }
  return -EINVAL;  // SECCOMP_GET_NOTIF_SIZES too: no listeners
}

int64_t seccomp_prctl(Call& call) {
  switch (call.a[0]) {
    case PR_GET_SECCOMP:
      return call.thread.seccomp_mode;
    case PR_SET_SECCOMP:
      if (call.a[1] == SECCOMP_MODE_STRICT) return set_strict(call);
      if (call.a[1] == SECCOMP_MODE_FILTER) return set_filter(call, 0, call.ptr(2));
      return -EINVAL;
    case PR_GET_NO_NEW_PRIVS:
      if (call.a[1] || call.a[2] || call.a[3] || call.a[4]) return -EINVAL;
      return call.thread.no_new_privs;
    case PR_SET_NO_NEW_PRIVS:
      return set_no_new_privs(call);
  }
  return -EINVAL;
}

int64_t seccomp_load_container(Thread& thread, int fd) {
  std::vector<sock_filter> program(BPF_MAXINSNS + 1);
  const int64_t bytes = raw(SYS_pread64, fd, arg(program.data()), program.size() * sizeof(sock_filter), 0);
  if (is_error(bytes)) return bytes;
  if (bytes % sizeof(sock_filter) != 0) return -EINVAL;
  program.resize(bytes / sizeof(sock_filter));
  if (int64_t bad = bpf_check(program)) return bad;
  SeccompChain* chain = seccomp_extend(nullptr, program);
  if (!chain) return -ENOMEM;
  thread.process->container_seccomp = seccomp_retain(chain);
  thread.seccomp = chain;
  thread.seccomp_mode = SECCOMP_MODE_FILTER;
  return 0;
}

}  // namespace tine
