// Keeps guest calls that take or free descriptor numbers apart from the monitor making a descriptor of its own.
//
// KVM hands out the lowest free number, which the monitor then moves into its block. Between the two a guest
// thread must neither see that number, nor close it, nor put something else in its place. Guest calls are the
// many readers, the monitor the one writer. A forked child calls reset(): its readers stayed in the parent.
#pragma once
#include <linux/futex.h>

#include <atomic>
#include <cstdint>

#include "host/raw.h"

namespace tine {

class FdGate {
 public:
  void enter() {
    for (;;) {
      wait_open();
      users_.fetch_add(1);
      if (closed_.load() == 0) return;
      leave();
    }
  }
  void leave() {
    if (users_.fetch_sub(1) == 1 && closed_.load() != 0) wake(users_, 1);
  }
  // For calls that may block: they cannot hold the gate, and begin only while it is open.
  void wait_open() {
    while (uint32_t seen = closed_.load()) wait(closed_, seen);
  }
  void close() {
    uint32_t open = 0;
    while (!closed_.compare_exchange_strong(open, 1)) {
      wait(closed_, open);
      open = 0;
    }
    while (uint32_t seen = users_.load()) wait(users_, seen);
  }
  void open() {
    closed_.store(0);
    wake(closed_, INT32_MAX);
  }
  void reset() {
    users_.store(0);
    closed_.store(0);
  }

 private:
  static void wait(std::atomic<uint32_t>& word, uint32_t seen) {
    raw(SYS_futex, arg(&word), FUTEX_WAIT_PRIVATE, seen, 0);
  }
  static void wake(std::atomic<uint32_t>& word, int count) {
    raw(SYS_futex, arg(&word), FUTEX_WAKE_PRIVATE, static_cast<uint64_t>(count));
  }
  std::atomic<uint32_t> users_{0};
  std::atomic<uint32_t> closed_{0};
};

// Monitor side: no guest thread of the process takes or frees a number while this lives. The process may
// not make one itself through serve() meanwhile.
class ExclusiveDescriptors {
 public:
  explicit ExclusiveDescriptors(FdGate& gate) : gate_(gate) { gate_.close(); }
  ~ExclusiveDescriptors() { gate_.open(); }
  ExclusiveDescriptors(const ExclusiveDescriptors&) = delete;
  ExclusiveDescriptors& operator=(const ExclusiveDescriptors&) = delete;

 private:
  FdGate& gate_;
};

// Guest side. A process with one thread has nobody to meet; a thread that is alone stays so until it clones.
class DescriptorCall {
 public:
  DescriptorCall(FdGate& gate, bool threaded) : gate_(threaded ? &gate : nullptr) {
    if (gate_) gate_->enter();
  }
  ~DescriptorCall() {
    if (gate_) gate_->leave();
  }
  DescriptorCall(const DescriptorCall&) = delete;
  DescriptorCall& operator=(const DescriptorCall&) = delete;

 private:
  FdGate* gate_;
};

}  // namespace tine
