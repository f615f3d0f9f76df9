#include "kvm/runner.h"

#include <linux/futex.h>
#include <linux/sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <time.h>

#include <algorithm>
#include <cstring>
#include <iterator>

#include "arch/arch.h"
#include "arch/post.h"
#include "host/raw.h"
#include "kvm/answers.h"
#include "kvm/cores.h"
#include "kvm/vcpu.h"
#include "memory/address_space.h"
#include "process/threads.h"
#include "seccomp/seccomp.h"
#include "signal/signal.h"
#include "syscall/call.h"

extern "C" int64_t tine_clone3(clone_args* args, size_t size, void (*run)(void*), void* argument);

namespace tine {
namespace {

// The signal that brings a runner out of KVM_RUN. It stays blocked but for the time inside (KVM_SET_SIGNAL_MASK), and no
// program uses it: Linux never sends it.
constexpr int kKickSignal = SIGSTKFLT;

// All limits are "about as long as an exit", the price that waiting saves: no limit needs to be exact.
constexpr uint64_t kHotGap = 1000 * kMicrosecond;     // exits closer than this make a thread hot (an exit may take 100)
constexpr uint32_t kHotCalls = 3;
constexpr uint64_t kFirstWatch = 400 * kMicrosecond;  // how long the identity thread watches for the first post,
constexpr uint64_t kWatch = 250 * kMicrosecond;       // and for the next after one, before it sleeps
// Where no core is idle, only for calls that follow each other closely, and with less patience.
constexpr uint64_t kTightGap = 250 * kMicrosecond;
constexpr uint32_t kTightCalls = 16;
constexpr uint64_t kFirstWatchCrowded = 200 * kMicrosecond, kWatchCrowded = 50 * kMicrosecond, kStubWatchCrowded = 40 * kMicrosecond;
constexpr uint32_t kMissLimitCrowded = 6;
constexpr uint64_t kRunnerWatch = 20 * kMicrosecond;  // the runner waits so long awake to be sent in again
constexpr uint64_t kStubWatch = 80 * kMicrosecond;    // the stub waits so long for its call, and leaves after that
constexpr uint64_t kWorthWaiting = 65 * kMicrosecond;  // calls that take longer are not waited for the next time
constexpr uint32_t kMissLimit = 8;
constexpr size_t kCpuWords = 16;                       // 1024 CPUs
constexpr uint64_t kFirstRest = 250 * kMicrosecond, kLongestRest = 20'000 * kMicrosecond;

PostPage& post_page(Thread& t) { return *arch_post_page(*t.vcpu); }

// False: nothing happened for as long.
bool futex_wait_for(std::atomic<uint32_t>& word, uint32_t seen, int64_t nanoseconds) {
  const timespec limit{0, nanoseconds};
  return raw(SYS_futex, arg(&word), FUTEX_WAIT_PRIVATE, seen, arg(&limit)) != -ETIMEDOUT;
}
void futex_wake(std::atomic<uint32_t>& word) { raw(SYS_futex, arg(&word), FUTEX_WAKE_PRIVATE, 1); }

void runner_main(void* raw_runner) {
  Runner& r = *static_cast<Runner*>(raw_runner);
  // The name by which procfs/ hides it from guests.
  raw(SYS_prctl, PR_SET_NAME, arg(kRunnerName));
  // Only the kick may interrupt KVM_RUN.
  constexpr SignalSet kInside = ~signal_bit(kKickSignal);
  for (;;) {
    uint32_t phase = r.phase.load(std::memory_order_acquire);
    for (uint64_t start = arch_ticks(); phase != Runner::kRun && phase != Runner::kQuit && arch_ticks() - start < kRunnerWatch;) {
      arch_pause();
      phase = r.phase.load(std::memory_order_acquire);
    }
    if (phase == Runner::kQuit) {
      if (r.frees_itself) delete &r;
      raw(SYS_exit, 0);
    }
    if (phase != Runner::kRun) {
      // A thread that sleeps or only computes needs none, and it would count as the container's for all that time.
      if (!futex_wait_for(r.phase, phase, kRunnerUnneeded)) {
        uint32_t idle = Runner::kIdle;
        if (r.phase.compare_exchange_strong(idle, Runner::kGone)) raw(SYS_exit, 0);
      }
      continue;
    }
    Vcpu& vcpu = *r.owner->vcpu;
    if (!vcpu.masks_signals) vcpu.mask_signals(&kInside);
    r.result = vcpu.enter();
    if (r.result == -4) {  // EINTR: take the kick off the queue
      SignalSet kick = signal_bit(kKickSignal);
      timespec now{};
      raw(SYS_rt_sigtimedwait, arg(&kick), 0, arg(&now), 8);
    }
    r.phase.store(Runner::kExited, std::memory_order_release);
    futex_wake(r.phase);
  }
}

bool start_runner(Thread& t) {
  Pairing& p = t.pairing;
  if (p.runner && p.runner->phase.load() == Runner::kGone) retire_runner(t);
  if (p.runner) return true;
  Thread* block = new_thread_block();
  if (!block) return false;
  auto* runner = new Runner;
  runner->owner = &t;
  runner->block = block;
  block->process = t.process;
  clone_args args{};
  args.flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM | CLONE_CHILD_CLEARTID;
  args.stack = arg(block->stack_block);
  args.stack_size = kMonitorStack - 256;
  args.child_tid = arg(alive_word(block));
  SignalSet everything = ~0ull, saved;
  raw(SYS_rt_sigprocmask, SIG_SETMASK, arg(&everything), arg(&saved), 8);
  int64_t made = tine_clone3(&args, sizeof args, runner_main, runner);
  raw(SYS_rt_sigprocmask, SIG_SETMASK, arg(&saved), 0, 8);
  if (is_error(made)) {
    release_thread_block(block);
    delete runner;
    return false;
  }
  runner->tid.store(static_cast<int>(made));
  p.runner = runner;
  return true;
}

// The runner goes to another CPU than the calling thread is on, one of those this thread may use: left to itself the kernel
// mostly starts it here, where it waits for the end of the very watch that is for it. False: there is no other.
bool place_runner(Thread& t) {
  Runner& r = *t.pairing.runner;
  unsigned cpu = 0;
  if (is_error(raw(SYS_getcpu, arg(&cpu), 0, 0)) || static_cast<int>(cpu) == r.avoids) return true;
  uint64_t cpus[kCpuWords] = {};
  const int64_t bytes = raw(SYS_sched_getaffinity, 0, sizeof cpus, arg(cpus));
  if (is_error(bytes) || cpu / 64 >= std::size(cpus)) return true;
  cpus[cpu / 64] &= ~(1ull << (cpu % 64));
  if (is_error(raw(SYS_sched_setaffinity, static_cast<uint64_t>(r.tid.load()), static_cast<uint64_t>(bytes), arg(cpus))))
    return false;
  r.avoids = static_cast<int>(cpu);
  return true;
}

// From now on the runner is alone at work, and goes where there is room.
void release_runner(Thread& t) {
  Runner& r = *t.pairing.runner;
  uint64_t cpus[kCpuWords] = {};
  const int64_t bytes = raw(SYS_sched_getaffinity, 0, sizeof cpus, arg(cpus));
  if (r.avoids < 0 || is_error(bytes)) return;
  raw(SYS_sched_setaffinity, static_cast<uint64_t>(r.tid.load()), static_cast<uint64_t>(bytes), arg(cpus));
  r.avoids = -1;
}

void rest(Thread& t) {
  Pairing& p = t.pairing;
  p.rest = p.rest ? (p.rest * 2 > kLongestRest ? kLongestRest : p.rest * 2) : kFirstRest;
  p.rest_until = arch_ticks() + p.rest;
  p.hot = p.misses = 0;
}

// False: it has just ended, or there is no CPU for it.
bool send_in(Thread& t) {
  Runner& r = *t.pairing.runner;
  uint32_t idle = Runner::kIdle;
  // Of one that has ended the number may be another task's.
  if (r.phase.load() != idle || !place_runner(t) || !r.phase.compare_exchange_strong(idle, Runner::kRun)) return false;
  futex_wake(r.phase);
  return true;
}

void kick(Runner& r) {
  while (r.phase.load(std::memory_order_acquire) == Runner::kRun) {
    if (int tid = r.tid.load()) raw(SYS_tgkill, static_cast<uint64_t>(r.owner->process->pid), static_cast<uint64_t>(tid), kKickSignal);
    for (int i = 0; i < 2000 && r.phase.load(std::memory_order_acquire) == Runner::kRun; i++) arch_pause();
    if (r.phase.load(std::memory_order_acquire) == Runner::kRun) {
      timespec brief{0, 50'000};
      raw(SYS_futex, arg(&r.phase), FUTEX_WAIT_PRIVATE, Runner::kRun, arg(&brief));
    }
  }
}

// Serves the call in the page. True: the guest goes on by itself; false: it has been told to leave the machine.
bool serve_post(Thread& t, PostPage& page) {
  Pairing& p = t.pairing;
  p.served = false;
  take_notes(t);
  take_actions(t);
  take_mask(t);
  Call call{t, static_cast<uint32_t>(page.number), {}};
  for (int i = 0; i < 6; i++) call.a[i] = page.arguments[i];
  if (t.pending || !seccomp_always_allows(t, call.number) || arch_call_needs_registers(call.number)) {
    page.state.store(kPostLeave, std::memory_order_release);
    return false;
  }
  note_call_site(t, page.return_address, call.number);
  t.call_interrupted = false;
  t.fault_ip = 0;
  t.posted = true;
  uint64_t& slow = p.slow[call.number / 64 % std::size(p.slow)];
  const uint64_t bit = 1ull << (call.number % 64);
  if (slow & bit) page.state.store(kPostSlow, std::memory_order_release);
  const uint64_t began = arch_ticks();
  int64_t result = serve(call);
  slow = arch_ticks() - began > kWorthWaiting ? slow | bit : slow & ~bit;
  t.posted = false;
  p.number = call.number;
  p.result = result;
  p.served = true;
  if (result == kRestart || t.pending) {
    page.state.store(kPostLeave, std::memory_order_release);
    return false;
  }
  page.result = static_cast<uint64_t>(result);
  page.state.store(kPostDone, std::memory_order_release);
  return true;
}

// Watches the page and the runner until the machine has been left.
int64_t wait_paired(Thread& t) {
  Pairing& p = t.pairing;
  Runner& r = *p.runner;
  PostPage& page = post_page(t);
  uint64_t since = arch_ticks(), watch = p.crowded ? kFirstWatchCrowded : kFirstWatch;
  bool any = false;
  for (;;) {
    if (r.phase.load(std::memory_order_acquire) == Runner::kExited) break;
    uint32_t posted = kPosted;
    if (page.state.load(std::memory_order_acquire) == kPosted && page.state.compare_exchange_strong(posted, kPostClaimed)) {
      serve_post(t, page);
      p.misses = 0;
      since = arch_ticks();
      watch = p.crowded ? kWatchCrowded : kWatch;
      any = true;
      continue;
    }
    if (t.pending && r.phase.load(std::memory_order_acquire) == Runner::kRun) {
      kick(r);
      continue;
    }
    arch_pause();
    if (arch_ticks() - since > watch) {
      // Nobody calls: the next call leaves the machine by itself, and this core is free until then.
      release_runner(t);
      page.mode.store(0, std::memory_order_release);
      p.active = false;
      p.hot = 0;
      // Nothing came at all: the pair cost more than it saved.
      if (!any) rest(t);
      else p.rest = 0;
      while (r.phase.load(std::memory_order_acquire) != Runner::kExited) {
        // A call that was posted just before is not left waiting for its time-out.
        uint32_t late = kPosted;
        if (page.state.compare_exchange_strong(late, kPostLeave)) {
          p.served = false;
          continue;
        }
        if (t.pending) kick(r);
        else host_call(t, SYS_futex, arg(&r.phase), FUTEX_WAIT_PRIVATE, Runner::kRun, 0);
      }
      break;
    }
  }
  r.phase.store(Runner::kIdle, std::memory_order_release);
  return r.result;
}

}  // namespace

int64_t enter_guest(Thread& t) {
  Pairing& p = t.pairing;
  if (p.active && !send_in(t)) unpair(t);
  if (!p.active) {
    // A runner was here before: the guest's signals have to interrupt again.
    if (t.vcpu->masks_signals) t.vcpu->mask_signals(nullptr);
    return t.vcpu->enter();
  }
  return wait_paired(t);
}

bool take_posted_result(Thread& t) {
  if (!arch_left_with_post(*t.vcpu)) return false;
  // Whatever the page says now, this post is over: it must not be found, and served, a second time.
  Pairing& p = t.pairing;
  bool unseen = post_page(t).state.exchange(kPostIdle) == kPosted;
  bool served = p.served && !unseen;
  p.served = false;
  if (unseen && p.active && ++p.misses >= (p.crowded ? kMissLimitCrowded : kMissLimit)) {
    // This thread does not get to run in time.
    unpair(t);
    rest(t);
  }
  return served;
}

void note_call_exit(Thread& t) {
  Pairing& p = t.pairing;
  Process& process = *t.process;
  if (process.exitless == static_cast<int>(Exitless::kOff) || process.shares_memory) return;
  uint64_t now = arch_ticks();
  if (p.active) return;
  bool quick = now - p.last_exit < kHotGap;
  p.tight = now - p.last_exit < kTightGap ? p.tight + 1 : 0;
  p.last_exit = now;
  p.hot = quick ? p.hot + 1 : 0;
  const bool always = process.exitless == static_cast<int>(Exitless::kOn);
  if (p.hot < kHotCalls || now < p.rest_until) return;
  if (!arch_can_post(*t.vcpu) || process.cores < 2) return rest(t);
  p.crowded = !always && running_threads(process) >= process.cores;
  if (p.crowded && p.tight < kTightCalls) {
    p.rest_until = now + kFirstRest;
    return;
  }
  if (!start_runner(t) || !place_runner(t)) {
    rest(t);
    return;
  }
  PostPage& page = post_page(t);
  page.state.store(kPostIdle);
  page.spin.store(p.crowded ? stub_rounds(kStubWatchCrowded) : stub_rounds(kStubWatch));
  page.mode.store(1, std::memory_order_release);
  p.served = false;
  p.active = true;
}

void note_call_site(Thread& t, uint64_t back, uint32_t number) {
  Process& process = *t.process;
  if (process.exitless == static_cast<int>(Exitless::kOff) || !arch_can_post(*t.vcpu)) return;
  constexpr int kUnseen = 3, kUnseenOfUnchanged = 20;
  CallSites& sites = process.space->call_sites;
  bool settled;
  if (process.shares_memory) {
    const Process::MetSite *first = process.met_sites, *end = first + process.met;
    const bool met = std::any_of(first, end, [&](const Process::MetSite& site) { return site.back == back; });
    if (!met && process.met < Process::kMetSites) process.met_sites[process.met++] = {back, number};
    settled = met || sites.is_settled(back);
  } else {
    settled = sites.note(t, back, number);
  }
  arch_let_unseen(*t.vcpu, settled ? kUnseenOfUnchanged : kUnseen);
}

void unpair(Thread& t) {
  Pairing& p = t.pairing;
  if (!p.active) return;
  post_page(t).mode.store(0, std::memory_order_release);
  p.active = false;
  p.hot = 0;
}

void retire_runner(Thread& t) {
  unpair(t);
  Pairing& p = t.pairing;
  if (!p.runner) return;
  Thread* block = p.runner->block;
  uint32_t* alive = alive_word(block);
  const bool gone = p.runner->phase.exchange(Runner::kQuit) == Runner::kGone;
  futex_wake(p.runner->phase);
  for (uint32_t seen; alive && (seen = __atomic_load_n(alive, __ATOMIC_ACQUIRE)) != 0;)
    raw(SYS_futex, arg(alive), FUTEX_WAIT, seen, 0);
  // That word is cleared a moment before the task is out of its group, which is what unshare and setns look at.
  const auto pid = static_cast<uint64_t>(t.process->pid), tid = static_cast<uint64_t>(p.runner->tid.load());
  const timespec moment{0, 20'000};
  // Of one that ended long ago the number may be another task's by now.
  constexpr int kLongEnough = 50;
  for (int i = 0; (!gone || i < kLongEnough) && raw(SYS_tgkill, pid, tid, 0) == 0; i++) raw(SYS_nanosleep, arg(&moment), 0);
  release_thread_block(block);
  delete p.runner;
  p.runner = nullptr;
}

void dismiss_runner(Thread& t) {
  unpair(t);
  Runner* r = t.pairing.runner;
  if (!r) return;
  t.pairing.runner = nullptr;
  abandon_thread_block(r->block);
  r->frees_itself = true;
  if (r->phase.exchange(Runner::kQuit) == Runner::kGone) delete r;  // it looks at nothing any more
  else futex_wake(r->phase);
}

void forget_place(Thread& t) {
  if (t.pairing.runner) t.pairing.runner->avoids = -1;
}

void forget_runner(Thread& t) { t.pairing = Pairing{}; }

}  // namespace tine
