// clone in its three forms: a thread, a child that shares memory (vfork), and a fork.
#include <linux/sched.h>
#include <signal.h>

#include <cerrno>
#include <cstring>
#include <new>

#include "arch/arch.h"
#include "fork/board.h"
#include "fork/fork.h"
#include "fork/word.h"
#include "host/clock.h"
#include "host/raw.h"
#include "host/report.h"
#include "kvm/answers.h"
#include "kvm/runner.h"
#include "kvm/vcpu.h"
#include "memory/address_space.h"
#include "memory/guest_copy.h"
#include "process/clone.h"
#include "process/descriptors.h"
#include "process/threads.h"
#include "seccomp/chain.h"
#include "signal/signal.h"
#include "syscall/handlers.h"

extern "C" int64_t tine_clone3(clone_args* args, size_t size, void (*run)(void*), void* argument);

namespace tine {
namespace {

// Served by the monitor itself, not by the kernel: the host's thread pointer is the monitor's, the word that the
// kernel clears marks the monitor's stack as free, and the monitor's own handlers stay.
constexpr uint64_t kOwnFlags = CLONE_SETTLS | CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID | CLONE_CLEAR_SIGHAND;

struct HostArguments {
  clone_args args{};
  pid_t set_tid[32];
};

int64_t host_arguments(const CloneRequest& q, HostArguments& host) {
  host.args.flags = q.flags & ~kOwnFlags;
  host.args.exit_signal = q.exit_signal;
  host.args.pidfd = hp(q.pidfd);
  host.args.parent_tid = hp(q.parent_tid);
  host.args.cgroup = q.cgroup;
  if (q.set_tid_size > 32) return -EINVAL;
  if (q.set_tid_size) {
    if (!copy_in(host.set_tid, q.set_tid, q.set_tid_size * sizeof(pid_t))) return -EFAULT;
    host.args.set_tid = arg(host.set_tid);
    host.args.set_tid_size = q.set_tid_size;
  }
  return 0;
}

void inherit(Thread& child, const Thread& parent) {
  child.mask = parent.mask;
  child.seccomp = seccomp_retain(parent.seccomp);
  child.seccomp_mode = parent.seccomp_mode;
  child.no_new_privs = parent.no_new_privs;
}

// First steps of a child that shares the parent's memory, on its own host thread.
struct Start {
  Thread* thread;
  uint64_t flags;
  GuestAddr child_tid;
};

void reset_caught_signals(SignalHandlers& handlers) {
  for (int number = 1; number <= kSignals; number++) {
    GuestAction& action = handlers.action[number - 1];
    if (action.handler == 1) continue;
    if (action.handler > 1) {
      action = GuestAction{};
      set_host_action(number, action);
    }
  }
}

void child_main(void* raw_start) {
  Start start = *static_cast<Start*>(raw_start);
  Thread& t = *start.thread;
  t.tid = static_cast<int>(raw(SYS_gettid));
  if (!(start.flags & CLONE_THREAD)) t.process->pid = static_cast<int>(raw(SYS_getpid));
  if (start.flags & CLONE_CLEAR_SIGHAND) reset_caught_signals(*t.process->handlers);
  if (start.flags & CLONE_CHILD_SETTID) (void)put(start.child_tid, t.tid);
  set_guest_mask(t, t.mask);
  run_thread(t);
}

int64_t start_host_thread(Start& start, const CloneRequest& q) {
  HostArguments host;
  if (int64_t result = host_arguments(q, host)) return result;
  uint8_t* base = start.thread->stack_block;
  host.args.stack = arg(base);
  // The Start is read before the parent may go on and drop it.
  auto* copy = reinterpret_cast<Start*>(base + kMonitorStack - sizeof(Start) - 64);
  *copy = start;
  host.args.stack_size = (kMonitorStack - 256) & ~63ull;
  host.args.flags |= CLONE_CHILD_CLEARTID;
  host.args.child_tid = arg(alive_word(start.thread));
  AllSignalsBlocked blocked;
  return tine_clone3(&host.args, sizeof host.args, child_main, copy);
}

void drop_process(Process* p) {
  p->space->references.fetch_sub(1);
  if (p->handlers->references.fetch_sub(1) == 1) delete p->handlers;
  delete p;
}

// What tasks of other processes that shared this memory left behind in it.
void take_back_from_ended(Process& p) {
  while (Thread* gone = ended_ownerless_thread()) {
    Process* process = gone->process;
    // It may have been killed in the middle of something.
    release_locks_of(*gone, p);
    seccomp_release(gone->seccomp);
    if (gone->vcpu) p.space->vm.park(gone->vcpu);
    release_thread_block(gone);
    if (!has_thread_blocks(process)) drop_process(process);
  }
}

int64_t clone_thread(Thread& t, const CloneRequest& q) {
  Process& p = *t.process;
  Thread* child = new_thread_block();
  if (!child) return -ENOMEM;
  p.thread_count.fetch_add(1);
  int64_t result;
  child->vcpu = p.space->vm.acquire(p, result);
  if (child->vcpu) {
    alignas(64) CpuState state;
    result = save_cpu_state(*t.vcpu, state);
    if (!is_error(result)) result = restore_cpu_state(*child->vcpu, state);
    if (!is_error(result)) {
      child_guest_registers(*child->vcpu, q.stack, q.flags & CLONE_SETTLS, q.tls);
      child->process = &p;
      inherit(*child, t);
      if (q.flags & CLONE_CHILD_CLEARTID) child->clear_child_tid = q.child_tid;
      list_thread(*child);
      if (p.shares_memory) disown_thread_block(child);
      Start start{child, q.flags, q.child_tid};
      result = start_host_thread(start, q);
      if (!is_error(result)) return result;
      unlist_thread(*child);
      seccomp_release(child->seccomp);
    }
    p.space->vm.park(child->vcpu);
  }
  p.thread_count.fetch_sub(1);
  release_thread_block(child);
  return result;
}

Process* copy_process(Process& p, bool share_handlers) {
  auto* copy = new Process;
  copy->space = p.space;
  p.space->references.fetch_add(1);
  if (share_handlers) {
    copy->handlers = p.handlers;
    p.handlers->references.fetch_add(1);
  } else {
    copy->handlers = new SignalHandlers;
    Guard guard(p.handlers->lock);
    std::memcpy(copy->handlers->action, p.handlers->action, sizeof copy->handlers->action);
  }
  inherit_process_state(*copy, p);
  copy->shares_memory = true;
  return copy;
}

// vfork and its like: the child lives in the parent's memory until it executes or ends. While the parent sleeps
// in the kernel the child runs on the parent's own vCPU, so it costs no machine.
int64_t clone_sharing_memory(Thread& t, const CloneRequest& q) {
  bool borrow = q.flags & CLONE_VFORK;
  Thread* child = new_thread_block();
  if (!child) return -ENOMEM;
  Process* process = copy_process(*t.process, q.flags & CLONE_SIGHAND);
  if (q.flags & CLONE_NEWUSER) process->may_be_mapped = true;
  if (q.flags & CLONE_FILES) t.process->shares_files = process->shares_files = true;
  child->process = process;
  process->threads = child;
  inherit(*child, t);
  child->alternate_stack = borrow ? t.alternate_stack : stack_t{};
  if (q.flags & CLONE_CHILD_CLEARTID) child->clear_child_tid = q.child_tid;
  alignas(64) CpuState state;
  int64_t result = save_cpu_state(*t.vcpu, state);
  if (!is_error(result)) {
    child->vcpu = borrow ? t.vcpu : t.process->space->vm.acquire(*t.process, result);
    if (child->vcpu && !borrow) {
      process->own() = t.process->own();
      result = restore_cpu_state(*child->vcpu, state);
    }
  }
  if (!is_error(result)) {
    child_guest_registers(*child->vcpu, q.stack, q.flags & CLONE_SETTLS, q.tls);
    Start start{child, q.flags, q.child_tid};
    t.lends_vcpu = borrow;
    if (!borrow) disown_thread_block(child);
    if (q.flags & CLONE_SIGHAND) forget_actions(*t.process);
    result = start_host_thread(start, q);
    t.lends_vcpu = false;
    if (borrow) {
      // The child has left this memory, perhaps killed in the middle of something.
      release_locks_of(*child, *t.process);
      t.vcpu->run->immediate_exit = t.pending ? 1 : 0;
      if (is_error(restore_cpu_state(*t.vcpu, state))) die_of_broken_state("the processor's state could not be set after a vfork");
      forget_notes(t);
      give_answers(t);
      for (uint32_t i = 0; i < process->met; i++) note_call_site(t, process->met_sites[i].back, process->met_sites[i].number);
    }
  }
  if (is_error(result) || borrow) {
    seccomp_release(child->seccomp);
    release_thread_block(child);
    // Threads that the child made may be about to end.
    if (!has_thread_blocks(process)) drop_process(process);
  }
  return result;
}

// A child that got no machine never was: it is reaped, and its signal and descriptor are taken back.
void forget_stillborn(const CloneRequest& q, int child) {
  int status;
  while (raw(SYS_wait4, static_cast<uint64_t>(child), arg(&status), __WALL, 0) == -EINTR) {
  }
  SignalSet pending = 0;
  const SignalSet its = q.exit_signal ? signal_bit(static_cast<int>(q.exit_signal)) : 0;
  if (raw(SYS_rt_sigpending, arg(&pending), 8) == 0 && (pending & its)) {
    siginfo_t info{};
    const timespec at_once{};
    const int64_t taken = raw(SYS_rt_sigtimedwait, arg(&its), arg(&info), arg(&at_once), 8);
    // Signals of that number do not queue: another child's would have been lost in this one's.
    if (taken > 0 && info.si_pid != child) raw(SYS_kill, static_cast<uint64_t>(raw(SYS_getpid)), q.exit_signal);
  }
  int32_t descriptor;
  if ((q.flags & CLONE_PIDFD) && get(descriptor, q.pidfd)) raw(SYS_close, static_cast<uint64_t>(descriptor));
}

int64_t clone_process(Thread& t, const CloneRequest& q) {
  HostArguments host;
  if (int64_t result = host_arguments(q, host)) return result;
  alignas(64) CpuState state;
  int64_t result = save_cpu_state(*t.vcpu, state);
  if (is_error(result)) return result;
  if (q.flags & CLONE_FILES) t.process->shares_files = true;
  ForkWord word;
  if (word.error()) return word.error();
  ForkChild child{t, state, (q.flags & CLONE_FILES) != 0, word};
  AllSignalsBlocked blocked;
  t.process->space->share_for_fork();
  lock_for_fork(t);
  const uint64_t began = arch_ticks();
  result = raw(SYS_clone3, arg(&host.args), sizeof host.args);
  if (result > 0) __atomic_fetch_add(&board.forks, 1, __ATOMIC_RELAXED);
  unlock_after_fork(t);
  if (is_error(result)) return result;
  if (result) {
    bring_back_after_fork(t, false);  // while the child's machine is being made
    const int64_t failure = word.hear(static_cast<int>(result));
    show_fork(arch_ticks() - began);
    if (!failure) return result;
    forget_stillborn(q, static_cast<int>(result));
    return failure == -ENOMEM ? failure : -EAGAIN;
  }

  Process& p = *t.process;
  t.tid = static_cast<int>(raw(SYS_gettid));
  p.pid = static_cast<int>(raw(SYS_getpid));
  p.descriptor_gate.reset();
  settle_descriptor_limit(p);
  p.shares_memory = false;
  p.helper.store(0);
  p.helper_user = p.helper_system = 0;
  p.handlers->references.store(1);
  p.space->references.store(1);
  forget_runner(t);
  forget_other_threads(t);
  t.clear_child_tid = q.flags & CLONE_CHILD_CLEARTID ? q.child_tid : GuestAddr{0};
  t.robust_list = {0};
  t.held = 0;
  if (q.flags & CLONE_CLEAR_SIGHAND) reset_caught_signals(*p.handlers);
  if (q.flags & CLONE_CHILD_SETTID) (void)put(q.child_tid, t.tid);
  result = give_memory_to_child(child);
  if (result) {
    // Where the parent was told that all is well, the child dies as by the kernel's own hand.
    await_helper(p, true);  // an init would find it among its children
    if (!word.tell(result)) report("no machine for a forked child: error %ld", static_cast<long>(-result));
    raw(SYS_kill, static_cast<uint64_t>(p.pid), SIGKILL);
    raw(SYS_exit_group, 128 + SIGKILL);
  }
  child_guest_registers(*t.vcpu, q.stack, q.flags & CLONE_SETTLS, q.tls);
  if (q.flags & CLONE_NEWUSER) p.may_be_mapped = true;
  give_answers(t);
  return 0;
}

int64_t clone_once(Thread& t, const CloneRequest& q) {
  const bool shares = q.flags & (CLONE_THREAD | CLONE_VM);
  if (shares) take_back_from_ended(*t.process);
  const int64_t result = q.flags & CLONE_THREAD ? clone_thread(t, q) : shares ? clone_sharing_memory(t, q) : clone_process(t, q);
  // Descriptors are what a vCPU may lack. A task lacks room.
  return shares && (result == -EMFILE || result == -ENFILE) && !(q.flags & CLONE_PIDFD) ? -EAGAIN : result;
}

}  // namespace

int64_t clone_any(Call& c, const CloneRequest& q) {
  Thread& t = c.thread;
  unpair(t);
  if (q.flags & (CLONE_THREAD | CLONE_SIGHAND)) share_actions(t);
  int64_t result = clone_once(t, q);
  // The runner takes a place under the pids limit and RLIMIT_NPROC that the guest's own task may need.
  if (result == -EAGAIN && t.pairing.runner) {
    retire_runner(t);
    result = clone_once(t, q);
  }
  // So do the runners of the container's other processes, which end when nobody has needed them for a while. By the
  // clock: an attempt that finds no room for the machine takes its time too.
  constexpr timespec kPause{0, 5'000'000};
  const int64_t began = monotonic_now();
  for (bool again = t.process->exitless != static_cast<int>(Exitless::kOff); result == -EAGAIN && again;) {
    raw(SYS_nanosleep, arg(&kPause), 0);
    again = monotonic_now() - began < kRunnerUnneeded + kPause.tv_nsec;
    result = clone_once(t, q);
  }
  return result;
}

}  // namespace tine
