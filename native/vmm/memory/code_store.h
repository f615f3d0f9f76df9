// Copies of the code and constants that programs of one container map from files, shared by all its monitors.
//
// Where page tables are shadowed KVM brings the neighbours of a page that faults, up to eight, but only those that the host
// has mapped writable (memory/write_key.h). Pages of files are not, so each came by itself, at 30 to 50 µs: a compiler
// touches two thousand. A copy in memory of the monitors' own is: the guest's page tables lead there, read-only as ever,
// while the host's mapping of the file stays what it was, for the kernel, for /proc and for whatever the guest does to the
// mapping next. A fork neither write-protects nor copies such pages.
//
// The store is one memory file: an index, then the copies. It is made with the container's first process and handed on
// by fork and exec. Its monitors trust each other with it; the guest can reach its pages through page tables only.
#pragma once
#include <cstdint>

#include "memory/address.h"

namespace tine {

// The host brings in 16 pages of a file around one that faults, aligned within the file. A copy stands in the store as its
// original does in the file, and loaders' mappings begin at such places, so that none of a fault's neighbours is missing.
constexpr uint64_t kCodeAlignment = 64 << 10;

class CodeStore {
 public:
  // A new store of `bytes`. Descriptor or -errno.
  static int64_t make(uint64_t bytes);
  // The size of the store behind a descriptor, 0 for none.
  static uint64_t bytes_of(int fd);

  void attach(uint8_t* memory, uint64_t bytes) { memory_ = memory, bytes_ = bytes; }
  bool attached() const { return memory_; }

  // Where in the store [offset, offset + bytes) of a file is, which is mapped at `mapped` by now; 0: not there. What is
  // asked for and missing is copied in, large runs only when they are asked for a second time. A file that changed
  // within the last seconds is left alone: its times might not tell the next change.
  uint64_t find(int fd, uint64_t offset, uint64_t bytes, HostAddr mapped);

  // The host's page tables have [at, at + bytes): a fork's child begins without.
  void bring(uint64_t at, uint64_t bytes);

  // The monitor forgets its mapping of [at, at + bytes), so that the machine does as well.
  void drop(uint64_t at, uint64_t bytes);

 private:
  struct Index;
  uint8_t* memory_ = nullptr;
  uint64_t bytes_ = 0;
};

}  // namespace tine
