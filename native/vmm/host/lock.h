// A futex mutex that can be taken by the forking thread and released in the child as well, and that outlives its owner.
//
// A vfork child runs in its parent's memory and may be killed at any moment, with locks held that nobody would ever release.
// So the word names the owner, by its monitor stack, and whoever waits looks now and then whether that is still there. What the
// lock protects is then whole, unless the owner was just changing it.
#pragma once
#include <linux/futex.h>
#include <time.h>

#include <atomic>
#include <cerrno>
#include <cstdint>

#include "host/raw.h"

namespace tine {

// The lowest bits of a stack pointer that differ within one monitor stack (process/thread.h).
constexpr int kMonitorStackBits = 18;

inline uint32_t stack_number(uint64_t address) { return static_cast<uint32_t>(address >> kMonitorStackBits) & 0x7fffffff; }
inline uint32_t own_stack_number() { return stack_number(arg(__builtin_frame_address(0))); }

// The thread on this stack has left this memory for good (process/threads.cc).
bool is_left_stack(uint32_t number);
// A child died while it changed what it shares with us: nothing of that can be trusted any more.
[[noreturn]] void die_of_broken_state(const char* why);

class Lock {
 public:
  void lock() {
    uint32_t expected = 0;
    if (!state_.compare_exchange_strong(expected, own_stack_number() << 1, std::memory_order_acquire)) wait();
  }
  void unlock() {
    if (state_.exchange(0, std::memory_order_release) & kContended)
      raw(SYS_futex, reinterpret_cast<uint64_t>(&state_), FUTEX_WAKE, 1);
  }
  // For one who knows that the owner is gone.
  void release_of(uint32_t number) {
    if (state_.load() >> 1 != number) return;
    check();
    unlock();
  }

  // While it lives, what the lock protects is half changed. The owner's.
  class Change {
   public:
    explicit Change(Lock& lock) : lock_(lock) {
      lock_.changes_++;
      std::atomic_signal_fence(std::memory_order_seq_cst);
    }
    ~Change() {
      std::atomic_signal_fence(std::memory_order_seq_cst);
      lock_.changes_--;
    }
    Change(const Change&) = delete;
    Change& operator=(const Change&) = delete;

   private:
    Lock& lock_;
  };

 private:
  static constexpr uint32_t kContended = 1;
  static constexpr long kLookAfter = 50'000'000;  // ns

  void wait() {
    for (;;) {
      uint32_t seen = state_.load();
      const uint32_t mine = own_stack_number() << 1 | kContended;
      if (seen == 0 && state_.compare_exchange_strong(seen, mine, std::memory_order_acquire)) return;
      if (seen == 0) continue;
      if (!(seen & kContended) && !state_.compare_exchange_strong(seen, seen | kContended)) continue;
      seen |= kContended;
      const timespec limit{0, kLookAfter};
      const int64_t slept = raw(SYS_futex, reinterpret_cast<uint64_t>(&state_), FUTEX_WAIT, seen, arg(&limit));
      if (slept == -ETIMEDOUT && is_left_stack(seen >> 1) && state_.compare_exchange_strong(seen, mine, std::memory_order_acquire))
        return check();
    }
  }
  void check() const {
    if (changes_) die_of_broken_state("a child was killed while it changed memory that it shared");
  }

  std::atomic<uint32_t> state_{0};
  uint32_t changes_ = 0;
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
