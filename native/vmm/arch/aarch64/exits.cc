// Reads what the machine left with: a system call, an exception, or a host event.
#include <signal.h>
#include <sys/mman.h>

#include <atomic>
#include <cerrno>
#include <span>

#include "arch/aarch64/machine.h"
#include "host/raw.h"
#include "kvm/vcpu.h"
#include "memory/address_space.h"

namespace tine {
namespace {

// A translation changed since the last entry: what this or another CPU keeps of the old one must go.
std::atomic<bool> changed{false};

// The interrupt line of a vCPU without an interrupt controller: IRQ, raised and lowered by the monitor.
void set_interrupt_line(Vcpu& vcpu, bool on) {
  kvm_irq_level level{};
  level.irq = (KVM_ARM_IRQ_TYPE_CPU << KVM_ARM_IRQ_TYPE_SHIFT) | (((vcpu.index >> 8) & 0xf) << KVM_ARM_IRQ_VCPU2_SHIFT) |
              ((vcpu.index & 0xff) << KVM_ARM_IRQ_VCPU_SHIFT) | KVM_ARM_IRQ_CPU_IRQ;
  level.level = on;
  raw(SYS_ioctl, static_cast<uint64_t>(current().process->space->vm.fd), KVM_IRQ_LINE, arg(&level));
}

bool stands_in_stub(const Vcpu& vcpu, int64_t result) {
  return result == 0 && vcpu.run->exit_reason == KVM_EXIT_MMIO && vcpu.run->mmio.phys_addr == kExitPhysical;
}

void signal_info(ExceptionInfo& e, int signal, int code, uint64_t address) {
  e.kind = ExceptionInfo::kSignal;
  e.signal = signal;
  e.code = code;
  e.address = {address};
}

// ISS of an abort, D17.2.37: bits 5:0 status, 6 write, 8 cache maintenance.
Exit abort_info(Frame& f, bool fetch, ExceptionInfo& e) {
  uint32_t status = f.esr & 0x3f;
  uint64_t address = f.far;
  if (!(address >> 55 & 1)) address &= (1ull << 56) - 1;  // the tag is not part of it
  switch (status >> 2) {
    case 1:    // translation fault
    case 2:    // access flag fault
    case 3: {  // permission fault
      bool write = (f.esr & (1 << 6)) && !(f.esr & (1 << 8));
      e.kind = ExceptionInfo::kPageFault;
      e.address = {address};
      e.access = fetch ? PROT_EXEC : write ? PROT_WRITE : PROT_READ;
      return Exit::kException;
    }
    default: break;
  }
  if (status == 0x30) {
    // TLB conflict: a 2 MiB leaf became a table of the same pages while this CPU used it.
    f.command |= kFlushTranslations;
    return Exit::kInterrupted;
  }
  if (status == 0) {  // address size fault: outside both halves
    e.kind = ExceptionInfo::kPageFault;
    e.address = {address};
    e.access = fetch ? PROT_EXEC : PROT_READ;
  } else if (status == 0x21) {
    signal_info(e, SIGBUS, BUS_ADRALN, address);
  } else {
    signal_info(e, SIGBUS, BUS_OBJERR, address);
  }
  return Exit::kException;
}

Exit classify_synchronous(Frame& f, ExceptionInfo& e) {
  uint64_t pc = f.state.pc;
  uint32_t exception_class = (f.esr >> 26) & 0x3f;
  if (exception_class == EC_SVC64) return Exit::kSystemCall;
  e.trap = 0;
  e.error = f.esr;
  switch (exception_class) {
    case EC_WFX: f.state.pc += 4; return Exit::kInterrupted;  // Linux returns from it at the next timer tick
    case EC_INSTRUCTION_ABORT: return abort_info(f, true, e);
    case EC_DATA_ABORT: return abort_info(f, false, e);
    case EC_PC_ALIGNMENT: signal_info(e, SIGBUS, BUS_ADRALN, f.far); break;
    case EC_SP_ALIGNMENT: signal_info(e, SIGBUS, BUS_ADRALN, f.state.sp); break;
    case EC_FP: signal_info(e, SIGFPE, f.esr & 1 ? FPE_FLTINV : f.esr & 2 ? FPE_FLTDIV : f.esr & 4 ? FPE_FLTOVF : f.esr & 8 ? FPE_FLTUND : FPE_FLTRES, pc); break;
    case EC_BRK: signal_info(e, SIGTRAP, TRAP_BRKPT, pc); break;
    case EC_BREAKPOINT:
    case EC_WATCHPOINT: signal_info(e, SIGTRAP, TRAP_HWBKPT, pc); break;
    case EC_SOFTWARE_STEP: signal_info(e, SIGTRAP, TRAP_TRACE, pc); break;
    default: signal_info(e, SIGILL, ILL_ILLOPC, pc); break;
  }
  return Exit::kException;
}

}  // namespace

int64_t run_to_exit(Vcpu& vcpu) {
  for (;;) {
    vcpu.run->immediate_exit = 0;
    int64_t result = vcpu.enter();
    if (stands_in_stub(vcpu, result)) return 0;
    if (result != -EINTR) return result < 0 ? result : -EIO;
  }
}

int64_t save_vectors(Vcpu& vcpu) {
  Frame& f = frame(vcpu);
  if (f.command & kLoadVectors) return 0;  // what the frame holds is newer than what the machine has
  uint32_t kind = f.kind;
  f.command |= kSaveVectors;
  int64_t result = run_to_exit(vcpu);
  f.kind = kind;
  return result;
}

void arch_before_entry(Vcpu& vcpu) {
  if (changed.load(std::memory_order_relaxed) && changed.exchange(false)) frame(vcpu).command |= kFlushTranslations;
}
void arch_translation_changed() { changed.store(true, std::memory_order_release); }

Exit arch_classify(Vcpu& vcpu, int64_t result, ExceptionInfo& e) {
  bool host_fault = result == -EFAULT;
  if (result == -EINTR || host_fault) {
    // The registers are in the machine, perhaps half in the frame: an interrupt makes the stub bring them all out. Where
    // the stub was at work anyway it finishes that, for a system call or a fault like any other.
    set_interrupt_line(vcpu, true);
    result = run_to_exit(vcpu);
    set_interrupt_line(vcpu, false);
  }
  if (host_fault || result == -EFAULT) return Exit::kHostFault;
  if (!stands_in_stub(vcpu, result)) return Exit::kBroken;
  Frame& f = frame(vcpu);
  switch (static_cast<EntryKind>(f.kind)) {
    case EntryKind::kSynchronous: return classify_synchronous(f, e);
    case EntryKind::kInterrupt: return Exit::kInterrupted;
    case EntryKind::kSystemError:
      e.trap = 0;
      e.error = f.esr;
      signal_info(e, SIGBUS, BUS_OBJERR, f.state.pc);
      return Exit::kException;
    default: return Exit::kBroken;
  }
}

bool arch_user_stub(Vcpu&) { return false; }
const char* arch_kvm_kind(bool) { return "arm64"; }

std::span<const uint8_t> arch_call_loop() {
  static const uint8_t code[] = {0x01, 0x00, 0x00, 0xd4, 0xff, 0xff, 0xff, 0x17};  // 1: svc #0; b 1b
  return code;
}

}  // namespace tine
