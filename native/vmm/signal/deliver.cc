// From a noted signal to a guest frame, and the deaths that signals bring.
#include <cerrno>
#include <cstring>

#include "arch/arch.h"
#include "fork/fork.h"
#include "kvm/answers.h"
#include "kvm/vcpu.h"
#include "signal/signal.h"

extern "C" {
[[noreturn]] void tine_fault_segv();
[[noreturn]] void tine_fault_ill();
[[noreturn]] void tine_fault_fpe();
[[noreturn]] void tine_fault_trap();
[[noreturn]] void tine_fault_bus();
}

namespace tine {

void restore_default_action(int number);
void leave_robust_lists(Process& process);

static constexpr SignalSet kEverySignal = kAllSignals;

void set_guest_mask(Thread& t, SignalSet mask) {
  t.mask = mask & ~(signal_bit(SIGKILL) | signal_bit(SIGSTOP));
  if (t.vcpu) answer_mask(t);
  if (t.pending) return;  // everything stays blocked until the frame is built
  for (int number : {SIGBUS, SIGSEGV}) {
    if (!(t.held & signal_bit(number)) || (t.mask & signal_bit(number))) continue;
    // Linux delivers these before all others: as if it had just arrived.
    t.held &= ~signal_bit(number);
    raw(SYS_rt_sigprocmask, SIG_SETMASK, arg(&kEverySignal), 0, 8);
    t.pending_info = t.held_info[number == SIGBUS];
    t.pending = number;
    if (t.vcpu) t.vcpu->interrupt();
    return;
  }
  SignalSet host = host_mask(t.mask);
  raw(SYS_rt_sigprocmask, SIG_SETMASK, arg(&host), 0, 8);
}

bool on_alternate_stack(const Thread& t, uint64_t sp) {
  if (!t.alternate_stack.ss_size || (t.alternate_stack.ss_flags & static_cast<int>(1u << 31))) return false;
  uint64_t low = reinterpret_cast<uint64_t>(t.alternate_stack.ss_sp);
  return sp > low && sp - low <= t.alternate_stack.ss_size;
}

void die_by_signal(Thread& t, int number) {
  leave_robust_lists(*t.process);
  await_helper(*t.process, true);
  // The monitor's own memory must not end up in a core file of the guest's directory.
  if (number != SIGSEGV && number != SIGBUS) restore_default_action(number);
  restore_default_action(SIGSEGV);
  restore_default_action(SIGBUS);
  SignalSet none = 0;
  bool init = raw(SYS_getpid) == 1;
  if (!init) {
    raw(SYS_tgkill, static_cast<uint64_t>(raw(SYS_getpid)), static_cast<uint64_t>(raw(SYS_gettid)), static_cast<uint64_t>(number));
    raw(SYS_rt_sigprocmask, SIG_SETMASK, arg(&none), 0, 8);
  }
  raw(SYS_rt_sigprocmask, SIG_SETMASK, arg(&none), 0, 8);
  switch (number) {
    case SIGSEGV: tine_fault_segv();
    case SIGILL: tine_fault_ill();
    case SIGFPE: tine_fault_fpe();
    case SIGTRAP: tine_fault_trap();
    case SIGBUS: tine_fault_bus();
    default: break;
  }
  raw(SYS_exit_group, static_cast<uint64_t>(128 + number));
  __builtin_unreachable();
}

// Enters the guest's handler. False: the frame could not be built.
static bool enter_handler(Thread& t, int number, const siginfo_t& info) {
  GuestAction action;
  {
    Guard guard(t.process->handlers->lock);
    GuestAction& kept = t.process->handlers->action[number - 1];
    action = kept;
    if (action.handler > 1 && (action.flags & SA_RESETHAND)) {
      kept.handler = 0;
      set_host_action(number, kept);
      answer_action(*t.process, number);
    }
  }
  SignalSet base = t.call_mask_set ? t.call_mask : t.mask;
  SignalSet during = base | action.mask | (action.flags & SA_NODEFER ? 0 : signal_bit(number));
  SignalSet saved = t.mask;
  t.call_mask_set = false;
  if (!push_signal_frame(t, action, info, saved)) return false;
  set_guest_mask(t, during);
  return true;
}

// Back to the kernel's queue: it decides again once the mask or the disposition asks for it.
static void put_back(Thread& t, int number, const siginfo_t& info, bool blocked) {
  if (blocked && (number == SIGSEGV || number == SIGBUS)) {  // the host never blocks these
    t.held_info[number == SIGBUS] = info;
    t.held |= signal_bit(number);
    return;
  }
  const auto pid = static_cast<uint64_t>(raw(SYS_getpid));
  // Where there is only one thread nobody else could get it, and a second one of its kind must find it where it looks.
  if (t.process->thread_count.load() == 1 && info.si_code != SI_TKILL) raw(SYS_rt_sigqueueinfo, pid, static_cast<uint64_t>(number), arg(&info));
  else raw(SYS_rt_tgsigqueueinfo, pid, static_cast<uint64_t>(t.tid), static_cast<uint64_t>(number), arg(&info));
}

void deliver_pending(Thread& t, bool call_interrupted, uint32_t restart_number) {
  take_actions(t);
  take_mask(t);
  int number = t.pending;
  siginfo_t info = t.pending_info;
  uint64_t handler, flags;
  {
    Guard guard(t.process->handlers->lock);
    handler = t.process->handlers->action[number - 1].handler;
    flags = t.process->handlers->action[number - 1].flags;
  }
  // The disposition or the mask changed between arrival and now. The mask does when the guest brought a fault of its
  // own meanwhile: that one's handler runs first, and its sa_mask may block this signal.
  bool blocked = (t.call_mask_set ? t.call_mask : t.mask) & signal_bit(number);
  if (handler <= 1 || blocked) {
    if (call_interrupted) rewind_guest_call(*t.vcpu, restart_number);
    t.pending = 0;
    if (handler == 0 || blocked) put_back(t, number, info, blocked);
    t.call_mask_set = false;
    set_guest_mask(t, t.mask);
    return;
  }
  if (call_interrupted) {
    if (!t.call_interrupted || (flags & SA_RESTART)) rewind_guest_call(*t.vcpu, restart_number);
    else set_guest_result(*t.vcpu, -EINTR);
  }
  set_exception_context(t, 0, 0, 0);
  t.pending = 0;
  if (!enter_handler(t, number, info)) {
    set_guest_mask(t, t.mask);
    force_signal(t, SIGSEGV, SI_KERNEL, {0});
  }
}

void force_signal(Thread& t, const siginfo_t& info) {
  take_actions(t);
  take_mask(t);
  int number = info.si_signo;
  uint64_t handler;
  {
    Guard guard(t.process->handlers->lock);
    handler = t.process->handlers->action[number - 1].handler;
  }
  // Blocked or ignored: Linux resets to the default and kills (force_sig_info).
  if (handler <= 1 || (t.mask & signal_bit(number))) die_by_signal(t, number);
  if (!enter_handler(t, number, info)) die_by_signal(t, SIGSEGV);
}

void force_signal(Thread& t, int number, int code, GuestAddr address) {
  siginfo_t info;
  std::memset(&info, 0, sizeof info);
  info.si_signo = number;
  info.si_code = code;
  info.si_addr = reinterpret_cast<void*>(address.v);
  force_signal(t, info);
}

}  // namespace tine
