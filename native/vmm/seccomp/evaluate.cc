// Applies a thread's filters to one call, as __seccomp_filter() in kernel/seccomp.c does.
#include <errno.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/syscall.h>

#include "arch/arch.h"
#include "memory/address_space.h"
#include "process/thread.h"
#include "seccomp/seccomp.h"
#include "signal/signal.h"
#include "syscall/handlers.h"

#ifndef SYS_SECCOMP
#define SYS_SECCOMP 1  // si_code of a SIGSYS made by seccomp (asm-generic/siginfo.h)
#endif

namespace tine {
namespace {

constexpr uint32_t kMaxErrno = 4095;

// The verdict of all filters: the lowest action as a signed number wins, the newest filter where two agree.
uint32_t verdict(const SeccompChain* chain, const seccomp_data& data) {
  uint32_t result = SECCOMP_RET_ALLOW;
  for (; chain; chain = chain->previous) {
    const uint32_t one = bpf_run(chain->program, data);
    if (static_cast<int32_t>(one & SECCOMP_RET_ACTION_FULL) < static_cast<int32_t>(result & SECCOMP_RET_ACTION_FULL))
      result = one;
  }
  return result;
}

// SECCOMP_MODE_STRICT: four calls, and anything else ends the thread by SIGKILL.
bool strict_allows(uint32_t number) {
  return number == SYS_read || number == SYS_write || number == SYS_exit || number == SYS_rt_sigreturn;
}

// Ends this thread alone, or the process where it is the only one (kernel: __seccomp_filter and do_exit).
[[noreturn]] void die_thread_by_signal(Thread& thread, int number) {
  if (thread.process->thread_count.load() <= 1) die_by_signal(thread, number);
  Call end{thread, SYS_exit, {}};
  sys_exit(end);
  __builtin_unreachable();
}

// Where the program made the call, as it knows the place: not the slot of a changed call site.
uint64_t call_address(Thread& thread) { return thread.process->space->call_sites.original(guest_ip(thread)); }

int64_t trap(Call& call, uint32_t data) {
  siginfo_t info{};
  info.si_signo = SIGSYS;
  info.si_code = SYS_SECCOMP;
  info.si_errno = static_cast<int>(data);
  info.si_call_addr = reinterpret_cast<void*>(call_address(call.thread));
  info.si_syscall = static_cast<int>(call.number);
  info.si_arch = kAuditArch;
  force_signal(call.thread, info);
  return kRegistersSet;
}

bool always_allows(const SeccompChain& chain, uint32_t number) {
  return number < SeccompChain::kCachedNumbers && (chain.always_allowed[number / 64] >> (number % 64) & 1);
}

}  // namespace

bool seccomp_always_allows(const Thread& thread, uint32_t number) {
  if (thread.seccomp_mode != SECCOMP_MODE_FILTER) return thread.seccomp_mode == SECCOMP_MODE_DISABLED;
  const SeccompChain* chain = __atomic_load_n(&thread.seccomp, __ATOMIC_ACQUIRE);
  return !chain || always_allows(*chain, number);
}

int64_t seccomp_check(Call& call) {
  Thread& thread = call.thread;
  if (thread.seccomp_mode == SECCOMP_MODE_DISABLED) return 0;
  if (thread.seccomp_mode == SECCOMP_MODE_STRICT) {
    if (strict_allows(call.number)) return 0;
    die_thread_by_signal(thread, SIGKILL);
  }
  const SeccompChain* chain = __atomic_load_n(&thread.seccomp, __ATOMIC_ACQUIRE);  // TSYNC writes it from outside
  if (!chain || always_allows(*chain, call.number)) return 0;
  seccomp_data data{};
  data.nr = static_cast<int>(call.number);
  data.arch = kAuditArch;
  data.instruction_pointer = call_address(thread);
  for (int i = 0; i < 6; i++) data.args[i] = call.a[i];
  const uint32_t result = verdict(chain, data);
  const uint32_t value = result & SECCOMP_RET_DATA;
  switch (result & SECCOMP_RET_ACTION_FULL) {
    case SECCOMP_RET_ALLOW:
    case SECCOMP_RET_LOG:
      return 0;
    case SECCOMP_RET_ERRNO:
      if (value == 0) return kSeccompZero;
      return -static_cast<int64_t>(value < kMaxErrno ? value : kMaxErrno);
    case SECCOMP_RET_TRAP:
      return trap(call, value);
    case SECCOMP_RET_TRACE:       // no tracer
    case SECCOMP_RET_USER_NOTIF:  // no listener
      return -ENOSYS;
    case SECCOMP_RET_KILL_THREAD:
      die_thread_by_signal(thread, SIGSYS);
    default:  // KILL_PROCESS, and what the kernel does with an action it does not know
      die_by_signal(thread, SIGSYS);
  }
}

}  // namespace tine
