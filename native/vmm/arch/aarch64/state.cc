// Guest registers in user form: reading, changing, saving and restoring them. They live in the vCPU's frame.
#include <algorithm>
#include <cstdio>
#include <cstring>

#include "arch/aarch64/machine.h"
#include "host/raw.h"
#include "kvm/vcpu.h"

namespace tine {

uint64_t guest_ip(Thread& t) { return frame(*t.vcpu).state.pc; }
void set_guest_return(Thread& t, uint64_t ip) { frame(*t.vcpu).state.pc = ip; }
uint64_t arch_call_return(Vcpu& vcpu) { return frame(vcpu).state.pc; }
uint64_t guest_sp(Thread& t) { return frame(*t.vcpu).state.sp; }

size_t describe_guest_registers(Vcpu& vcpu, std::span<char> text) {
  const CpuState& s = frame(vcpu).state;
  size_t used = 0;
  const auto add = [&](const char* name, int number, uint64_t value) {
    const int more = number < 0 ? std::snprintf(text.data() + used, text.size() - used, ", %s %lx", name, static_cast<unsigned long>(value))
                                : std::snprintf(text.data() + used, text.size() - used, "%s%s%d %lx", used ? ", " : "", name, number, static_cast<unsigned long>(value));
    used = std::min(used + static_cast<size_t>(more), text.size() - 1);
  };
  for (int i = 0; i < 31; i++) add("x", i, s.x[i]);
  add("sp", -1, s.sp);
  add("pc", -1, s.pc);
  return used;
}

uint32_t guest_call_number(Vcpu& vcpu) { return static_cast<uint32_t>(frame(vcpu).state.x[8]); }

void guest_call_arguments(Vcpu& vcpu, uint64_t (&a)[6]) { std::memcpy(a, frame(vcpu).state.x, sizeof a); }

void set_guest_result(Vcpu& vcpu, int64_t result) { frame(vcpu).state.x[0] = static_cast<uint64_t>(result); }

// x0 still holds the first argument: a result is only written when the call is over.
void rewind_guest_call(Vcpu& vcpu, uint32_t number) {
  frame(vcpu).state.x[8] = number;
  frame(vcpu).state.pc -= 4;  // the length of `svc`
}

void start_guest_registers(Vcpu& vcpu, GuestAddr entry, GuestAddr stack) {
  Frame& f = frame(vcpu);
  f.state = CpuState{};
  f.state.pc = entry.v;
  f.state.sp = stack.v;
  f.command |= kLoadVectors;
}

void child_guest_registers(Vcpu& vcpu, GuestAddr stack, bool set_tls, uint64_t tls) {
  Frame& f = frame(vcpu);
  f.state.x[0] = 0;
  if (stack.v) f.state.sp = stack.v;
  if (set_tls) f.state.tls = tls;
}

int64_t save_cpu_state(Vcpu& vcpu, CpuState& state) {
  int64_t result = save_vectors(vcpu);
  state = frame(vcpu).state;
  return result;
}

int64_t restore_cpu_state(Vcpu& vcpu, const CpuState& state) {
  Frame& f = frame(vcpu);
  f.state = state;
  f.command |= kLoadVectors;
  return 0;
}

}  // namespace tine
