// A futex mutex that can be taken by the forking thread and released in the child as well.
#pragma once
#include <linux/futex.h>

#include <atomic>
#include <cstdint>

#include "host/raw.h"

namespace tine {

class Lock {
 public:
  void lock() {
    uint32_t expected = 0;
    if (state_.compare_exchange_strong(expected, 1, std::memory_order_acquire)) return;
    while (state_.exchange(2, std::memory_order_acquire) != 0)
      raw(SYS_futex, reinterpret_cast<uint64_t>(&state_), FUTEX_WAIT, 2, 0);
  }
  void unlock() {
    if (state_.exchange(0, std::memory_order_release) == 2)
      raw(SYS_futex, reinterpret_cast<uint64_t>(&state_), FUTEX_WAKE, 1);
  }

 private:
  std::atomic<uint32_t> state_{0};
};

class Guard {
 public:
  explicit Guard(Lock& lock) : lock_(lock) { lock_.lock(); }
  ~Guard() { lock_.unlock(); }
  Guard(const Guard&) = delete;
  Guard& operator=(const Guard&) = delete;

 private:
  Lock& lock_;
};

}  // namespace tine
