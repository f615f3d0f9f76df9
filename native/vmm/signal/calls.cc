// The signal system calls that change what the monitor mirrors.
#include <cerrno>

#include "arch/arch.h"
#include "kvm/answers.h"
#include "kvm/vcpu.h"
#include "memory/guest_copy.h"
#include "signal/signal.h"
#include "syscall/handlers.h"

namespace tine {
namespace {
constexpr uint64_t kExposeTagBits = 0x800;  // SA_EXPOSE_TAGBITS
constexpr uint64_t kKnownFlags =
    SA_NOCLDSTOP | SA_NOCLDWAIT | SA_SIGINFO | SA_ONSTACK | SA_RESTART | SA_NODEFER | static_cast<uint32_t>(SA_RESETHAND) | kExposeTagBits | kRestorerFlag;
constexpr int kAutoDisarm = static_cast<int>(1u << 31);
}  // namespace

int64_t set_action(SignalHandlers& handlers, int number, GuestAction action) {
  if (number < 1 || number > kSignals || number == SIGKILL || number == SIGSTOP) return -EINVAL;
  action.flags &= kKnownFlags;
  action.mask &= ~(signal_bit(SIGKILL) | signal_bit(SIGSTOP));
  const int64_t result = set_host_action(number, action);
  if (!result) handlers.action[number - 1] = action;
  return result;
}

int64_t sys_rt_sigaction(Call& c) {
  int number = c.fd(0);
  if (c.a[3] != sizeof(SignalSet)) return -EINVAL;
  if (number < 1 || number > kSignals) return -EINVAL;
  GuestAction wanted;
  if (c.a[1]) {
    if (number == SIGKILL || number == SIGSTOP) return -EINVAL;
    if (!get(wanted, c.ptr(1))) {
      mend_action(*c.thread.process, number);
      return -EFAULT;
    }
  }
  SignalHandlers& handlers = *c.thread.process->handlers;
  GuestAction old;
  {
    Guard guard(handlers.lock);
    old = handlers.action[number - 1];
    if (c.a[1]) {
      if (int64_t result = set_action(handlers, number, wanted)) return result;
      answer_action(*c.thread.process, number);
    }
  }
  if (c.a[2] && !put(c.ptr(2), old)) return -EFAULT;
  return 0;
}

int64_t sys_rt_sigprocmask(Call& c) {
  if (c.a[3] != sizeof(SignalSet)) return -EINVAL;
  Thread& t = c.thread;
  SignalSet old = t.mask;
  if (c.a[1]) {
    SignalSet set;
    if (!get(set, c.ptr(1))) return -EFAULT;
    switch (static_cast<int>(c.a[0])) {
      case SIG_BLOCK: set = old | set; break;
      case SIG_UNBLOCK: set = old & ~set; break;
      case SIG_SETMASK: break;
      default: return -EINVAL;
    }
    set_guest_mask(t, set);
  }
  if (c.a[2] && !put(c.ptr(2), old)) return -EFAULT;
  return 0;
}

int64_t sys_rt_sigpending(Call& c) {
  if (c.a[1] > sizeof(SignalSet)) return -EINVAL;
  SignalSet set = 0;
  int64_t result = host_call(c.thread, SYS_rt_sigpending, arg(&set), sizeof set);
  if (result) return result;
  set |= c.thread.held;
  return copy_out(c.ptr(0), &set, c.a[1]) ? 0 : -EFAULT;
}

int64_t sys_rt_sigsuspend(Call& c) {
  if (c.a[1] != sizeof(SignalSet)) return -EINVAL;
  SignalSet set;
  if (!get(set, c.ptr(0))) return -EFAULT;
  Thread& t = c.thread;
  t.call_mask = set & ~(signal_bit(SIGKILL) | signal_bit(SIGSTOP));
  t.call_mask_set = true;
  SignalSet host = host_mask(t.call_mask);
  int64_t result = host_call(t, SYS_rt_sigsuspend, arg(&host), sizeof host);
  if (!t.pending) t.call_mask_set = false;
  return result;
}

int64_t sys_sigaltstack(Call& c) {
  Thread& t = c.thread;
  bool on = on_alternate_stack(t, guest_sp(t));
  stack_t old = t.alternate_stack;
  if (c.a[0]) {
    stack_t wanted;
    if (!get(wanted, c.ptr(0))) return -EFAULT;
    if (on) return -EPERM;
    int mode = wanted.ss_flags & ~kAutoDisarm;
    if (mode != SS_DISABLE && mode != SS_ONSTACK && mode != 0) return -EINVAL;
    const bool changes = wanted.ss_sp != old.ss_sp || wanted.ss_size != old.ss_size || (wanted.ss_flags & kAutoDisarm) != old.ss_flags;
    if (mode == SS_DISABLE) {
      wanted.ss_size = 0;
      wanted.ss_sp = nullptr;
    } else if (changes && wanted.ss_size < kMinimumSignalStack) {  // what is there already needs no room
      return -ENOMEM;
    }
    wanted.ss_flags &= kAutoDisarm;
    t.alternate_stack = wanted;
  }
  if (c.a[1]) {
    stack_t shown{};
    shown.ss_sp = old.ss_sp;
    shown.ss_size = old.ss_size;
    shown.ss_flags = (old.ss_size ? (on ? SS_ONSTACK : 0) : SS_DISABLE) | (old.ss_flags & kAutoDisarm);
    if (!put(c.ptr(1), shown)) return -EFAULT;
  }
  return 0;
}

int64_t sys_rt_sigreturn(Call& c) {
  SignalSet mask;
  if (!pop_signal_frame(c.thread, mask)) {
    force_signal(c.thread, SIGSEGV, SI_KERNEL, {0});
    return kRegistersSet;
  }
  set_guest_mask(c.thread, mask);
  return kRegistersSet;
}

}  // namespace tine
