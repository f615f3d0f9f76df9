// Calls without exits. Leaving the machine costs 25 to 150 µs where KVM is PVM, so a guest thread that makes many calls
// gets a second host thread: the *runner* holds the vCPU in KVM_RUN, while the thread with the guest's identity waits for
// calls posted in a shared page and serves them on another core. Every call can be served so, because it is still the
// right thread that makes it; those that need the guest's registers tell the stub to leave first (docs/exitless.md).
#pragma once
#include <atomic>
#include <cstdint>

namespace tine {

struct Thread;

constexpr char kRunnerName[] = "tine runner";
constexpr int64_t kRunnerUnneeded = 30'000'000;  // ns without work after which a runner ends

enum class Exitless : int { kAuto, kOff, kOn };

struct Runner {
  enum Phase : uint32_t { kIdle, kRun, kExited, kQuit, kGone };  // kGone: nobody needed it for a while, and it ended
  std::atomic<uint32_t> phase{kIdle};
  int64_t result = 0;          // KVM_RUN's
  Thread* owner = nullptr;
  Thread* block = nullptr;     // the runner's own monitor stack
  std::atomic<int> tid{0};
  int avoids = -1;             // the CPU it keeps away from, that of the thread with the identity
  bool frees_itself = false;   // nobody waits for its end
};

// When and whether to pair, per guest thread.
struct Pairing {
  Runner* runner = nullptr;
  bool active = false;         // the runner holds the vCPU
  bool served = false;         // the posted call has been served, its result is `result`
  int64_t result = 0;
  uint32_t number = 0;
  uint64_t last_exit = 0;      // ticks
  uint32_t hot = 0;            // calls in quick succession
  uint32_t tight = 0;          // and hardly anything else
  bool crowded = false;        // others want the processors too
  uint32_t misses = 0;         // posts that timed out because nobody came
  uint64_t rest_until = 0;     // no pairing before this
  uint64_t rest = 0;
  uint64_t slow[8] = {};       // one bit a call: the last one took longer than waiting for it is worth
};

// Instead of KVM_RUN: enters the guest directly or through the runner, serves posted calls, and comes back with
// KVM_RUN's result when something else is to be done.
int64_t enter_guest(Thread& thread);
// A call left the machine from the post page's stub: true where it was served already (`pairing.result`), while the stub
// gave up waiting or because it could not go back by itself. Otherwise the call is still to be made.
bool take_posted_result(Thread& thread);
// A system call left the machine in the ordinary way: decides whether this thread is worth a runner.
void note_call_exit(Thread& thread);
// A call was made from the instruction before `back`: its code may change, so that the next one costs no trap.
void note_call_site(Thread& thread, uint64_t back, uint32_t number);
// From here on the vCPU is driven by the calling thread alone (fork, vfork, exit of the thread).
void unpair(Thread& thread);
// Ends the runner's host thread and waits for it: for calls that fail while another task shares the process.
void retire_runner(Thread& thread);
// The same for a thread that ends, without waiting.
void dismiss_runner(Thread& thread);
// The thread may be bound to other CPUs now: the runner has to keep to them.
void forget_place(Thread& thread);
// In a fork's child: the runner stayed in the parent.
void forget_runner(Thread& thread);

}  // namespace tine
