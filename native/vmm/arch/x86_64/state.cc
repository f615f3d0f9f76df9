// Guest registers in user form: reading, changing, saving and restoring them.
#include <signal.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "arch/arch.h"
#include "arch/post.h"
#include "arch/x86_64/machine.h"
#include "host/raw.h"
#include "kvm/vcpu.h"

namespace tine {

kvm_segment user_code_segment();
kvm_segment user_data_segment();

namespace {
kvm_regs& regs(Vcpu& vcpu) { return vcpu.run->s.regs.regs; }
void dirty(Vcpu& vcpu) { vcpu.run->kvm_dirty_regs |= KVM_SYNC_X86_REGS; }
}  // namespace

uint64_t guest_ip(Thread& t) { return t.posted ? arch_post_page(*t.vcpu)->return_address : regs(*t.vcpu).rip; }
void set_guest_return(Thread& t, uint64_t ip) {
  if (t.posted) {
    arch_post_page(*t.vcpu)->return_address = ip;
    return;
  }
  regs(*t.vcpu).rip = regs(*t.vcpu).rcx = ip;
  dirty(*t.vcpu);
}
uint64_t guest_sp(Thread& t) { return regs(*t.vcpu).rsp; }

size_t describe_guest_registers(Vcpu& vcpu, std::span<char> text) {
  const kvm_regs& r = regs(vcpu);
  const struct {
    const char* name;
    uint64_t value;
  } all[] = {{"rax", r.rax}, {"rbx", r.rbx}, {"rcx", r.rcx}, {"rdx", r.rdx}, {"rsi", r.rsi}, {"rdi", r.rdi}, {"rbp", r.rbp}, {"rsp", r.rsp}, {"r8", r.r8},
             {"r9", r.r9},   {"r10", r.r10}, {"r11", r.r11}, {"r12", r.r12}, {"r13", r.r13}, {"r14", r.r14}, {"r15", r.r15}, {"rip", r.rip}, {"flags", r.rflags}};
  size_t used = 0;
  for (const auto& [name, value] : all) {
    const int more = std::snprintf(text.data() + used, text.size() - used, "%s%s %lx", used ? ", " : "", name, static_cast<unsigned long>(value));
    used = std::min(used + static_cast<size_t>(more), text.size() - 1);
  }
  return used;
}

uint64_t arch_call_return(Vcpu& vcpu) { return regs(vcpu).rip; }
uint32_t guest_call_number(Vcpu& vcpu) { return static_cast<uint32_t>(regs(vcpu).rax); }

void guest_call_arguments(Vcpu& vcpu, uint64_t (&a)[6]) {
  const kvm_regs& r = regs(vcpu);
  a[0] = r.rdi, a[1] = r.rsi, a[2] = r.rdx, a[3] = r.r10, a[4] = r.r8, a[5] = r.r9;
}

void set_guest_result(Vcpu& vcpu, int64_t result) {
  regs(vcpu).rax = static_cast<uint64_t>(result);
  dirty(vcpu);
}

void rewind_guest_call(Vcpu& vcpu, uint32_t number) {
  regs(vcpu).rax = number;
  regs(vcpu).rip -= 2;  // the length of `syscall`
  dirty(vcpu);
}

void start_guest_registers(Vcpu& vcpu, GuestAddr entry, GuestAddr stack) {
  regs(vcpu) = kvm_regs{};
  regs(vcpu).rip = entry.v;
  regs(vcpu).rsp = stack.v;
  regs(vcpu).rflags = X86_EFLAGS_FIXED | X86_EFLAGS_IF;
  kvm_sregs& s = vcpu.run->s.regs.sregs;
  s.fs.base = s.gs.base = 0;
  s.cs = user_code_segment();
  s.ss = user_data_segment();
  vcpu.run->kvm_dirty_regs |= KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS;
}

void child_guest_registers(Vcpu& vcpu, GuestAddr stack, bool set_tls, uint64_t tls) {
  kvm_regs& r = regs(vcpu);
  r.rax = 0;
  if (stack.v) r.rsp = stack.v;
  if (set_tls) {
    vcpu.run->s.regs.sregs.fs.base = tls;
    vcpu.run->kvm_dirty_regs |= KVM_SYNC_X86_SREGS;
  }
  dirty(vcpu);
}

// struct kvm_xsave without its flexible array, which counts in the request number in C++ on some headers.
struct XsaveArea {
  uint8_t region[4096];
};
constexpr uint64_t kGetXsave = _IOR(KVMIO, 0xa4, XsaveArea), kSetXsave = _IOW(KVMIO, 0xa5, XsaveArea);

int64_t get_xsave(Vcpu& vcpu, uint8_t* area) {
  std::memset(area, 0, kXsaveBytes);
  return raw(SYS_ioctl, vcpu.fd, kGetXsave, arg(area));
}
int64_t set_xsave(Vcpu& vcpu, const uint8_t* area) { return raw(SYS_ioctl, vcpu.fd, kSetXsave, arg(area)); }

int64_t save_cpu_state(Vcpu& vcpu, CpuState& state) {
  state.regs = regs(vcpu);
  state.sregs = vcpu.run->s.regs.sregs;
  return get_xsave(vcpu, state.xsave);
}

int64_t restore_cpu_state(Vcpu& vcpu, const CpuState& state) {
  regs(vcpu) = state.regs;
  kvm_sregs& s = vcpu.run->s.regs.sregs;
  // The machine's own tables stay this vCPU's; what belongs to the program comes over.
  s.cs = state.sregs.cs;
  s.ss = state.sregs.ss;
  s.ds = state.sregs.ds;
  s.es = state.sregs.es;
  s.fs = state.sregs.fs;
  s.gs = state.sregs.gs;
  vcpu.run->kvm_dirty_regs |= KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS;
  return set_xsave(vcpu, state.xsave);
}

// si_code of an x87 or SSE exception: arch/x86/kernel/fpu/core.c, fpu__exception_code().
int math_code(Vcpu& vcpu, bool simd) {
  alignas(64) uint8_t area[kXsaveBytes];
  if (is_error(get_xsave(vcpu, area))) return FPE_FLTINV;
  uint16_t control, status;
  uint32_t mxcsr;
  std::memcpy(&control, area, 2);
  std::memcpy(&status, area + 2, 2);
  std::memcpy(&mxcsr, area + 24, 4);
  uint32_t raised = simd ? ~(mxcsr >> 7) & mxcsr : status & ~control;
  if (raised & 1) return FPE_FLTINV;
  if (raised & 4) return FPE_FLTDIV;
  if (raised & 8) return FPE_FLTOVF;
  if (raised & 0x12) return FPE_FLTUND;
  if (raised & 0x20) return FPE_FLTRES;
  return FPE_FLTINV;
}

}  // namespace tine
