// Calls about names that need more than the table's translation: links, directories, attributes.
#include <errno.h>
#include <fcntl.h>
#include <linux/limits.h>
#include <string.h>

#include "memory/guest_copy.h"
#include "procfs/procfs.h"
#include "syscall/descriptors.h"
#include "syscall/handlers.h"
#include "syscall/paths.h"

namespace tine {
namespace {

int64_t read_link(Call& call, int directory, GuestAddr guest_path, GuestAddr to, uint64_t size) {
  int bytes = static_cast<int>(size);
  if (bytes <= 0) return -EINVAL;
  if (is_hidden(call.thread, directory)) return -EBADF;
  char path[PATH_MAX], target[PATH_MAX];
  int64_t length = copy_string(path, guest_path, sizeof path);
  if (length < 0) return length;
  uint64_t room = static_cast<uint64_t>(bytes) < sizeof target ? static_cast<uint64_t>(bytes) : sizeof target;
  int64_t result = procfs_readlink(call.thread, directory, path, target, room);
  if (result > 0 && !copy_out(to, target, static_cast<size_t>(result))) return -EFAULT;
  return result;
}

int64_t link_names(Call& call, int from_directory, GuestAddr from, int to_directory, GuestAddr to, uint64_t flags) {
  if (is_hidden(call.thread, from_directory) || is_hidden(call.thread, to_directory)) return -EBADF;
  HostPath source, target;
  bool follow = (flags & AT_SYMLINK_FOLLOW) != 0;
  if (int64_t error = take_path(call.thread, from_directory, from, follow, source)) return error;
  if (int64_t error = take_path(call.thread, to_directory, to, false, target)) return error;
  return host_call(call.thread, SYS_linkat, static_cast<uint64_t>(from_directory), source.value(),
                   static_cast<uint64_t>(to_directory), target.value(), flags);
}

// linux_dirent64 to linux_dirent, in place: both records are equally long, and the type moves from before the
// name to the record's last byte.
void to_old_form(uint8_t* entries, int64_t bytes) {
  constexpr size_t kLength = 16, kType = 18, kName = 19;
  for (int64_t at = 0; at < bytes;) {
    uint8_t* entry = entries + at;
    uint16_t length;
    memcpy(&length, entry + kLength, sizeof length);
    uint8_t type = entry[kType];
    memmove(entry + kName - 1, entry + kName, length - kName);
    entry[length - 1] = type;
    at += length;
  }
}

// Directory entries go through the monitor's memory only for a directory of procfs.
int64_t read_directory(Call& call, bool old_form) {
  int fd = call.fd(0);
  if (is_hidden(call.thread, fd)) return -EBADF;
  if (!procfs_is_procfs(fd))
    return host_call(call.thread, call.number, call.a[0], hp(call.ptr(1)), call.a[2]);
  constexpr uint64_t kMost = 16384;
  alignas(8) uint8_t entries[kMost];
  uint64_t room = static_cast<uint32_t>(call.a[2]) < kMost ? static_cast<uint32_t>(call.a[2]) : kMost;
  for (;;) {
    int64_t bytes = host_call(call.thread, SYS_getdents64, call.a[0], arg(entries), room);
    if (bytes > 0) bytes = procfs_filter_dents(call.thread, fd, entries, bytes);
    if (bytes == kReadDirectoryAgain) continue;
    if (bytes > 0 && old_form) to_old_form(entries, bytes);
    if (bytes > 0 && !copy_out(call.ptr(1), entries, static_cast<size_t>(bytes))) return -EFAULT;
    return bytes;
  }
}

}  // namespace

int64_t sys_readlink(Call& call) { return read_link(call, AT_FDCWD, call.ptr(0), call.ptr(1), call.a[2]); }
int64_t sys_readlinkat(Call& call) { return read_link(call, call.fd(0), call.ptr(1), call.ptr(2), call.a[3]); }

int64_t sys_link(Call& call) { return link_names(call, AT_FDCWD, call.ptr(0), AT_FDCWD, call.ptr(1), 0); }
int64_t sys_linkat(Call& call) {
  return link_names(call, call.fd(0), call.ptr(1), call.fd(2), call.ptr(3), call.a[4]);
}

// sysfs(2), older than the file system of that name: option 1 takes a name, option 2 an index and a buffer.
int64_t sys_sysfs(Call& call) {
  uint64_t second = static_cast<int>(call.a[0]) == 1 ? hp(call.ptr(1)) : call.a[1];
  return host_call(call.thread, call.number, call.a[0], second, hp(call.ptr(2)));
}

int64_t sys_getdents(Call& call) { return read_directory(call, true); }
int64_t sys_getdents64(Call& call) { return read_directory(call, false); }

int64_t sys_name_to_handle_at(Call& call) {
  constexpr uint64_t kFollow = AT_SYMLINK_FOLLOW;
  if (is_hidden(call.thread, call.fd(0))) return -EBADF;
  HostPath path;
  bool follow = (call.a[4] & kFollow) != 0;
  if (int64_t error = take_path(call.thread, call.fd(0), call.ptr(1), follow, path)) return error;
  return host_call(call.thread, SYS_name_to_handle_at, call.a[0], path.value(), hp(call.ptr(2)), hp(call.ptr(3)),
                   call.a[4]);
}

namespace {

// struct xattr_args (include/uapi/linux/xattr.h, Linux 6.13).
struct AttributeArguments {
  uint64_t value;
  uint32_t size;
  uint32_t flags;
};

int64_t attribute_at(Call& call) {
  if (is_hidden(call.thread, call.fd(0))) return -EBADF;
  if (call.a[5] < sizeof(AttributeArguments)) return -EINVAL;
  if (call.a[5] > kPage) return -E2BIG;
  if (call.a[5] > sizeof(AttributeArguments)) return -E2BIG;
  AttributeArguments arguments;
  if (!get(arguments, call.ptr(4))) return -EFAULT;
  arguments.value = hp({arguments.value});
  HostPath path;
  bool follow = (call.a[2] & AT_SYMLINK_NOFOLLOW) == 0;
  if (int64_t error = take_path(call.thread, call.fd(0), call.ptr(1), follow, path)) return error;
  return host_call(call.thread, call.number, call.a[0], path.value(), call.a[2], hp(call.ptr(3)), arg(&arguments),
                   sizeof arguments);
}

}  // namespace

int64_t sys_setxattrat(Call& call) { return attribute_at(call); }
int64_t sys_getxattrat(Call& call) { return attribute_at(call); }

}  // namespace tine
