// prctl: which arguments are pointers, for every option that process/ and seccomp/ do not serve themselves.
#include "syscall/prctl.h"

#include <errno.h>
#include <sys/prctl.h>

namespace tine {
namespace {

// Bit n: argument n is a pointer. -1: not for guests.
int option_pointers(uint64_t option) {
  constexpr int kSecond = 2;
  switch (option) {
    case PR_GET_PDEATHSIG:
    case PR_SET_NAME:
    case PR_GET_NAME:
    case PR_GET_TSC:
    case PR_GET_CHILD_SUBREAPER:
    case PR_GET_FPEMU:
    case PR_GET_FPEXC:
    case PR_GET_UNALIGN:
    case PR_GET_ENDIAN: return kSecond;
    case PR_SET_PDEATHSIG:
    case PR_GET_DUMPABLE:
    case PR_SET_DUMPABLE:
    case PR_GET_KEEPCAPS:
    case PR_SET_KEEPCAPS:
    case PR_GET_TIMING:
    case PR_SET_TIMING:
    case PR_CAPBSET_READ:
    case PR_CAPBSET_DROP:
    case PR_CAP_AMBIENT:
    case PR_GET_SECUREBITS:
    case PR_SET_SECUREBITS:
    case PR_SET_TIMERSLACK:
    case PR_GET_TIMERSLACK:
    case PR_MCE_KILL:
    case PR_MCE_KILL_GET:
    case PR_SET_CHILD_SUBREAPER:
    case PR_SET_PTRACER:
    case PR_SET_NO_NEW_PRIVS:
    case PR_GET_NO_NEW_PRIVS:
    case PR_GET_IO_FLUSHER:
    case PR_SET_IO_FLUSHER:
    case PR_GET_SPECULATION_CTRL:
    case PR_SET_SPECULATION_CTRL:
    case PR_SET_THP_DISABLE:
    case PR_GET_THP_DISABLE:
    case PR_TASK_PERF_EVENTS_DISABLE:
    case PR_TASK_PERF_EVENTS_ENABLE: return 0;
    case PR_SCHED_CORE: return 16;  // the fifth: where a cookie is stored
    default: return -1;
  }
}

}  // namespace

int64_t prctl_passthrough(Call& call) {
  uint64_t option = static_cast<uint32_t>(call.a[0]);
  // The counter can be read, and is not to be taken away: that would need a control register of the host's machine.
  if (option == PR_SET_TSC) return call.a[1] == PR_TSC_ENABLE ? 0 : -EINVAL;
  int pointers = option_pointers(option);
  if (pointers < 0) return -EINVAL;
  uint64_t host[5];
  for (int i = 0; i < 5; ++i) host[i] = pointers >> i & 1 ? hp(call.ptr(i)) : call.a[i];
  return host_call(call.thread, SYS_prctl, host[0], host[1], host[2], host[3], host[4]);
}

}  // namespace tine
