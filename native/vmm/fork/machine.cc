// What every strategy shares: the child's machine. The guest-physical layout is the parent's, so the inherited page
// tables are right as they are: the child only needs a machine over the same windows.
#include <linux/sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include <cerrno>

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
  board.forks = 0;
  board.fork_ticks = 0;
  board.copied = 0;
  if (int64_t result = space.create_machine(p)) return result;
  int64_t result = 0;
  t.vcpu = space.vm.acquire(p, result);
  if (!t.vcpu) return result;
  result = restore_cpu_state(*t.vcpu, child.state);
  if (is_error(result)) return result;
  result = first_run_in_helper(*t.vcpu, true, kBriefly);
  if (result) return result;
  child.word.tell(0);
  bring_back_after_fork(t);
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

// -EINTR: the run was made, and left at once as told.
int64_t run_once(clone_args& args, Vcpu& vcpu) {
  Helper helper{vcpu, 0};
  const int64_t pid = tine_clone3(&args, sizeof args, helper_main, &helper);
  if (is_error(pid)) return pid;
  int status;
  while (raw(SYS_wait4, static_cast<uint64_t>(pid), arg(&status), __WALL, 0) == -EINTR) {
  }
  return helper.result;
}

}  // namespace

int64_t first_run_in_helper(Vcpu& vcpu, bool childless, int patience) {
  Thread* block = new_thread_block();
  if (!block) return -ENOMEM;
  vcpu.run->immediate_exit = 1;
  clone_args args{};
  args.flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_VFORK | CLONE_UNTRACED;
  args.stack = arg(block->stack_block);
  args.stack_size = kMonitorStack - 256;
  // A child that is ignored is reaped by the kernel and its CPU time counts nowhere; safe only where no other child
  // could be lost so. All signals are blocked, so the disposition is seen by nobody.
  const GuestAction ignored{1, 0, 0, 0};
  if (childless) {
    args.exit_signal = SIGCHLD;
    set_host_action(SIGCHLD, ignored);
  }
  int64_t result = run_once(args, vcpu);
  for (int i = 0; result == -EAGAIN && i < patience; i++) {
    raw(SYS_nanosleep, arg(&kPause), 0);
    result = run_once(args, vcpu);
  }
  if (childless) set_host_action(SIGCHLD, current().process->handlers->action[SIGCHLD - 1]);
  release_thread_block(block);
  vcpu.run->immediate_exit = 0;
  return result == -EAGAIN ? result : 0;
}

}  // namespace tine
