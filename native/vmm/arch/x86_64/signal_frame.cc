// Linux's rt_sigframe on x86-64 (arch/x86/include/asm/sigframe.h, uapi/asm/sigcontext.h), extended state
// included, so that unwinders, Go, the JVM and V8 find what they expect.
#include <cpuid.h>
#include <signal.h>

#include <cstddef>
#include <cstring>

#include "arch/arch.h"
#include "arch/x86_64/machine.h"
#include "host/raw.h"
#include "kvm/vcpu.h"
#include "memory/address_space.h"
#include "memory/guest_copy.h"
#include "signal/signal.h"

namespace tine {

kvm_segment user_code_segment();
kvm_segment user_data_segment();
int64_t get_xsave(Vcpu& vcpu, uint8_t* area);
int64_t set_xsave(Vcpu& vcpu, const uint8_t* area);
uint64_t x86_enabled_xcr0();

namespace {

// uapi/asm/sigcontext.h and uapi/linux/signal.h, whose macros cannot be had beside <signal.h>.
constexpr uint32_t kXstateMagic1 = 0x46505853, kXstateMagic2 = 0x46505845;
constexpr int kAutoDisarm = static_cast<int>(1u << 31);
constexpr uint64_t UC_FP_XSTATE = 1, UC_SIGCONTEXT_SS = 2, UC_STRICT_RESTORE_SS = 4;
constexpr uint64_t kRedZone = 128;
constexpr uint64_t kSwReservedOffset = 464;  // struct _fpx_sw_bytes in the legacy area
constexpr uint64_t kXsaveHeaderOffset = 512;

struct SwBytes {
  uint32_t magic1, extended_size;
  uint64_t xfeatures;
  uint32_t xstate_size, padding[7];
};
static_assert(sizeof(SwBytes) == 48);

struct SigContext {
  uint64_t r8, r9, r10, r11, r12, r13, r14, r15, di, si, bp, bx, dx, ax, cx, sp, ip, flags;
  uint16_t cs, gs, fs, ss;
  uint64_t err, trapno, oldmask, cr2, fpstate, reserved[8];
};
static_assert(sizeof(SigContext) == 256);

struct UserStack {
  uint64_t sp;
  int32_t flags, padding;
  uint64_t size;
};

struct Frame {
  uint64_t return_address;
  uint64_t uc_flags, uc_link;
  UserStack uc_stack;
  SigContext context;
  uint64_t mask;
  uint8_t info[128];
};

// Size of the standard-format XSAVE area for the enabled components (CPUID leaf 0DH, component offsets).
uint64_t xsave_size() {
  static uint64_t size = 0;
  if (size) return size;
  uint64_t largest = 576;
  for (uint32_t component = 2; component < 63; component++) {
    if (!((x86_enabled_xcr0() >> component) & 1)) continue;
    uint32_t a, b, c, d;
    __cpuid_count(0xd, component, a, b, c, d);
    if (a + b > largest) largest = a + b;
  }
  return size = largest;
}

}  // namespace

uint64_t arch_signal_stack_minimum() { return sizeof(Frame) + xsave_size() + 4 + kRedZone + 64 + 16; }

void set_exception_context(Thread& t, uint64_t trap, uint64_t error, uint64_t address) {
  t.trap_number = trap;
  t.trap_error = error;
  t.trap_address = address;
}

bool push_signal_frame(Thread& t, const GuestAction& action, const siginfo_t& info, SignalSet saved_mask) {
  Vcpu& vcpu = *t.vcpu;
  kvm_regs& r = vcpu.run->s.regs.regs;
  uint64_t sp = r.rsp - kRedZone;
  bool on_alternate = on_alternate_stack(t, r.rsp);
  if ((action.flags & SA_ONSTACK) && t.alternate_stack.ss_size && !on_alternate)
    sp = reinterpret_cast<uint64_t>(t.alternate_stack.ss_sp) + t.alternate_stack.ss_size;

  alignas(64) uint8_t area[kXsaveBytes];
  if (is_error(get_xsave(vcpu, area))) return false;
  uint64_t state_bytes = xsave_size();
  SwBytes sw{};
  sw.magic1 = kXstateMagic1;
  sw.extended_size = static_cast<uint32_t>(state_bytes + 4);
  sw.xfeatures = x86_enabled_xcr0();
  sw.xstate_size = static_cast<uint32_t>(state_bytes);
  std::memcpy(area + kSwReservedOffset, &sw, sizeof sw);
  std::memcpy(area + state_bytes, &kXstateMagic2, 4);

  uint64_t fp = (sp - state_bytes - 4) & ~63ull;
  uint64_t at = ((fp - sizeof(Frame)) & ~15ull) - 8;
  // Never run off the alternate stack: Linux forces SIGSEGV then.
  if (on_alternate || sp != r.rsp - kRedZone) {
    uint64_t low = reinterpret_cast<uint64_t>(t.alternate_stack.ss_sp);
    if (t.alternate_stack.ss_size && (at < low || at >= low + t.alternate_stack.ss_size)) return false;
  }

  Frame f{};
  f.return_address = action.restorer;
  f.uc_flags = UC_FP_XSTATE | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS;
  f.uc_stack.sp = reinterpret_cast<uint64_t>(t.alternate_stack.ss_sp);
  f.uc_stack.flags = t.alternate_stack.ss_size ? (on_alternate ? SS_ONSTACK : 0) : SS_DISABLE;
  f.uc_stack.flags |= t.alternate_stack.ss_flags & kAutoDisarm;
  f.uc_stack.size = t.alternate_stack.ss_size;
  SigContext& c = f.context;
  const uint64_t thread_ip = t.process->space->call_sites.original(r.rip);
  c = {r.r8, r.r9, r.r10, r.r11, r.r12, r.r13, r.r14, r.r15, r.rdi, r.rsi, r.rbp, r.rbx, r.rdx, r.rax, r.rcx, r.rsp, thread_ip, r.rflags,
       USER_CS, 0, 0, USER_DS, t.trap_error, t.trap_number, saved_mask, t.trap_address, fp, {}};
  f.mask = saved_mask;
  std::memcpy(f.info, &info, sizeof f.info);
  if (t.alternate_stack.ss_flags & kAutoDisarm) t.alternate_stack = stack_t{};
  if (!copy_out({fp}, area, state_bytes + 4) || !copy_out({at}, &f, sizeof f)) return false;

  r.rsp = at;
  r.rip = action.handler;
  r.rdi = static_cast<uint64_t>(info.si_signo);
  r.rsi = at + offsetof(Frame, info);
  r.rdx = at + offsetof(Frame, uc_flags);
  r.rax = 0;
  r.rflags &= ~(X86_EFLAGS_DF | X86_EFLAGS_RF | X86_EFLAGS_TF);
  vcpu.run->kvm_dirty_regs |= KVM_SYNC_X86_REGS;
  return true;
}

bool pop_signal_frame(Thread& t, SignalSet& mask) {
  Vcpu& vcpu = *t.vcpu;
  kvm_regs& r = vcpu.run->s.regs.regs;
  Frame f;
  if (!copy_in(&f, {r.rsp - 8}, offsetof(Frame, info))) return false;
  const SigContext& c = f.context;
  mask = f.mask;
  r = {c.ax, c.bx, c.cx, c.dx, c.si, c.di, c.sp, c.bp, c.r8, c.r9, c.r10, c.r11, c.r12, c.r13, c.r14, c.r15, c.ip,
       (c.flags & kUserFlags) | X86_EFLAGS_FIXED | X86_EFLAGS_IF};
  vcpu.run->kvm_dirty_regs |= KVM_SYNC_X86_REGS;

  alignas(64) uint8_t area[kXsaveBytes] = {};
  if (c.fpstate) {
    if (!copy_in(area, {c.fpstate}, 512)) return false;
    SwBytes sw;
    std::memcpy(&sw, area + kSwReservedOffset, sizeof sw);
    uint64_t bytes = xsave_size();
    uint32_t magic2 = 0;
    bool extended = sw.magic1 == kXstateMagic1 && sw.xstate_size >= 576 && sw.xstate_size <= bytes &&
                    sw.extended_size == sw.xstate_size + 4 && get(magic2, {c.fpstate + sw.xstate_size}) &&
                    magic2 == kXstateMagic2;
    std::memset(area + kSwReservedOffset, 0, sizeof sw);
    if (extended) {
      if (!copy_in(area + 512, {c.fpstate + 512}, sw.xstate_size - 512)) return false;
      uint64_t components;
      std::memcpy(&components, area + kXsaveHeaderOffset, 8);
      components &= x86_enabled_xcr0() & sw.xfeatures;
      std::memcpy(area + kXsaveHeaderOffset, &components, 8);
      std::memset(area + kXsaveHeaderOffset + 8, 0, 56);
    } else {
      uint64_t components = 3;
      std::memcpy(area + kXsaveHeaderOffset, &components, 8);
    }
    // Reserved MXCSR bits would make the machine refuse the state.
    uint32_t mxcsr;
    std::memcpy(&mxcsr, area + 24, 4);
    mxcsr &= 0xffff;
    std::memcpy(area + 24, &mxcsr, 4);
  } else {
    // No state: the initial one (x87 control word 037FH, MXCSR 1F80H).
    uint16_t control = 0x37f;
    uint32_t mxcsr = 0x1f80;
    std::memcpy(area, &control, 2);
    std::memcpy(area + 24, &mxcsr, 4);
  }
  if (is_error(set_xsave(vcpu, area))) return false;

  // The alternate stack comes back as it was (restore_altstack); bad values are ignored there too.
  t.alternate_stack.ss_sp = reinterpret_cast<void*>(f.uc_stack.sp);
  t.alternate_stack.ss_size = f.uc_stack.flags & SS_DISABLE ? 0 : f.uc_stack.size;
  t.alternate_stack.ss_flags = f.uc_stack.flags & kAutoDisarm;
  return true;
}

}  // namespace tine
