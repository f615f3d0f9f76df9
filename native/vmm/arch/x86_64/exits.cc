// Reads what the machine left with: a system call, an exception, or a host event.
#include <cpuid.h>
#include <signal.h>
#include <sys/mman.h>

#include <cerrno>
#include <cstring>

#include "arch/arch.h"
#include "arch/x86_64/machine.h"
#include "host/raw.h"
#include "kvm/vcpu.h"

namespace tine {

int math_code(Vcpu& vcpu, bool simd);
kvm_segment user_code_segment();
kvm_segment user_data_segment();

namespace {

constexpr uint64_t kSyscallAddress = kKernelVirtual + kSyscallPage * kPage;
constexpr uint64_t kExceptionAddress = kKernelVirtual + kExceptionPage * kPage;

void to_user_segments(Vcpu& vcpu) {
  kvm_sregs& s = vcpu.run->s.regs.sregs;
  s.cs = user_code_segment();
  s.ss = user_data_segment();
  vcpu.run->kvm_dirty_regs |= KVM_SYNC_X86_SREGS;
}

// Brings the registers of a vCPU that stands in the system call stub into user form: the instruction after
// `syscall`, with the flags from before it.
void leave_stub(Vcpu& vcpu, bool supervisor) {
  kvm_regs& r = vcpu.run->s.regs.regs;
  r.rip = r.rcx;
  r.rflags = (r.r11 & kUserFlags) | X86_EFLAGS_FIXED | X86_EFLAGS_IF;
  vcpu.run->kvm_dirty_regs |= KVM_SYNC_X86_REGS;
  vcpu.entered_by_stub = supervisor;
}

void signal_info(ExceptionInfo& e, int signal, int code, GuestAddr address) {
  e.kind = ExceptionInfo::kSignal;
  e.signal = signal;
  e.code = code;
  e.address = address;
}

Exit classify_exception(Vcpu& vcpu, uint32_t vector, ExceptionInfo& e) {
  kvm_regs& r = vcpu.run->s.regs.regs;
  kvm_sregs& s = vcpu.run->s.regs.sregs;
  constexpr uint32_t kWithError = (1u << X86_TRAP_DF) | (1u << X86_TRAP_TS) | (1u << X86_TRAP_NP) | (1u << X86_TRAP_SS) |
                                  (1u << X86_TRAP_GP) | (1u << X86_TRAP_PF) | (1u << X86_TRAP_AC) | (1u << X86_TRAP_CP);
  bool with_error = (kWithError >> vector) & 1;
  uint64_t offset = r.rsp - (kKernelVirtual + vcpu.block_offset);
  uint64_t words = with_error ? 6 : 5;
  if (offset > kVcpuPages * kPage - words * 8) return Exit::kBroken;
  uint64_t frame[6];
  std::memcpy(frame, vcpu.block + offset, words * 8);
  const uint64_t* f = frame + (with_error ? 1 : 0);
  if ((f[1] & 3) != 3) return Exit::kBroken;  // an exception of our own ring 0 code
  e.error = with_error ? frame[0] : 0;
  e.trap = vector;
  r.rip = f[0];
  r.rflags = (f[2] & (kUserFlags | X86_EFLAGS_NT)) | X86_EFLAGS_FIXED | X86_EFLAGS_IF;
  r.rsp = f[3];
  vcpu.run->kvm_dirty_regs |= KVM_SYNC_X86_REGS;
  to_user_segments(vcpu);
  GuestAddr ip{r.rip};
  switch (vector) {
    case X86_TRAP_PF:
      e.kind = ExceptionInfo::kPageFault;
      e.address = {s.cr2};
      // Error code, SDM 3A 4.7: bit 1 write, bit 4 instruction fetch.
      e.access = e.error & 16 ? PROT_EXEC : e.error & 2 ? PROT_WRITE : PROT_READ;
      break;
    case X86_TRAP_DE: signal_info(e, SIGFPE, FPE_INTDIV, ip); break;
    case X86_TRAP_DB:
      signal_info(e, SIGTRAP, r.rflags & X86_EFLAGS_TF ? TRAP_TRACE : TRAP_BRKPT, ip);
      break;
    case X86_TRAP_BP: signal_info(e, SIGTRAP, SI_KERNEL, {0}); break;
    case X86_TRAP_UD: signal_info(e, SIGILL, ILL_ILLOPN, ip); break;
    case X86_TRAP_NP:
    case X86_TRAP_SS: signal_info(e, SIGBUS, SI_KERNEL, {0}); break;
    case X86_TRAP_AC: signal_info(e, SIGBUS, BUS_ADRALN, {0}); break;
    case X86_TRAP_MF: signal_info(e, SIGFPE, math_code(vcpu, false), ip); break;
    case X86_TRAP_XF: signal_info(e, SIGFPE, math_code(vcpu, true), ip); break;
    default: signal_info(e, SIGSEGV, SI_KERNEL, {0}); break;  // #GP, #OF, #BR, #TS, ...
  }
  return Exit::kException;
}

}  // namespace

Exit arch_classify(Vcpu& vcpu, int64_t result, ExceptionInfo& e) {
  kvm_run* run = vcpu.run;
  kvm_regs& r = run->s.regs.regs;
  bool supervisor = (run->s.regs.sregs.cs.selector & 3) == 0;
  vcpu.entered_by_stub = false;
  if (result == -EINTR || result == -EAGAIN || (result == 0 && run->exit_reason == KVM_EXIT_IO)) {
    if (r.rip == kSyscallAddress || (result == 0 && r.rip == kSyscallAddress + 2)) {
      leave_stub(vcpu, supervisor);
      if (supervisor) to_user_segments(vcpu);
      return Exit::kSystemCall;
    }
    if (supervisor && r.rip == kSyscallAddress + 2) {
      leave_stub(vcpu, true);
      to_user_segments(vcpu);
      return Exit::kInterrupted;
    }
    if (supervisor && r.rip - kExceptionAddress < 32 * 16)
      return classify_exception(vcpu, static_cast<uint32_t>((r.rip - kExceptionAddress) / 16), e);
    if (result != 0) return supervisor ? Exit::kBroken : Exit::kInterrupted;
    // The guest used the exit port itself: natively a general protection fault.
    if (supervisor) return Exit::kBroken;
    e.trap = X86_TRAP_GP;
    e.error = 0;
    signal_info(e, SIGSEGV, SI_KERNEL, {0});
    return Exit::kException;
  }
  if (result == -EFAULT) return Exit::kHostFault;
  return Exit::kBroken;
}

bool arch_user_stub(Vcpu& vcpu) { return !vcpu.entered_by_stub; }

std::span<const uint8_t> arch_call_loop() {
  static const uint8_t code[] = {0x0f, 0x05, 0xeb, 0xfc};  // 1: syscall; jmp 1b
  return code;
}

const char* arch_kvm_kind(bool user_stub) {
  if (user_stub) return "pvm";
  uint32_t a, b, c, d;
  __cpuid(0, a, b, c, d);
  return b == signature_INTEL_ebx ? "vmx" : "svm";
}

}  // namespace tine
