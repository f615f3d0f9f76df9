// The run loop: enter the guest, see why it left, serve it, go on.
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>

#include <cerrno>

#include "arch/arch.h"
#include "fork/fork.h"
#include "host/report.h"
#include "kvm/answers.h"
#include "kvm/runner.h"
#include "kvm/vcpu.h"
#include "memory/address_space.h"
#include "process/threads.h"
#include "seccomp/seccomp.h"
#include "signal/signal.h"
#include "syscall/call.h"

namespace tine {
namespace {

void finish_call(Thread& t, uint32_t number, int64_t result) {
  if (result == kRegistersSet) return;
  if (result == kRestart) {
    if (t.pending) deliver_pending(t, true, number);
    else rewind_guest_call(*t.vcpu, number);
    return;
  }
  set_guest_result(*t.vcpu, result == kSeccompZero ? 0 : result);
}

void serve_system_call(Thread& t) {
  Vcpu& vcpu = *t.vcpu;
  uint32_t number = guest_call_number(vcpu);
  take_notes(t);
  take_actions(t);
  take_mask(t);
  if (take_posted_result(t)) {
    finish_call(t, number, t.pairing.result);
    return;
  }
  note_call_exit(t);
  note_call_site(t, arch_call_return(vcpu), number);
  Call call{t, number, {}};
  guest_call_arguments(vcpu, call.a);
  if (t.pending) {
    // The signal came before the call: its handler runs first, then the call is made, if the handler does not jump elsewhere.
    if (number == SYS_rt_sigaction) mend_action(*t.process, static_cast<uint32_t>(call.a[0]));
    rewind_guest_call(vcpu, number);
    return;
  }
  t.fault_ip = 0;
  t.call_interrupted = false;
  finish_call(t, number, serve(call));
}

// Serving one fault at most takes a few rounds (instruction, operand, both halves of a crossing access).
constexpr uint32_t kFaultRepeats = 64;

bool makes_progress(Thread& t, GuestAddr address) {
  uint64_t ip = guest_ip(t);
  if (ip != t.fault_ip || address.v != t.fault_address) {
    t.fault_ip = ip;
    t.fault_address = address.v;
    t.fault_repeats = 0;
  }
  return ++t.fault_repeats < kFaultRepeats;
}

void serve_page_fault(Thread& t, const ExceptionInfo& e) {
  if (!makes_progress(t, e.address)) {
    t.fault_repeats = 0;
    report("a page fault at 0x%lx came %u times from 0x%lx", static_cast<unsigned long>(e.address.v), kFaultRepeats,
           static_cast<unsigned long>(guest_ip(t)));
    set_exception_context(t, e.trap, e.error, e.address.v);
    force_signal(t, SIGSEGV, SEGV_ACCERR, e.address);
    return;
  }
  switch (t.process->space->fault(t, e.address, e.access)) {
    case AddressSpace::Fault::kServed: return;
    case AddressSpace::Fault::kNoMapping:
      if (arch_emulate_fault(t, e)) return;
      set_exception_context(t, e.trap, e.error, e.address.v);
      force_signal(t, SIGSEGV, SEGV_MAPERR, e.address);
      return;
    case AddressSpace::Fault::kNoAccess:
      set_exception_context(t, e.trap, e.error, e.address.v);
      force_signal(t, SIGSEGV, SEGV_ACCERR, e.address);
      return;
    case AddressSpace::Fault::kBus:
      set_exception_context(t, e.trap, e.error, e.address.v);
      force_signal(t, SIGBUS, BUS_ADRERR, e.address);
      return;
  }
}

// A machine's first run makes a thread of the kernel's, for which there is no room now: as many tasks as the limits
// allow. Room comes when others end.
void await_kernel_thread(Thread& t) {
  constexpr int64_t kPause = 1'000'000;  // ns
  constexpr uint32_t kPatience = 10'000;
  if (++t.machine_waits > kPatience) {
    report("no room for the machine's thread under the limit of processes");
    die_by_signal(t, SIGKILL);
  }
  const timespec pause{0, kPause};
  raw(SYS_nanosleep, arg(&pause), 0);
  unpair(t);
  first_run_in_helper(*t.vcpu, 0);
}

}  // namespace

void run_thread(Thread& t) {
  give_answers(t);
  for (;;) {
    if (t.pending) deliver_pending(t, false, 0);
    int64_t result = enter_guest(t);
    if (t.vcpu->run->immediate_exit && !t.pending) t.vcpu->run->immediate_exit = 0;
    if (result == -EAGAIN) {
      await_kernel_thread(t);
      continue;
    }
    ExceptionInfo exception;
    switch (arch_classify(*t.vcpu, result, exception)) {
      case Exit::kSystemCall: serve_system_call(t); break;
      case Exit::kCallFinished:
      case Exit::kInterrupted: break;
      case Exit::kException:
        if (exception.kind == ExceptionInfo::kPageFault) {
          serve_page_fault(t, exception);
        } else if (!arch_leave_changed_code(t, exception)) {
          set_exception_context(t, exception.trap, exception.error, 0);
          force_signal(t, exception.signal, exception.code, exception.address);
        }
        break;
      case Exit::kHostFault: t.process->space->suspect_everything(); break;
      case Exit::kBroken:
        report_broken_exit(t, result);
        die_by_signal(t, SIGSEGV);
    }
    if (t.pending == 0) t.vcpu->run->immediate_exit = 0;
  }
}

}  // namespace tine
