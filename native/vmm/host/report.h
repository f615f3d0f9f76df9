// The monitor's own log: one report for each thing that should not have happened, to the container's log.
#pragma once
#include <signal.h>

#include <cstdint>

namespace tine {

struct Thread;

void set_log_descriptor(int fd);
// printf-style line with the process id in front.
[[gnu::format(printf, 1, 2)]] void report(const char* format, ...);
// The monitor itself faulted: where, and what the guest was doing.
void report_monitor_fault(int signal, const siginfo_t* info, uint64_t ip);
// The machine stopped in a way no guest should be able to bring about.
void report_broken_exit(Thread& t, int64_t result);

}  // namespace tine
