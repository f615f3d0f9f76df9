// A protection key for pages that the guest may not write and the host's mapping lets be written.
//
// Under shadow paging KVM maps the neighbours of a page that faults, up to eight, but only those that the host has mapped
// writable: a program's code and constants came in one by one, at some 40 µs each. Pages of that kind that are the
// process's own anyway are therefore mapped writable, under a key that denies the writing again: the kernel heeds it
// for whatever it writes on the guest's behalf (EFAULT as ever), and it is open only while the machine runs, where
// the guest's page tables decide.
#pragma once
#include <cstdint>

namespace tine {

constexpr uint64_t kNeighbours = 8;  // that KVM maps together, aligned (PTE_PREFETCH_NUM)

// The key, or -1 where the processor or the kernel has none. Asked for once, before there are threads.
int write_key();

// Lets the calling thread write such pages for as long as it lives.
class OpenWriteKey {
 public:
  OpenWriteKey();
  ~OpenWriteKey();
  OpenWriteKey(const OpenWriteKey&) = delete;
  OpenWriteKey& operator=(const OpenWriteKey&) = delete;
};

}  // namespace tine
