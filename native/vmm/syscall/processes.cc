// Calls about other processes that could otherwise reach into a monitor, and the two that other folders serve.
#include <errno.h>
#include <linux/kcmp.h>
#include <linux/kvm.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/times.h>

#include <algorithm>

#include "memory/guest_copy.h"
#include "procfs/procfs.h"
#include "seccomp/seccomp.h"
#include "syscall/descriptors.h"
#include "syscall/handlers.h"

namespace tine {

namespace {

// Machines, vCPUs and /dev/kvm answer; those of another process with EIO, whatever the request.
bool is_kvm(int fd) {
  int64_t answer = raw(SYS_ioctl, static_cast<uint64_t>(fd), KVM_CHECK_EXTENSION, KVM_CAP_USER_MEMORY);
  return answer >= 0 || answer == -EIO;
}

bool is_same_file(int one, int other) {
  struct stat first, second;
  return raw(SYS_fstat, static_cast<uint64_t>(one), arg(&first)) == 0 &&
         raw(SYS_fstat, static_cast<uint64_t>(other), arg(&second)) == 0 && first.st_dev == second.st_dev &&
         first.st_ino == second.st_ino;
}

}  // namespace

int64_t sys_seccomp(Call& call) { return seccomp_call(call); }

// What the monitor's helpers used (fork/fork.h) is in the kernel's sums, and not the guest's.
int64_t sys_getrusage(Call& call) {
  const Process& process = *call.thread.process;
  if (call.fd(0) != RUSAGE_CHILDREN || !(process.helper_user | process.helper_system))
    return host_call(call.thread, SYS_getrusage, call.a[0], hp(call.ptr(1)));
  rusage usage;
  if (int64_t error = raw(SYS_getrusage, call.a[0], arg(&usage))) return error;
  auto less = [](timeval& time, uint64_t helpers) {
    constexpr int64_t kSecond = 1'000'000;
    const int64_t left = std::max<int64_t>(0, time.tv_sec * kSecond + time.tv_usec - static_cast<int64_t>(helpers));
    time = {left / kSecond, left % kSecond};
  };
  less(usage.ru_utime, process.helper_user);
  less(usage.ru_stime, process.helper_system);
  return put(call.ptr(1), usage) ? 0 : -EFAULT;
}

int64_t sys_times(Call& call) {
  const Process& process = *call.thread.process;
  constexpr uint64_t kTick = 10'000;  // µs of USER_HZ
  if (!call.a[0] || (process.helper_user | process.helper_system) < kTick) return host_call(call.thread, SYS_times, hp(call.ptr(0)));
  tms times;
  const int64_t now = raw(SYS_times, arg(&times));
  times.tms_cutime = std::max<clock_t>(0, times.tms_cutime - static_cast<clock_t>(process.helper_user / kTick));
  times.tms_cstime = std::max<clock_t>(0, times.tms_cstime - static_cast<clock_t>(process.helper_system / kTick));
  return put(call.ptr(0), times) ? now : -EFAULT;
}

int64_t sys_kcmp(Call& call) {
  uint64_t fourth = call.a[4];
  int type = static_cast<int>(call.a[2]);
  if (type == KCMP_EPOLL_TFD) {
    fourth = hp(call.ptr(4));
  } else if (type == KCMP_FILE) {
    // A number that is the monitor's here is most likely the monitor's there: the block is at the same place.
    if (is_hidden(call.thread, call.fd(3)) || is_hidden(call.thread, call.fd(4))) return -EBADF;
  }
  return host_call(call.thread, SYS_kcmp, call.a[0], call.a[1], call.a[2], call.a[3], fourth);
}

// The numbers of the target's monitor are as a rule this one's own; what is taken is judged all the same.
int64_t sys_pidfd_getfd(Call& call) {
  Thread& thread = call.thread;
  if (is_hidden(thread, call.fd(0)) || is_hidden(thread, call.fd(1))) return -EBADF;
  auto gate = hold_gate(thread);
  int64_t result = limit_descriptor(thread, host_call(thread, SYS_pidfd_getfd, call.a[0], call.a[1], call.a[2]));
  if (result < 0) return result;
  int fd = static_cast<int>(result);
  if (is_kvm(fd) || is_same_file(fd, thread.process->self_fd)) {
    raw(SYS_close, static_cast<uint64_t>(fd));
    return -EBADF;
  }
  int64_t error = admit_descriptor(thread, fd);
  return error == 0 ? fd : error;
}

}  // namespace tine
