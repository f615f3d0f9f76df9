// The ends of threads and processes.
#include "host/raw.h"
#include "kvm/vcpu.h"
#include "memory/address_space.h"
#include "process/threads.h"
#include "seccomp/chain.h"
#include "signal/signal.h"
#include "syscall/handlers.h"

namespace tine {

int64_t sys_exit(Call& c) {
  Thread& t = c.thread;
  Process& p = *t.process;
  uint64_t code = c.a[0] & 0xff;
  leave_robust_list(t);
  // From here on nothing of the guest's may interrupt: the stack goes with the thread.
  SignalSet all = kAllSignals;
  raw(SYS_rt_sigprocmask, SIG_SETMASK, arg(&all), 0, 8);
  // The last thread's too: the process is there as long as its runner is.
  dismiss_runner(t);
  if (p.thread_count.fetch_sub(1) > 1 && !p.shares_memory) {
    seccomp_release(t.seccomp);
    p.space->vm.park(t.vcpu);
    unlist_thread(t);
  }
  // Last of all: whoever waits for this word believes the thread gone.
  clear_child_tid(t);
  raw(SYS_exit, code);
  __builtin_unreachable();
}

int64_t sys_exit_group(Call& c) {
  Process& p = *c.thread.process;
  uint64_t code = c.a[0] & 0xff;
  leave_robust_lists(p);
  if (p.shares_memory) clear_child_tid(c.thread);
  raw(SYS_exit_group, code);
  __builtin_unreachable();
}

int64_t sys_set_tid_address(Call& c) {
  c.thread.clear_child_tid = c.ptr(0);
  return c.thread.tid;
}

int64_t sys_set_robust_list(Call& c) {
  constexpr uint64_t kHeadBytes = 24;
  if (c.a[1] != kHeadBytes) return -22;
  c.thread.robust_list = c.ptr(0);
  return 0;
}

}  // namespace tine
