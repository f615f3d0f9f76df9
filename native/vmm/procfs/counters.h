// /proc/PID/{stat,status,statm,limits} with the guest's figures, as pure functions over the host's text.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace tine {

// What the monitor knows about its own process, in bytes and in the kernel's units. `own` is false for another
// process, of which the host tells less, and to another user nothing but the figures themselves.
struct GuestCounts {
  bool own = false;
  bool has_sizes = false;      // what follows up to monitor_file is known; of another process without text and libraries
  uint64_t size = 0;           // VmSize
  uint64_t data = 0, stack = 0, text = 0, libraries = 0, locked = 0;
  uint64_t monitor_anonymous = 0, monitor_file = 0;  // resident memory that is not the guest's
  uint64_t threads = 1;
  uint64_t hidden_threads = 0;  // of another process: threads that are its monitor's
  bool has_signals = false;    // ignored and caught are known
  uint64_t ignored = 0, caught = 0;
  bool has_mask = false;       // the task is the calling thread
  uint64_t blocked = 0;
  bool has_seccomp = false;    // seccomp fields are known: else they are shown as the container's
  bool no_new_privs = false;
  int seccomp_mode = 0;
  uint32_t seccomp_filters = 0;
};

std::string guest_status(std::string_view host, const GuestCounts& counts);
std::string guest_stat(std::string_view host, const GuestCounts& counts);
std::string guest_statm(std::string_view host, const GuestCounts& counts);

struct GuestLimit {
  const char* name;  // as in /proc/PID/limits: "Max open files"
  uint64_t soft, hard;
};
std::string guest_limits(std::string_view host, const GuestLimit* limits, size_t count);

}  // namespace tine
