// Reads what the machine left with: a system call, an exception, or a host event.
#include <cpuid.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include <cerrno>
#include <cstring>
#include <iterator>

#include "arch/arch.h"
#include "arch/post.h"
#include "arch/x86_64/machine.h"
#include "host/raw.h"
#include "kvm/vcpu.h"
#include "memory/guest_copy.h"

extern "C" const uint8_t tine_stub_trapped[], tine_stub_answering[], tine_stub_masked[];
extern "C" const uint8_t tine_stub[], tine_stub_posted[], tine_stub_done[], tine_stub_plain[], tine_stub_patched[],
    tine_stub_cpuid[], tine_stub_cpuid_saved[], tine_stub_cpuid_flags[], tine_stub_end[];

namespace tine {

int math_code(Vcpu& vcpu, bool simd);
kvm_segment user_code_segment();
kvm_segment user_data_segment();

namespace {

constexpr uint8_t kIntOpcode = 0xcd;
constexpr uint64_t kCpuidBytes = 2;
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

// What Linux makes of an exception. The registers are in user form, `e.trap` and `e.error` are set.
void describe_exception(Vcpu& vcpu, ExceptionInfo& e) {
  kvm_regs& r = vcpu.run->s.regs.regs;
  kvm_sregs& s = vcpu.run->s.regs.sregs;
  GuestAddr ip{r.rip};
  switch (e.trap) {
    case X86_TRAP_PF:
      e.kind = ExceptionInfo::kPageFault;
      e.address = {s.cr2};
      // Error code, SDM 3A 4.7: bit 1 write, bit 4 instruction fetch.
      // Bit 5: a protection key the guest has set up for itself with wrpkru, which user mode may always execute.
      if (e.error & 32) {
        signal_info(e, SIGSEGV, SEGV_PKUERR, {s.cr2});
        break;
      }
      e.access = e.error & 16 ? PROT_EXEC : e.error & 2 ? PROT_WRITE : PROT_READ;
      break;
    case X86_TRAP_DE: signal_info(e, SIGFPE, FPE_INTDIV, ip); break;
    case X86_TRAP_DB:
      signal_info(e, SIGTRAP, r.rflags & X86_EFLAGS_TF ? TRAP_TRACE : TRAP_BRKPT, ip);
      break;
    case X86_TRAP_BP: signal_info(e, SIGTRAP, SI_KERNEL, {0}); break;
    case X86_TRAP_UD: {
      // PVM answers `int n` with #UD where a processor gives #GP for a gate that user mode may not use.
      uint8_t code[2];
      if (copy_in(code, ip, sizeof code) && code[0] == kIntOpcode) {
        e.trap = X86_TRAP_GP;
        e.error = static_cast<uint64_t>(code[1]) * 8 + 2;  // SDM 3A 6.13: index and the IDT flag
        signal_info(e, SIGSEGV, SI_KERNEL, {0});
        break;
      }
      signal_info(e, SIGILL, ILL_ILLOPN, ip);
      break;
    }
    case X86_TRAP_NP:
    case X86_TRAP_SS: signal_info(e, SIGBUS, SI_KERNEL, {0}); break;
    case X86_TRAP_AC: signal_info(e, SIGBUS, BUS_ADRALN, {0}); break;
    case X86_TRAP_MF: signal_info(e, SIGFPE, math_code(vcpu, false), ip); break;
    case X86_TRAP_XF: signal_info(e, SIGFPE, math_code(vcpu, true), ip); break;
    default: signal_info(e, SIGSEGV, SI_KERNEL, {0}); break;  // #GP, #OF, #BR, #TS, ...
  }
}

// An exception that KVM had at hand for the guest when a signal interrupted it. Left there, it would be delivered at
// whatever place the signal's handler begins. True: it is in `e`, and KVM has forgotten it.
bool take_undelivered(Vcpu& vcpu, ExceptionInfo& e) {
  kvm_vcpu_events events{};
  if (is_error(raw(SYS_ioctl, vcpu.fd, KVM_GET_VCPU_EVENTS, arg(&events)))) return false;
  if (!events.exception.injected && !events.exception.pending) return false;
  e.trap = events.exception.nr;
  e.error = events.exception.has_error_code ? events.exception.error_code : 0;
  events.exception.injected = events.exception.pending = 0;
  events.flags = 0;
  if (is_error(raw(SYS_ioctl, vcpu.fd, KVM_SET_VCPU_EVENTS, arg(&events)))) return false;
  // The access is made again, and faults again.
  if (e.trap == X86_TRAP_PF) return false;
  describe_exception(vcpu, e);
  return true;
}

Exit classify_exception(Vcpu& vcpu, uint32_t vector, ExceptionInfo& e) {
  kvm_regs& r = vcpu.run->s.regs.regs;
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
  describe_exception(vcpu, e);
  return Exit::kException;
}

// Where in the stub the machine stood when it was left or interrupted.
enum class StubPlace { kOutside, kIdentifying, kAnswering, kEntering, kPosted, kReturning, kRing0Return };

StubPlace stub_place(const Vcpu& vcpu) {
  uint64_t offset = vcpu.run->s.regs.regs.rip - kSelfVirtual;
  auto at = [](const uint8_t* label) { return static_cast<uint64_t>(label - tine_stub); };
  if (offset >= at(tine_stub_end)) return StubPlace::kOutside;
  if (offset >= at(tine_stub_cpuid)) return StubPlace::kIdentifying;
  if (offset == at(tine_stub_masked)) return StubPlace::kReturning;
  if (offset >= at(tine_stub_trapped)) return offset < at(tine_stub_answering) ? StubPlace::kEntering : StubPlace::kAnswering;
  if (offset < at(tine_stub_posted) || offset >= at(tine_stub_plain)) return StubPlace::kEntering;
  return offset < at(tine_stub_done) ? StubPlace::kPosted : StubPlace::kReturning;
}

// The stub was answering a call by itself: whatever came between, the call is the monitor's now.
void take_answered_call(Vcpu& vcpu) {
  kvm_regs& r = vcpu.run->s.regs.regs;
  const PostPage& page = *arch_post_page(vcpu);
  r.rax = page.number;
  r.rcx = page.return_address;
  r.r11 = page.flags;
  leave_stub(vcpu, false);
}

// A cpuid of a patched site was interrupted on its way to the answer: it begins anew, with the cpuid in the slot.
void begin_cpuid_anew(Vcpu& vcpu) {
  kvm_regs& r = vcpu.run->s.regs.regs;
  const uint64_t offset = r.rip - kSelfVirtual;
  const PostPage& page = *arch_post_page(vcpu);
  if (offset >= static_cast<uint64_t>(tine_stub_cpuid_flags - tine_stub)) {
    constexpr uint64_t kFromAh = 0xd5, kOverflow = 1 << 11;
    r.rflags = (r.rflags & ~(kFromAh | kOverflow)) | (page.cpuid_flags >> 8 & kFromAh) | (page.cpuid_flags & 1 ? kOverflow : 0);
  }
  if (offset >= static_cast<uint64_t>(tine_stub_cpuid_saved - tine_stub)) {
    r.rax = page.cpuid_rax;
    r.rcx = page.cpuid_rcx;
    r.rdx = page.cpuid_return;
  }
  r.rip = r.rdx - kCpuidBytes;
  vcpu.run->kvm_dirty_regs |= KVM_SYNC_X86_REGS;
}

}  // namespace

Exit arch_classify(Vcpu& vcpu, int64_t result, ExceptionInfo& e) {
  kvm_run* run = vcpu.run;
  kvm_regs& r = run->s.regs.regs;
  bool supervisor = (run->s.regs.sregs.cs.selector & 3) == 0;
  vcpu.entered_by_stub = false;
  vcpu.left_with_post = false;
  if (result == -EINTR || (result == 0 && run->exit_reason == KVM_EXIT_IO)) {
    StubPlace place = stub_place(vcpu);
    if (place == StubPlace::kIdentifying) {
      if (supervisor || result == 0) return Exit::kBroken;
      begin_cpuid_anew(vcpu);
      return take_undelivered(vcpu, e) ? Exit::kException : Exit::kInterrupted;
    }
    if (place == StubPlace::kAnswering) {
      if (supervisor || result == 0) return Exit::kBroken;
      take_answered_call(vcpu);
      return Exit::kSystemCall;
    }
    if (place != StubPlace::kOutside) {
      if (place == StubPlace::kPosted || place == StubPlace::kReturning) {
        // The stub has used rcx and r11 for itself; the page, which only the guest could have changed, has them.
        const PostPage& page = *arch_post_page(vcpu);
        r.rcx = page.return_address;
        r.r11 = page.flags;
        if (place == StubPlace::kReturning) r.rax = page.result;
      }
      // At the patched sites' entry the flags are not there yet.
      if (r.rip - kSelfVirtual == static_cast<uint64_t>(tine_stub_patched - tine_stub)) r.r11 = kPatchedFlags;
      leave_stub(vcpu, supervisor);
      if (supervisor) to_user_segments(vcpu);
      if (place == StubPlace::kReturning) return Exit::kCallFinished;
      vcpu.left_with_post = place == StubPlace::kPosted;
      return Exit::kSystemCall;
    }
    if (supervisor && r.rip - kExceptionAddress < 32 * 16) {
      const Exit exit = classify_exception(vcpu, static_cast<uint32_t>((r.rip - kExceptionAddress) / 16), e);
      // A program that steps through itself has come from a slot: the call is made here, and keeps the flags.
      if (exit == Exit::kException && e.trap == X86_TRAP_DB && r.rip - kSelfVirtual == static_cast<uint64_t>(tine_stub_patched - tine_stub)) {
        r.r11 = r.rflags;
        leave_stub(vcpu, false);
        return Exit::kSystemCall;
      }
      // A pointer that the guest gave is not as it should be.
      if (exit != Exit::kException || stub_place(vcpu) != StubPlace::kAnswering) return exit;
      take_answered_call(vcpu);
      return Exit::kSystemCall;
    }
    if (result != 0) {
      if (supervisor) return Exit::kBroken;
      return take_undelivered(vcpu, e) ? Exit::kException : Exit::kInterrupted;
    }
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

void arch_put_answers(Vcpu& vcpu, uint32_t known, const uint64_t* values) {
  PostPage& page = *arch_post_page(vcpu);
  std::memcpy(page.answers, values, sizeof page.answers);
  std::memcpy(page.more, values + std::size(page.answers), sizeof page.more);
  // wrfsbase
  constexpr uint32_t kSetsThreadPointer = 1u << 11;
  if (!(vcpu.run->s.regs.sregs.cr4 & CR4_FSGSBASE)) known &= ~kSetsThreadPointer;
  page.known.store(known, std::memory_order_release);
}
void arch_put_answer(Vcpu& vcpu, uint32_t answer, uint64_t value) {
  PostPage& page = *arch_post_page(vcpu);
  __atomic_store_n(answer < std::size(page.answers) ? &page.answers[answer] : &page.more[answer - std::size(page.answers)], value, __ATOMIC_RELEASE);
}
void arch_put_action(Vcpu& vcpu, int number, const GuestAction& action) {
  PostPage& page = *arch_post_page(vcpu);
  const uint32_t version = page.version.load(std::memory_order_relaxed);
  page.version.store(version | 1, std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_release);
  page.actions[number - 1] = action;
  page.version.store((version | 1) + 1, std::memory_order_release);
}
uint32_t arch_take_notes(Vcpu& vcpu, uint64_t& robust_list, uint64_t& clear_child_tid) {
  PostPage& page = *arch_post_page(vcpu);
  if (!page.noted.load(std::memory_order_relaxed)) return 0;
  const uint32_t noted = page.noted.exchange(0);
  robust_list = page.robust_list;
  clear_child_tid = page.clear_child_tid;
  return noted;
}
uint32_t* arch_futex_waiters(uint8_t* shared) { return reinterpret_cast<uint32_t*>(shared + kWaitersPage * kPage); }
void arch_put_futex_watch(Vcpu& vcpu, uint32_t rounds) { arch_post_page(vcpu)->watch.store(rounds, std::memory_order_relaxed); }
uint32_t arch_take_futex_changes(Vcpu& vcpu) {
  auto& seen = arch_post_page(vcpu)->changes_seen;
  return seen.load(std::memory_order_relaxed) ? seen.exchange(0) : 0;
}
void arch_put_mask(Vcpu& vcpu, SignalSet mask) {
  PostPage& page = *arch_post_page(vcpu);
  page.known_mask.store(mask, std::memory_order_relaxed);
  page.mask.store(mask, std::memory_order_relaxed);
}
SignalSet arch_mask(Vcpu& vcpu, SignalSet known) {
  PostPage& page = *arch_post_page(vcpu);
  return page.mask.load(std::memory_order_relaxed) == page.known_mask.load(std::memory_order_relaxed) ? known : page.mask.load(std::memory_order_relaxed);
}
void arch_put_caught(Vcpu& vcpu, SignalSet caught) { arch_post_page(vcpu)->caught.store(caught, std::memory_order_relaxed); }
SignalSet arch_take_actions(Vcpu& vcpu, GuestAction (&actions)[kSignals]) {
  PostPage& page = *arch_post_page(vcpu);
  if (!page.changed.load(std::memory_order_relaxed)) return 0;
  const SignalSet changed = page.changed.exchange(0);
  std::memcpy(actions, page.actions, sizeof actions);
  return changed;
}
void arch_let_unseen(Vcpu& vcpu, int calls) { arch_post_page(vcpu)->unseen.store(calls, std::memory_order_relaxed); }
void arch_drop_answers(Vcpu& vcpu, uint32_t dropped) { arch_post_page(vcpu)->known.fetch_and(~dropped); }

PostPage* arch_post_page(Vcpu& vcpu) { return reinterpret_cast<PostPage*>(vcpu.block + kPostPage * kPage); }
bool arch_left_with_post(Vcpu& vcpu) { return vcpu.left_with_post; }
// Posting pays where leaving is dear, that is where the stub runs in user mode (PVM).
bool arch_can_post(Vcpu& vcpu) { return !vcpu.entered_by_stub; }
uint64_t arch_ticks() { return __builtin_ia32_rdtsc(); }
uint64_t arch_ticks_khz(Vcpu& vcpu) {
  // The guest's counter runs as fast as the host's.
  const int64_t khz = raw(SYS_ioctl, static_cast<uint64_t>(vcpu.fd), KVM_GET_TSC_KHZ);
  return khz > 0 ? static_cast<uint64_t>(khz) : 0;
}
void arch_pause() { __builtin_ia32_pause(); }

bool arch_call_needs_registers(uint32_t number) {
  switch (number) {
    case SYS_rt_sigreturn: case SYS_sigaltstack: case SYS_clone: case SYS_clone3: case SYS_fork: case SYS_vfork:
    case SYS_execve: case SYS_execveat: case SYS_exit: case SYS_exit_group: case SYS_arch_prctl: case SYS_unshare:
    case SYS_setns: case SYS_seccomp: case SYS_prctl:
      return true;
    default: return false;
  }
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
