// The filters of /proc texts as pure functions: what the host shows of a monitor in, what its guest should read out.
// Addresses are translated back, the monitor's own mappings dropped, protections and names are the guest's.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "memory/address.h"

namespace tine {

// A mapping as the guest made it. An empty list everywhere below means that the process is another one, of
// which only the host's text is known.
struct GuestMapping {
  uint64_t start, end;
  uint32_t prot;       // PROT_*
  const char* name;    // "[stack]" and the like, or "" for the host's own name
  bool shared;
};
using GuestMappings = std::span<const GuestMapping>;

std::string guest_maps(std::string_view host, GuestMappings mappings);
// smaps and, with `rolled_up`, smaps_rollup (from the host's smaps). Figures of a host mapping that is several of
// the guest's are dealt out in order: each gets what fits into it, the sum is the host's.
std::string guest_smaps(std::string_view host, GuestMappings mappings, bool rolled_up);
std::string guest_numa_maps(std::string_view host);

// /proc/PID/auxv where the kernel was not told the guest's: pairs of words without the monitor's addresses.
std::string guest_auxv(std::string_view host);

struct HostRange {
  uint64_t start, end;
};

// What the guest of another monitor has mapped, as far as the host's maps tell: bytes in all without the stack, private and writable
// ones of them, and the mapping that holds `stack`.
struct WindowSizes {
  uint64_t size = 0, data = 0;
  HostRange stack{};  // as host addresses: on the host it is as large as it may become
};
WindowSizes window_sizes(std::string_view host_maps, GuestAddr stack);

// The next range of /proc/PID/maps that is the monitor's own, as host addresses ({0, 0}: no more). Returns the text
// after it.
std::string_view next_monitor_range(std::string_view host_maps, HostRange& range);

}  // namespace tine
