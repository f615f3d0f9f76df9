// The host side of signals: the one handler behind every guest handler, and the monitor's own faults.
#include <signal.h>
#include <ucontext.h>

#include <cerrno>

#include "host/report.h"
#include "kvm/vcpu.h"
#include "signal/signal.h"

extern "C" {
extern const char tine_copy[], tine_copy_end[], tine_copy_failed[];
extern const char tine_host_call_start[], tine_host_call_end[], tine_host_call_abandon[];
int64_t tine_host_call(const volatile int* pending, long nr, const uint64_t args[6]);
void tine_signal_return();
}

namespace tine {
namespace {

struct KernelAction {
  uint64_t handler;
  uint64_t flags;
  uint64_t restorer;
  SignalSet mask;
};

#if defined(__x86_64__)
greg_t& instruction(ucontext_t* context) { return context->uc_mcontext.gregs[REG_RIP]; }
bool kernel_was_entered(const ucontext_t* context) {
  return context->uc_mcontext.gregs[REG_RCX] == reinterpret_cast<greg_t>(tine_host_call_end);
}
#else
unsigned long long& instruction(ucontext_t* context) { return context->uc_mcontext.pc; }
bool kernel_was_entered(const ucontext_t* context) { return context->uc_mcontext.regs[9] == 1; }
#endif

uint64_t at(const char* label) { return reinterpret_cast<uint64_t>(label); }

void on_signal(int number, siginfo_t* info, void* raw_context) {
  auto* context = static_cast<ucontext_t*>(raw_context);
  auto& ip = instruction(context);
  uint64_t where = static_cast<uint64_t>(ip);
  bool fault = (number == SIGSEGV || number == SIGBUS) && info->si_code > 0;
  if (fault) {
    if (where >= at(tine_copy) && where < at(tine_copy_end)) {
      ip = static_cast<std::remove_reference_t<decltype(ip)>>(at(tine_copy_failed));
      return;
    }
    report_monitor_fault(number, info, where);
    die_by_signal(current(), SIGSEGV);
  }
  Thread& t = current();
  if (number == SIGSEGV || number == SIGBUS) {
    // These two are never left to the kernel's default, because the monitor's own faults come by them.
    if ((t.mask & signal_bit(number)) || t.pending) {
      t.held_info[number == SIGBUS] = *info;
      t.held |= signal_bit(number);
      return;
    }
    uint64_t handler = t.process->handlers->action[number - 1].handler;
    if (handler == 1) return;
    if (handler == 0) {
      // An init is immune to what is sent to it, from outside its namespace as well.
      if (raw(SYS_getpid) == 1) return;
      die_by_signal(t, number);
    }
  }
  t.pending_info = *info;
  t.pending = number;
  // Nothing more arrives until the guest's frame is built: one slot is enough, and the kernel keeps the queue.
  *reinterpret_cast<SignalSet*>(&context->uc_sigmask) = kAllSignals;
  if (where >= at(tine_host_call_start) && where < at(tine_host_call_end)) {
    t.call_interrupted = kernel_was_entered(context);
    ip = static_cast<std::remove_reference_t<decltype(ip)>>(at(tine_host_call_abandon));
  }
  if (t.vcpu) t.vcpu->interrupt();
}

void install(int number, uint64_t handler, uint64_t flags) {
  KernelAction action{handler, flags | kRestorerFlag | SA_SIGINFO | SA_RESTART, reinterpret_cast<uint64_t>(tine_signal_return), kAllSignals};
  raw(SYS_rt_sigaction, static_cast<uint64_t>(number), arg(&action), 0, 8);
}

}  // namespace

int64_t host_call(Thread& thread, long nr, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f) {
  uint64_t args[6] = {a, b, c, d, e, f};
  return tine_host_call(&thread.pending, nr, args);
}

void install_monitor_handlers() {
  install(SIGSEGV, reinterpret_cast<uint64_t>(on_signal), 0);
  install(SIGBUS, reinterpret_cast<uint64_t>(on_signal), 0);
}

int64_t set_host_action(int number, const GuestAction& action) {
  if (number == SIGSEGV || number == SIGBUS) return 0;
  uint64_t kept = action.flags & (SA_NOCLDSTOP | SA_NOCLDWAIT);
  if (action.handler <= 1) {
    KernelAction plain{action.handler, kept | kRestorerFlag, reinterpret_cast<uint64_t>(tine_signal_return), 0};
    return raw(SYS_rt_sigaction, static_cast<uint64_t>(number), arg(&plain), 0, 8);
  }
  install(number, reinterpret_cast<uint64_t>(on_signal), kept);
  return 0;
}

void restore_default_action(int number) {
  KernelAction plain{0, kRestorerFlag, reinterpret_cast<uint64_t>(tine_signal_return), 0};
  raw(SYS_rt_sigaction, static_cast<uint64_t>(number), arg(&plain), 0, 8);
}

}  // namespace tine
