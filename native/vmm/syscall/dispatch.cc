// The way of every guest call: seccomp, the table, then the host or a handler.
#include <errno.h>
#include <fcntl.h>

#include "arch/arch.h"
#include "fork/fork.h"
#include "kvm/answers.h"
#include "kvm/runner.h"
#include "memory/address_space.h"
#include "seccomp/seccomp.h"
#include "syscall/counters.h"
#include "syscall/descriptors.h"
#include "syscall/paths.h"
#include "syscall/table.h"

namespace tine {
namespace {

// Calls with paths take up to two copies of PATH_MAX on the monitor's stack: kept out of the common way.
[[gnu::noinline]] int64_t pass_with_paths(Call& call, const PassSpec& spec, uint64_t (&host)[6]) {
  HostPath paths[2];
  int used = 0;
  bool follow = spec.at_flags < 0 ? spec.follows : (call.a[spec.at_flags] & AT_SYMLINK_NOFOLLOW) == 0;
  for (int i = 0; i < 6; ++i) {
    uint8_t bit = static_cast<uint8_t>(1u << i);
    if ((spec.paths & bit) == 0) continue;
    int directory = i > 0 && (spec.directories & (bit >> 1)) ? call.fd(i - 1) : AT_FDCWD;
    if (int64_t error = take_path(call.thread, directory, call.ptr(i), follow, paths[used])) return error;
    host[i] = paths[used++].value();
  }
  return host_call(call.thread, call.number, host[0], host[1], host[2], host[3], host[4], host[5]);
}

int64_t make(Call& call, const PassSpec& spec, uint64_t (&host)[6]) {
  if (spec.paths) return pass_with_paths(call, spec, host);
  return host_call(call.thread, call.number, host[0], host[1], host[2], host[3], host[4], host[5]);
}

int64_t pass(Call& call, const PassSpec& spec) {
  uint64_t host[6];
  for (int i = 0; i < 6; ++i) {
    host[i] = call.a[i];
    if ((spec.descriptors | spec.directories) >> i & 1) {
      if (is_hidden(call.thread, call.fd(i))) return -EBADF;
    } else if (spec.pointers >> i & 1) {
      host[i] = hp(call.ptr(i));
    }
  }
  if (spec.gate == Gate::none) return make(call, spec, host);
  if (spec.gate == Gate::wait) {
    pass_gate(call.thread);
    int64_t result = make(call, spec, host);
    return spec.makes_descriptor ? limit_descriptor(call.thread, result) : result;
  }
  auto gate = hold_gate(call.thread);
  int64_t result = make(call, spec, host);
  return spec.makes_descriptor ? limit_descriptor(call.thread, result) : result;
}

int64_t answer(Call& call) {
  const CallRow& row = call_row(call.number);
  switch (row.kind) {
    case CallClass::pass: return pass(call, row.spec);
    case CallClass::emulated: return row.handler(call);
    case CallClass::refused: return -static_cast<int64_t>(row.error);
    case CallClass::unknown: break;
  }
  return -ENOSYS;
}

// What a program's start and a fork's child do first, and what can neither tell of other processes nor sleep for long.
bool is_first_step(const Call& call) {
  switch (call.number) {
    // As the dynamic loader opens libraries: a shell's redirection may be a FIFO, and wait for ever.
    case SYS_openat: return call.a[2] & O_CLOEXEC;
    case SYS_brk: case SYS_mmap: case SYS_munmap: case SYS_mprotect: case SYS_faccessat: case SYS_newfstatat: case SYS_close:
    case SYS_pread64: case SYS_set_tid_address: case SYS_set_robust_list: case SYS_rseq: case SYS_prlimit64: case SYS_getrandom:
    case SYS_rt_sigaction: case SYS_rt_sigprocmask: case SYS_getpid: case SYS_getuid: case SYS_getgid: case SYS_geteuid: case SYS_getegid:
    case SYS_dup3: case SYS_lseek:
#ifdef __x86_64__
    case SYS_access: case SYS_dup2: case SYS_arch_prctl:
#endif
      return true;
    default: return false;
  }
}

int64_t check_and_answer(Call& call) {
  Thread& thread = call.thread;
  thread.last_call = call.number;
  if (thread.process->helper.load(std::memory_order_relaxed)) [[unlikely]]
    await_helper(*thread.process, !is_first_step(call));
  if (thread.seccomp || thread.process->container_seccomp) [[unlikely]] {
    int64_t verdict = seccomp_check(call);
    if (verdict == kSeccompZero) return 0;
    if (verdict != 0) return verdict;
  }
  int64_t result = answer(call);
  if (result >= 0) revise_answers(call);
  if (call.number == SYS_sched_setaffinity) [[unlikely]] forget_place(thread);
  // The kernel writes below a MAP_GROWSDOWN mapping as a program does; the host's mirror of it does not grow.
  if (result == -EFAULT && thread.process->space->grow_for_call(thread, call.a)) result = answer(call);
  return result;
}

}  // namespace

int64_t serve(Call& call) {
  const uint32_t number = call.number;
  const bool posted = call.thread.posted;
  const int pid = call.thread.process->pid;
  const uint64_t began = arch_ticks();
  CallSites& sites = call.thread.process->space->call_sites;
  const uint32_t left = sites.times_left();
  const int64_t result = check_and_answer(call);
  if (sites.times_left() != left) [[unlikely]] set_guest_return(call.thread, sites.return_after_leaving(guest_ip(call.thread)));
  // A fork's child comes back here too: the call was its parent's.
  if (call.thread.process->pid == pid) count_call(number, posted, arch_ticks() - began);
  return result;
}

}  // namespace tine
