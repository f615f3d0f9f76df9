// Linux's arm64 signal frame, with the FPSIMD record, so that unwinders, Go, the JVM and V8 find what they expect.
#include <signal.h>

#include <cstddef>
#include <cstring>

#include "arch/aarch64/machine.h"
#include "arch/aarch64/vdso.h"
#include "host/raw.h"
#include "kvm/vcpu.h"
#include "memory/address_space.h"
#include "memory/guest_copy.h"
#include "signal/signal.h"

namespace tine {
namespace {

// uapi/asm/sigcontext.h, whose names collide with <signal.h>'s.
constexpr uint32_t kFpsimdMagic = 0x46508001, kEsrMagic = 0x45535201;
constexpr int kAutoDisarm = static_cast<int>(1u << 31);

struct RecordHead {
  uint32_t magic, size;
};
struct FpsimdRecord {
  RecordHead head;
  uint32_t fpsr, fpcr;
  CpuState::Vector v[32];
};
static_assert(sizeof(FpsimdRecord) == 528);
struct EsrRecord {
  RecordHead head;
  uint64_t esr;
};

struct UserStack {
  uint64_t sp;
  int32_t flags, padding;
  uint64_t size;
};

struct Context {
  uint64_t fault_address, x[31], sp, pc, pstate;
  alignas(16) uint8_t records[4096];
};

struct SignalFrame {
  uint8_t info[128];
  uint64_t uc_flags, uc_link;
  UserStack uc_stack;
  uint64_t mask;
  uint8_t unused[128 - 8];
  alignas(16) Context context;
};
static_assert(offsetof(SignalFrame, context) == 128 + 176 && offsetof(Context, records) == 288 && sizeof(SignalFrame) == 4688);

struct FrameRecord {
  uint64_t fp, lr;
};

// What push writes of the records; the rest of them is whatever the stack held.
constexpr uint64_t kWrittenRecords = sizeof(FpsimdRecord) + sizeof(EsrRecord) + sizeof(RecordHead);

}  // namespace

uint64_t arch_signal_stack_minimum() { return sizeof(SignalFrame) + 2 * sizeof(FrameRecord); }

void set_exception_context(Thread& t, uint64_t trap, uint64_t error, uint64_t address) {
  t.trap_number = trap;
  t.trap_error = error;
  t.trap_address = address;
}

bool push_signal_frame(Thread& t, const GuestAction& action, const siginfo_t& info, SignalSet saved_mask) {
  CpuState& state = frame(*t.vcpu).state;
  if (is_error(save_vectors(*t.vcpu))) return false;
  uint64_t sp = state.sp;
  bool on_alternate = on_alternate_stack(t, state.sp);
  if ((action.flags & SA_ONSTACK) && t.alternate_stack.ss_size && !on_alternate)
    sp = reinterpret_cast<uint64_t>(t.alternate_stack.ss_sp) + t.alternate_stack.ss_size;
  uint64_t record_at = (sp - sizeof(FrameRecord)) & ~15ull;
  uint64_t at = record_at - sizeof(SignalFrame);
  // Never run off the alternate stack: Linux forces SIGSEGV then.
  if (on_alternate || sp != state.sp) {
    uint64_t low = reinterpret_cast<uint64_t>(t.alternate_stack.ss_sp);
    if (t.alternate_stack.ss_size && (at < low || at >= low + t.alternate_stack.ss_size)) return false;
  }

  SignalFrame f;
  constexpr uint64_t kWritten = offsetof(SignalFrame, context) + offsetof(Context, records) + kWrittenRecords;
  std::memset(static_cast<void*>(&f), 0, kWritten);
  std::memcpy(f.info, &info, sizeof f.info);
  f.uc_stack.sp = reinterpret_cast<uint64_t>(t.alternate_stack.ss_sp);
  f.uc_stack.flags = t.alternate_stack.ss_size ? (on_alternate ? SS_ONSTACK : 0) : SS_DISABLE;
  f.uc_stack.flags |= t.alternate_stack.ss_flags & kAutoDisarm;
  f.uc_stack.size = t.alternate_stack.ss_size;
  f.mask = saved_mask;
  Context& c = f.context;
  c.fault_address = t.trap_address;
  std::memcpy(c.x, state.x, sizeof c.x);
  c.sp = state.sp;
  c.pc = state.pc;
  c.pstate = state.pstate;
  FpsimdRecord vectors{{kFpsimdMagic, sizeof vectors}, static_cast<uint32_t>(state.fpsr), static_cast<uint32_t>(state.fpcr), {}};
  std::memcpy(vectors.v, state.v, sizeof vectors.v);
  std::memcpy(c.records, &vectors, sizeof vectors);
  if (t.trap_error) {
    EsrRecord esr{{kEsrMagic, sizeof esr}, t.trap_error};
    std::memcpy(c.records + sizeof vectors, &esr, sizeof esr);
  }
  FrameRecord record{state.x[29], state.x[30]};
  if (t.alternate_stack.ss_flags & kAutoDisarm) t.alternate_stack = stack_t{};
  if (!copy_out({record_at}, &record, sizeof record) || !copy_out({at}, &f, kWritten)) return false;

  state.x[0] = static_cast<uint64_t>(info.si_signo);
  if (action.flags & SA_SIGINFO) {
    state.x[1] = at + offsetof(SignalFrame, info);
    state.x[2] = at + offsetof(SignalFrame, uc_flags);
  }
  state.x[29] = record_at;
  state.x[30] = action.flags & kRestorerFlag ? action.restorer : t.process->space->vdso + vdso_signal_return();
  state.sp = at;
  state.pc = action.handler;
  return true;
}

bool pop_signal_frame(Thread& t, SignalSet& mask) {
  Frame& machine = frame(*t.vcpu);
  CpuState& state = machine.state;
  if (state.sp & 15) return false;
  SignalFrame f;
  if (!copy_in(&f, {state.sp}, sizeof f)) return false;
  const Context& c = f.context;
  FpsimdRecord vectors;
  bool found = false;
  for (uint64_t at = 0; at + sizeof(RecordHead) <= sizeof c.records;) {
    RecordHead head;
    std::memcpy(&head, c.records + at, sizeof head);
    if (!head.magic && !head.size) break;
    if (head.size < sizeof head || (head.size & 15) || head.size > sizeof c.records - at) return false;
    if (head.magic == kFpsimdMagic) {
      if (head.size != sizeof vectors || found) return false;
      std::memcpy(static_cast<void*>(&vectors), c.records + at, sizeof vectors);
      found = true;
    }
    at += head.size;
  }
  if (!found) return false;  // as Linux: a frame without the record is a bad frame
  std::memcpy(state.x, c.x, sizeof state.x);
  state.sp = c.sp;
  state.pc = c.pc;
  state.pstate = c.pstate & kUserState;
  std::memcpy(state.v, vectors.v, sizeof state.v);
  state.fpsr = vectors.fpsr;
  state.fpcr = vectors.fpcr;
  machine.command |= kLoadVectors;
  mask = f.mask;

  // The alternate stack comes back as it was (restore_altstack); bad values are ignored there too.
  t.alternate_stack.ss_sp = reinterpret_cast<void*>(f.uc_stack.sp);
  t.alternate_stack.ss_size = f.uc_stack.flags & SS_DISABLE ? 0 : f.uc_stack.size;
  t.alternate_stack.ss_flags = f.uc_stack.flags & kAutoDisarm;
  return true;
}

}  // namespace tine
