#include "host/report.h"

#include <cstdarg>
#include <cstdio>

#include "host/raw.h"
#include "kvm/vcpu.h"
#include "process/thread.h"

extern "C" const char __executable_start[];

namespace tine {
namespace {
int log_fd = 2;
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
  report("monitor fault: signal %d at image+0x%lx, address %p; last guest call %u", signal,
         static_cast<unsigned long>(ip - reinterpret_cast<uint64_t>(__executable_start)), info->si_addr, t.last_call);
}

void report_broken_exit(Thread& t, int64_t result) {
  const kvm_run& run = *t.vcpu->run;
  report("unexpected exit of the machine: result %ld, reason %u, guest ip 0x%lx sp 0x%lx, last call %u, detail 0x%llx",
         static_cast<long>(result), run.exit_reason, static_cast<unsigned long>(guest_ip(t)), static_cast<unsigned long>(guest_sp(t)),
         t.last_call, static_cast<unsigned long long>(run.internal.suberror));
}

}  // namespace tine
