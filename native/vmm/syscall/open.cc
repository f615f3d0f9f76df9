// The calls that open files. All go through one function, which opens without following magic links: those, and
// everything that turns out to be procfs, are procfs/'s to judge.
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "memory/guest_copy.h"
#include "procfs/procfs.h"
#include "syscall/descriptors.h"
#include "syscall/handlers.h"
#include "syscall/paths.h"

namespace tine {
namespace {

constexpr uint64_t kTmpFile = O_TMPFILE & ~O_DIRECTORY;
// include/linux/fcntl.h, VALID_OPEN_FLAGS; FASYNC is O_ASYNC, O_LARGEFILE is 0 to userland.
constexpr uint64_t kLargeFile = 0100000;
constexpr uint64_t kKnownFlags = O_ACCMODE | O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_APPEND | O_NDELAY | O_NONBLOCK |
                                 O_SYNC | O_DSYNC | O_ASYNC | O_DIRECT | kLargeFile | O_DIRECTORY | O_NOFOLLOW |
                                 O_NOATIME | O_CLOEXEC | O_PATH | kTmpFile;
constexpr uint64_t kPathFlags = O_DIRECTORY | O_NOFOLLOW | O_PATH | O_CLOEXEC;

// open(2) and openat(2) forgive what openat2(2) refuses (fs/open.c, build_open_how).
open_how forgiving(uint64_t flags, uint64_t mode) {
  open_how how{};
  how.flags = static_cast<uint32_t>(flags) & kKnownFlags;
  if (how.flags & O_PATH) how.flags &= kPathFlags;
  if (how.flags & (O_CREAT | kTmpFile)) how.mode = mode & 07777;
  return how;
}

// Opening these may wait for a partner or a lock for ever, so they only wait at the gate. Whether a path is one
// is not known before it is opened; a gate held for ever would stop the monitor from making a vCPU, so only
// opens that cannot wait hold it.
bool cannot_wait(uint64_t flags) { return (flags & (O_NONBLOCK | O_PATH | O_DIRECTORY)) != 0; }

// No machine inside the machine: as where no processor has virtualisation. Its requests are not in ioctl.def
// either, so this is for programs that look whether it can be opened.
bool is_kvm_device(const char* path, int64_t fd) {
  if (!strstr(path, "kvm")) return false;
  struct stat found;
  return raw(SYS_fstat, static_cast<uint64_t>(fd), arg(&found)) == 0 && S_ISCHR(found.st_mode) &&
         found.st_rdev == makedev(10, 232);  // MISC_MAJOR, KVM_MINOR
}

int64_t open_host(Call& call, int directory, const char* path, const open_how& how) {
  Thread& thread = call.thread;
  int64_t result =
      limit_descriptor(thread, procfs_open(thread, directory, path, how.flags, how.mode, how.resolve));
  if (result >= 0 && is_kvm_device(path, result)) {
    raw(SYS_close, static_cast<uint64_t>(result));
    return -ENODEV;
  }
  return result;
}

int64_t open_guest(Call& call, int directory, GuestAddr guest_path, const open_how& how) {
  Thread& thread = call.thread;
  if (is_hidden(thread, directory)) return -EBADF;
  char path[PATH_MAX];
  int64_t length = copy_string(path, guest_path, sizeof path);
  if (length < 0) return length;
  if (cannot_wait(how.flags)) {
    auto gate = hold_gate(thread);
    return open_host(call, directory, path, how);
  }
  pass_gate(thread);
  return open_host(call, directory, path, how);
}

// What a descriptor made in another way than by open turned out to be.
int64_t judge(Thread& thread, int64_t result, uint64_t flags) {
  result = limit_descriptor(thread, result);
  if (result < 0 || !procfs_is_procfs(static_cast<int>(result))) return result;
  return procfs_opened(thread, static_cast<int>(result), static_cast<int>(flags));
}

}  // namespace

int64_t sys_open(Call& call) { return open_guest(call, AT_FDCWD, call.ptr(0), forgiving(call.a[1], call.a[2])); }

int64_t sys_openat(Call& call) {
  return open_guest(call, call.fd(0), call.ptr(1), forgiving(call.a[2], call.a[3]));
}

int64_t sys_creat(Call& call) {
  return open_guest(call, AT_FDCWD, call.ptr(0), forgiving(O_CREAT | O_WRONLY | O_TRUNC, call.a[1]));
}

int64_t sys_openat2(Call& call) {
  constexpr uint64_t kFirstSize = 24;  // OPEN_HOW_SIZE_VER0
  uint64_t size = call.a[3];
  if (size < kFirstSize) return -EINVAL;
  if (size > kPage) return -E2BIG;
  open_how how{};
  if (!copy_in(&how, call.ptr(2), size < sizeof how ? size : sizeof how)) return -EFAULT;
  for (uint64_t at = sizeof how; at < size; ++at) {
    uint8_t byte;
    if (!get(byte, call.ptr(2) + at)) return -EFAULT;
    if (byte != 0) return -E2BIG;
  }
  return open_guest(call, call.fd(0), call.ptr(1), how);
}

int64_t sys_open_by_handle_at(Call& call) {
  if (is_hidden(call.thread, call.fd(0))) return -EBADF;
  pass_gate(call.thread);
  int64_t result =
      host_call(call.thread, SYS_open_by_handle_at, call.a[0], hp(call.ptr(1)), static_cast<uint32_t>(call.a[2]));
  return judge(call.thread, result, call.a[2]);
}

int64_t sys_open_tree(Call& call) {
  if (is_hidden(call.thread, call.fd(0))) return -EBADF;
  HostPath path;
  bool follow = (call.a[2] & AT_SYMLINK_NOFOLLOW) == 0;
  if (int64_t error = take_path(call.thread, call.fd(0), call.ptr(1), follow, path)) return error;
  auto gate = hold_gate(call.thread);
  return judge(call.thread, host_call(call.thread, call.number, call.a[0], path.value(), call.a[2], hp(call.ptr(3)),
                                      call.a[4]),
               O_PATH);
}

int64_t sys_open_tree_attr(Call& call) { return sys_open_tree(call); }

// The queue's name is looked up in the mqueue file system, so no magic link can be met.
int64_t sys_mq_open(Call& call) {
  auto gate = hold_gate(call.thread);
  return limit_descriptor(call.thread, host_call(call.thread, SYS_mq_open, hp(call.ptr(0)), call.a[1], call.a[2],
                                                 hp(call.ptr(3))));
}

}  // namespace tine
