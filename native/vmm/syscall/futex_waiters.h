// Who waits at private futexes: counted, so that the stub answers a wake that would wake nobody (arch/, Answer::kFutex), and how
// long it watches a word before its thread goes to sleep at it. Both save an exit; a pair of threads that pass work to and fro
// saves two exits and a sleep.
#pragma once
#include <cstdint>

#include "memory/address.h"

namespace tine {

struct Process;
struct Thread;

// What a thread has learnt of its waits.
struct FutexWatch {
  int score = 0;           // above zero: they tend to be short
  uint64_t asked = 0;      // when it was last asked whether the cores are busy
  bool crowded = false;    // and what the answer was
};

// From before the kernel looks at the word until the thread waits no more: one who waits, or may, at a private futex.
class FutexWaiter {
 public:
  FutexWaiter(Thread& thread, GuestAddr at);
  ~FutexWaiter();
  FutexWaiter(const FutexWaiter&) = delete;
  FutexWaiter& operator=(const FutexWaiter&) = delete;

 private:
  Thread& thread_;
  uint32_t* count_;
  uint64_t began_;
};

// There may be waiters at a word from now on of which nobody tells when they go: moved there, or waiting at many at once.
void expect_futex_waiters(Process& process, GuestAddr at);
// In a fork's child, where nobody waits. `shared`: its kernel area.
void forget_futex_waiters(uint8_t* shared);

}  // namespace tine
