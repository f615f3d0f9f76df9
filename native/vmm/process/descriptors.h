// The monitor's own descriptors: a block of numbers that the guest cannot name.
//
// Where the block stands: just above the guest's soft RLIMIT_NOFILE where that is between 1024 and 4096, at 1024
// where it is lower or higher (a large table would cost every fork) or the hard limit leaves no room above it. The guest's own limit is then exact as
// far as it matters, because the kernel refuses numbers above it by itself.
#pragma once
#include <cstdint>

#include "process/thread.h"

namespace tine {

constexpr int kMostTranslators = 8;
// Numbers that threads' vCPUs leave free: a call on a path holds one of the block's for a moment.
constexpr int kSpareNumbers = 6;

// Places within the block. The first ones survive an exec, so that the new image finds them.
enum OwnPlace : int {
  kSelfPlace,
  kStatePlace,
  kKvmPlace,
  kExePlace,
  kLogPlace,
  kInterpreterPlace,
  kProcPlace,
  kBinaryPlace,           // what a translator is to run, on its way to AT_EXECFD
  kCodeStorePlace,        // memory/code_store.h
  kTranslatorTablePlace,  // process/translators.h
  kTranslatorPlace,
  kVmPlace = kTranslatorPlace + kMostTranslators,
  kVcpuPlace
};

constexpr int descriptor_base(uint64_t soft_limit) {
  return soft_limit > 1024 && soft_limit <= 4096 ? static_cast<int>(soft_limit) : 1024;
}

// While it lives the host's soft RLIMIT_NOFILE lets the monitor make descriptors whatever the guest's limit is: above it,
// and where the guest has used up all it may have.
class RoomForDescriptors {
 public:
  explicit RoomForDescriptors(const Process& process);
  ~RoomForDescriptors();
  // Room up to `needed` instead, for as long as it lives.
  void widen(uint64_t needed);
  RoomForDescriptors(const RoomForDescriptors&) = delete;
  RoomForDescriptors& operator=(const RoomForDescriptors&) = delete;

 private:
  const HostDescriptorLimit& limit_;
};

// Sets the host's RLIMIT_NOFILE for good. 0 or -errno.
int64_t set_host_descriptor_limit(Process& process, const rlimit64& limit);
// Takes over what another process has made of the host's RLIMIT_NOFILE (prlimit).
void adopt_descriptor_limit(Process& process);
// After a host fork: the limit may have been wide for a moment in another thread of the parent.
void settle_descriptor_limit(Process& process);


// Raises the host's soft limit so that the block's numbers can be made. False: the hard limit forbids it.
bool make_room_for_descriptors(Process& process);
// Moves `fd` to its place in the block (close-on-exec as given). Returns the new number or -errno.
int64_t own_descriptor(Process& process, int fd, int place, bool close_on_exec);
// Whether a vCPU may still have one of the block's numbers, the spare ones left alone.
bool has_room_for_vcpu(const Process& process);
// The block moves away because the guest asks for the number `wanted`. The guest's calls that make descriptors are held
// off meanwhile (descriptor_gate). False: there is no place for it.
bool relocate_own_descriptors(Process& process, int wanted);

}  // namespace tine
