#include "syscall/paths.h"

#include <errno.h>

#include "memory/guest_copy.h"
#include "procfs/procfs.h"
#include "syscall/descriptors.h"

namespace tine {

int64_t take_path(Thread& thread, int directory, GuestAddr guest, bool follow, HostPath& path) {
  path.null = guest.v == 0;
  if (path.null) return 0;
  int64_t length = copy_string(path.text, guest, sizeof path.text);
  if (length < 0) return length;
  if (length == 0) return 0;  // the descriptor itself, or ENOENT by the host
  return procfs_path(thread, directory, path.text, follow);
}

int64_t admit_descriptor(Thread& thread, int fd) {
  if (!procfs_is_procfs(fd)) return 0;
  int64_t error = procfs_received(thread, fd);
  if (error == 0) return 0;
  raw(SYS_close, static_cast<uint64_t>(fd));
  return error;
}

}  // namespace tine
