// tine-vmm --probe: what this host's KVM is, which entry stub it needs, what leaving the machine costs. A few guest
// instructions are run to find out; nothing is guessed from names alone.
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <span>

#include "arch/arch.h"
#include "host/clock.h"
#include "host/raw.h"
#include "host/report.h"
#include "kvm/vcpu.h"
#include "memory/address_space.h"
#include "memory/guest_copy.h"
#include "process/start.h"

namespace tine {
namespace {

void print(const char* text, size_t bytes) { raw(SYS_write, 1, arg(text), bytes); }

}  // namespace

void probe_machine(Thread& t) {
  AddressSpace& space = *t.process->space;
  space.mmap_top = 0x7000'0000'0000ull;
  MapRequest q;
  q.bytes = kPage;
  q.prot = PROT_READ | PROT_WRITE;
  q.flags = MAP_PRIVATE | MAP_ANONYMOUS;
  int64_t at = space.map(t, q);
  std::span<const uint8_t> code = arch_call_loop();
  if (is_error(at) || !copy_out({static_cast<uint64_t>(at)}, code.data(), code.size())) {
    report("probe: no memory");
    raw(SYS_exit_group, 1);
  }
  space.protect(t, static_cast<uint64_t>(at), kPage, PROT_READ | PROT_EXEC);
  start_guest_registers(*t.vcpu, {static_cast<uint64_t>(at)}, {static_cast<uint64_t>(at)});
  constexpr int kRounds = 201;
  int64_t cost[kRounds];
  bool user_stub = true;
  for (int round = -20; round < kRounds; round++) {
    int64_t before = monotonic_now();
    int64_t result = t.vcpu->enter();
    ExceptionInfo exception;
    if (arch_classify(*t.vcpu, result, exception) != Exit::kSystemCall) {
      report_broken_exit(t, result);
      raw(SYS_exit_group, 1);
    }
    user_stub = arch_user_stub(*t.vcpu);
    if (round >= 0) cost[round] = monotonic_now() - before;
  }
  std::sort(cost, cost + kRounds);
  const char* kind = arch_kvm_kind(user_stub);
  char line[512];
  int length = std::snprintf(line, sizeof line,
                             "{\"kvm\":\"%s\",\"stub\":\"%s\",\"why\":\"%s\",\"exit_us\":%.2f}\n", kind, user_stub ? "user" : "supervisor",
                             user_stub ? "a system call reaches its entry point still in user mode" : "a system call enters at the supervisor's privilege",
                             static_cast<double>(cost[kRounds / 2]) / 1000);
  print(line, static_cast<size_t>(length));
  raw(SYS_exit_group, 0);
  __builtin_unreachable();
}

}  // namespace tine
