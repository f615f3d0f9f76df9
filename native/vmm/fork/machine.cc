// What every strategy shares: the child's machine. The guest-physical layout is the parent's, so the inherited page
// tables are right as they are: the child only needs a machine over the same windows.
#include <linux/sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#include <cerrno>
#include <utility>

#include "fork/board.h"
#include "fork/fork.h"
#include "host/raw.h"
#include "host/report.h"
#include "kvm/vcpu.h"
#include "memory/address_space.h"
#include "process/threads.h"
#include "signal/signal.h"

extern "C" int64_t tine_clone3(clone_args* args, size_t size, void (*run)(void*), void* argument);

namespace tine {

const ForkStrategy& fork_strategy(const Process& process) {
  switch (static_cast<Strategy>(process.fork_strategy)) {
    case Strategy::kCow: return kCopyOnWrite;
    case Strategy::kSelectiveCow: return kSelectiveCopyOnWrite;
    case Strategy::kRegionCopy: return kCopyRegions;
    case Strategy::kAuto: break;
  }
  return process.translated ? kSelectiveCopyOnWrite : kCopyOnWrite;
}

int64_t give_memory_to_child(ForkChild& child) {
  Thread& t = child.thread;
  Process& p = *t.process;
  AddressSpace& space = *p.space;
  space.vm.abandon(p, !child.shares_descriptors);
  space.drop_not_inherited();
  clear_figures();
  if (int64_t result = space.create_machine(p)) return result;
  int64_t result = 0;
  t.vcpu = space.vm.acquire(p, result);
  if (!t.vcpu) return result;
  result = restore_cpu_state(*t.vcpu, child.state);
  if (is_error(result)) return result;
  result = first_run_in_helper(*t.vcpu, kBriefly);
  if (result) return result;
  child.word.tell(0);
  bring_back_after_fork(t, true);
  // Copying takes its time, and the parent has better to do than to wait for it. The machine knows no page yet that it
  // would have to be told of.
  if (auto* chosen = fork_strategy(p).copies) {
    result = copy_shared_pages(p, chosen);
    if (is_error(result)) return result;
    board.copied = static_cast<uint64_t>(result);
  }
  return 0;
}

namespace {

constexpr timespec kPause{0, 5'000'000};

struct Helper {
  Vcpu& vcpu;
  int64_t result;
};

void helper_main(void* raw_helper) {
  auto& helper = *static_cast<Helper*>(raw_helper);
  helper.result = helper.vcpu.enter();
  raw(SYS_exit_group, 0);  // the kernel's thread goes with the group
}

// -EINTR: the run was made, and left at once as told. The helper is still to be reaped unless it could not be made.
int64_t run_once(clone_args& args, Vcpu& vcpu, int64_t& pid) {
  Helper helper{vcpu, 0};
  pid = tine_clone3(&args, sizeof args, helper_main, &helper);
  return is_error(pid) ? pid : helper.result;
}

// True: it is gone. What it used is not the guest's children's.
bool reap(Process& process, int64_t pid, bool wait) {
  for (;;) {
    rusage used{};
    const int64_t reaped = raw(SYS_wait4, static_cast<uint64_t>(pid), 0, static_cast<uint64_t>(__WALL | (wait ? 0 : WNOHANG)), arg(&used));
    if (reaped == -EINTR) continue;
    if (reaped == 0) return false;
    if (reaped == pid) {
      for (auto [sum, more] : {std::pair{&process.helper_user, &used.ru_utime}, {&process.helper_system, &used.ru_stime}})
        *sum += static_cast<uint64_t>(more->tv_sec) * 1'000'000 + static_cast<uint64_t>(more->tv_usec) + 1;  // the kernel adds up nanoseconds
    }
    return true;
  }
}

}  // namespace

int64_t first_run_in_helper(Vcpu& vcpu, int patience) {
  Thread* block = new_thread_block();
  if (!block) return -ENOMEM;
  Process& process = *current().process;
  await_helper(process, true);  // there is room for one
  vcpu.run->immediate_exit = 1;
  // No signal tells of its end, and no wait of the guest's sees it that does not ask for such children (__WALL).
  clone_args args{};
  args.flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_VFORK | CLONE_UNTRACED;
  args.stack = arg(block->stack_block);
  args.stack_size = kMonitorStack - 256;
  int64_t pid = 0;
  int64_t result = run_once(args, vcpu, pid);
  for (int i = 0; result == -EAGAIN && i < patience; i++) {
    if (!is_error(pid)) reap(process, pid, true);
    raw(SYS_nanosleep, arg(&kPause), 0);
    result = run_once(args, vcpu, pid);
  }
  // The kernel's thread is told to end, and on a busy machine that may take a while.
  if (!is_error(pid) && !reap(process, pid, false)) process.helper.store(static_cast<int>(pid));
  release_thread_block(block);
  vcpu.run->immediate_exit = 0;
  return result == -EAGAIN ? result : 0;
}

void await_helper(Process& process, bool wait) {
  const int pid = process.helper.load(std::memory_order_relaxed);
  if (pid && reap(process, pid, wait)) process.helper.store(0);
}

}  // namespace tine
