// Signals: the host's dispositions and masks mirror the guest's; a host handler notes what arrived and the run
// loop builds the guest's frame.
#pragma once
#include <signal.h>

#include "process/thread.h"
#include "syscall/call.h"

namespace tine {

// The mask the host thread runs with while the guest believes in `guest`: faults of the monitor's own copies
// must never be blocked.
constexpr SignalSet host_mask(SignalSet guest) {
  return guest & ~(signal_bit(SIGSEGV) | signal_bit(SIGBUS) | signal_bit(SIGKILL) | signal_bit(SIGSTOP));
}
constexpr uint64_t kRestorerFlag = 0x04000000;  // SA_RESTORER
constexpr SignalSet kAllSignals = ~0ull & ~(signal_bit(SIGSEGV) | signal_bit(SIGBUS));

// Installs the handlers the monitor itself needs (its own faults). Once per host process image.
void install_monitor_handlers();
// Host disposition for the guest's action of `number`, as rt_sigaction would leave it.
int64_t set_host_action(int number, const GuestAction& action);

// Sets a guest's action, and the host's with it. With the handlers' lock held. 0 or -errno.
int64_t set_action(SignalHandlers& handlers, int number, GuestAction action);

// Delivers what is pending. `call_result`: result of the call just served when one is being left with kRestart
// (`restart_number` is its number), so that it is restarted or answers EINTR as the action says.
void deliver_pending(Thread& t, bool call_interrupted, uint32_t restart_number);
// A signal caused by the guest's own instruction: delivered now, or fatal.
void force_signal(Thread& t, const siginfo_t& info);
void force_signal(Thread& t, int number, int code, GuestAddr address);
// Ends the process as the kernel would by this signal, also where it is a pid namespace's init.
[[noreturn]] void die_by_signal(Thread& t, int number);

// Sets the guest's mask and the host's with it.
void set_guest_mask(Thread& t, SignalSet mask);
bool on_alternate_stack(const Thread& t, uint64_t sp);
uint64_t arch_signal_stack_minimum();

// Blocks every signal on the host for the lifetime of the object (around clone).
class AllSignalsBlocked {
 public:
  AllSignalsBlocked() { raw(SYS_rt_sigprocmask, SIG_SETMASK, arg(&kAll), arg(&saved_), 8); }
  ~AllSignalsBlocked() { raw(SYS_rt_sigprocmask, SIG_SETMASK, arg(&saved_), 0, 8); }
  AllSignalsBlocked(const AllSignalsBlocked&) = delete;
  AllSignalsBlocked& operator=(const AllSignalsBlocked&) = delete;

 private:
  static constexpr SignalSet kAll = kAllSignals;
  SignalSet saved_ = 0;
};

}  // namespace tine
