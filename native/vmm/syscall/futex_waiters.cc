#include "syscall/futex_waiters.h"

#include <algorithm>
#include <atomic>

#include "arch/arch.h"
#include "kvm/cores.h"
#include "kvm/vcpu.h"
#include "memory/address_space.h"
#include "process/thread.h"

namespace tine {
namespace {

// A wait that is over before this was worth watching for: about what leaving the machine and coming back cost.
constexpr uint64_t kShortWait = 400 * kMicrosecond;
constexpr uint64_t kWatch = 120 * kMicrosecond;
constexpr uint64_t kAskAgain = 1000 * kMicrosecond;
constexpr int kLowest = -16, kHighest = 8, kForShort = 2;
constexpr uint32_t kUnknown = 1u << 31;  // set once and for ever

// entry.S has the same.
uint32_t* count_of(const Process& process, GuestAddr at) {
  uint32_t* counts = arch_futex_waiters(process.space->vm.kernel_area);
  return counts ? counts + at.v / sizeof(uint32_t) % kFutexWaiters : nullptr;
}

bool watching_pays(Thread& t, uint64_t now) {
  const Process& process = *t.process;
  FutexWatch& watch = t.futex_watch;
  if (watch.score <= 0 || process.cores < 2) return false;
  if (now - watch.asked > kAskAgain) {
    watch.asked = now;
    watch.crowded = running_threads(process) > process.cores;
  }
  return !watch.crowded;
}

}  // namespace

FutexWaiter::FutexWaiter(Thread& thread, GuestAddr at) : thread_(thread), count_(count_of(*thread.process, at)), began_(arch_ticks()) {
  if (count_) __atomic_fetch_add(count_, 1, __ATOMIC_SEQ_CST);
}

FutexWaiter::~FutexWaiter() {
  if (!count_) return;
  __atomic_fetch_sub(count_, 1, __ATOMIC_SEQ_CST);
  const uint64_t now = arch_ticks();
  FutexWatch& watch = thread_.futex_watch;
  const auto seen = static_cast<int>(std::min<uint32_t>(arch_take_futex_changes(*thread_.vcpu), kHighest));
  watch.score = std::clamp(watch.score + seen + (now - began_ < kShortWait ? kForShort : -1), kLowest, kHighest);
  // A thread that sleeps between its calls needs nobody to serve them.
  thread_.pairing.hot = 0;
  arch_put_futex_watch(*thread_.vcpu, watching_pays(thread_, now) ? stub_rounds(kWatch) : 0);
}

void expect_futex_waiters(Process& process, GuestAddr at) {
  if (uint32_t* count = count_of(process, at)) __atomic_fetch_or(count, kUnknown, __ATOMIC_SEQ_CST);
}

void forget_futex_waiters(uint8_t* shared) {
  uint32_t* counts = arch_futex_waiters(shared);
  // What was never written stays shared with the parent.
  for (uint64_t i = 0; counts && i < kFutexWaiters; i++)
    if (counts[i]) counts[i] = 0;
}

}  // namespace tine
