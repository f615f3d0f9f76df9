#include "host/report.h"

#include <cstdarg>
#include <cstdio>

#include "arch/arch.h"
#include "host/raw.h"
#include "kvm/vcpu.h"
#include "process/thread.h"

extern "C" const char __executable_start[];

namespace tine {
namespace {
int log_fd = 2;
constexpr size_t kRegistersText = 800;
}

void set_log_descriptor(int fd) { log_fd = fd; }

void report(const char* format, ...) {
  char line[1024];
  int length = std::snprintf(line, sizeof line, "tine-vmm[%d]: ", static_cast<int>(raw(SYS_getpid)));
  va_list arguments;
  va_start(arguments, format);
  int more = std::vsnprintf(line + length, sizeof line - static_cast<size_t>(length) - 1, format, arguments);
  va_end(arguments);
  length += more;
  if (length > static_cast<int>(sizeof line) - 2) length = sizeof line - 2;
  line[length++] = '\n';
  raw(SYS_write, static_cast<uint64_t>(log_fd), arg(line), static_cast<uint64_t>(length));
}

void report_monitor_fault(int signal, const siginfo_t* info, uint64_t ip) {
  Thread& t = current();
  char registers[kRegistersText] = "none yet";
  if (t.vcpu) describe_guest_registers(*t.vcpu, registers);
  report("monitor fault: signal %d at image+0x%lx, address %p; last guest call %u, guest registers: %s", signal,
         static_cast<unsigned long>(ip - reinterpret_cast<uint64_t>(__executable_start)), info->si_addr, t.last_call, registers);
}

void report_broken_exit(Thread& t, int64_t result) {
  const kvm_run& run = *t.vcpu->run;
  char registers[kRegistersText];
  describe_guest_registers(*t.vcpu, registers);
  report("unexpected exit of the machine: result %ld, reason %u, detail 0x%llx; last guest call %u, guest registers: %s", static_cast<long>(result),
         run.exit_reason, static_cast<unsigned long long>(run.internal.suberror), t.last_call, registers);
}

}  // namespace tine
