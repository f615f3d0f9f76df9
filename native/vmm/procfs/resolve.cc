// Calls that take paths: open, readlink, and the rest.
#include <errno.h>
#include <fcntl.h>
#include <linux/limits.h>
#include <linux/openat2.h>
#include <sys/stat.h>

#include <cstring>

#include "host/raw.h"
#include "process/descriptors.h"
#include "procfs/procfs.h"
#include "procfs/text.h"
#include "procfs/view.h"
#include "procfs/walk.h"
#include "syscall/call.h"

namespace tine {
namespace {

int64_t host_open(Thread& thread, int directory, const char* path, uint64_t flags, uint64_t mode, uint64_t resolve) {
  open_how how{};
  how.flags = flags;
  how.mode = mode;
  how.resolve = resolve;
  return host_call(thread, SYS_openat2, static_cast<uint64_t>(directory), arg(path), arg(&how), sizeof how);
}

// A plain open, judged afterwards: for a process whose descriptors no other thread can name meanwhile, and for
// what gives no access to content.
int64_t open_then_judge(Thread& thread, int directory, const char* path, uint64_t flags, uint64_t mode,
                        uint64_t resolve) {
  const int64_t fd = host_open(thread, directory, path, flags, mode, resolve);
  if (fd < 0 || !procfs_is_procfs(static_cast<int>(fd))) return fd;
  return procfs_opened(thread, static_cast<int>(fd), static_cast<int>(flags));
}

// Opens what an O_PATH descriptor of the monitor's own stands for.
int64_t open_found(Thread& thread, int found, uint64_t flags) {
  if (procfs_is_procfs(found)) {
    const ProcEntry entry = procfs_entry(thread, found);
    const ProcAnswer answer = procfs_answer(thread, entry, found, static_cast<int>(flags));
    if (answer.error) return answer.error;
    if (answer.stand_in) return procfs_stand_in(thread, static_cast<int>(flags), entry, answer.content);
  }
  std::string path = "self/fd/";
  add_number(path, static_cast<uint64_t>(found));
  return host_open(thread, thread.process->proc_fd, path.c_str(), flags & ~uint64_t{O_CREAT | O_EXCL | O_NOFOLLOW}, 0,
                   0);
}

int64_t find_then_open(Thread& thread, int directory, const char* path, uint64_t flags, uint64_t mode,
                       uint64_t resolve) {
  const uint64_t finding = O_PATH | O_CLOEXEC | (flags & (O_NOFOLLOW | O_DIRECTORY));
  const int64_t fd = host_open(thread, directory, path, finding, 0, resolve);
  if (fd == -ENOENT && flags & O_CREAT) {
    // With O_EXCL this can only make a file.
    const int64_t made = host_open(thread, directory, path, flags | O_EXCL, mode, resolve);
    if (made != -EEXIST) return made;
    // Somebody else made it since, or it is a link to what is not there.
    Walk walk(thread, directory, path);
    if (int64_t error = walk.run(!(flags & O_NOFOLLOW))) return error;
    return host_open(thread, walk.directory(), walk.last().c_str(), flags | O_EXCL, mode,
                     resolve | RESOLVE_NO_MAGICLINKS);
  }
  if (fd < 0) return fd;
  Process& process = *thread.process;
  const int64_t found = own_descriptor(process, static_cast<int>(fd), kVcpuPlace, true);
  if (is_error(found)) return found;
  const int64_t result = open_found(thread, static_cast<int>(found), flags);
  // In this order: once it is closed another thread may have the number for itself.
  process.own().remove(static_cast<int>(found));
  raw(SYS_close, found);
  return result;
}

int64_t open_plain(Thread& thread, int directory, const char* path, uint64_t flags, uint64_t mode, uint64_t resolve) {
  const bool makes = (flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL) || (flags & O_TMPFILE) == O_TMPFILE;
  const Process& process = *thread.process;
  const bool alone = (process.thread_count.load() <= 1 && !process.shares_files) || process.proc_fd < 0;
  if (alone || makes || flags & (O_PATH | O_DIRECTORY))
    return open_then_judge(thread, directory, path, flags, mode, resolve);
  return find_then_open(thread, directory, path, flags, mode, resolve);
}

// The path has a magic link in it, or really too many links.
int64_t open_magic(Thread& thread, int directory, const char* path, uint64_t flags, uint64_t mode, uint64_t resolve) {
  // fs/namei.c, pick_link() and nd_jump_link(), in their order.
  if (resolve & (RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS)) return -ELOOP;
  if (resolve & RESOLVE_NO_XDEV) return -EXDEV;
  Walk walk(thread, directory, path);
  const bool exclusive = (flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL);
  if (int64_t error = walk.run(!(flags & O_NOFOLLOW) && !exclusive)) return error;
  if (walk.must_be_directory()) flags |= O_DIRECTORY;
  if (walk.link() == Link::executable) {
    const int64_t fd = procfs_open_beside(thread, walk.entry(), walk.last().c_str(), flags & ~uint64_t{O_CREAT});
    // procfs_open_beside makes descriptors of the monitor's own.
    if (!is_error(fd) && !(flags & O_CLOEXEC)) raw(SYS_fcntl, fd, F_SETFD, 0);
    return fd;
  }
  return open_plain(thread, walk.directory(), walk.last().c_str(), flags, mode,
                    walk.link() == Link::followed ? 0 : resolve | RESOLVE_NO_MAGICLINKS);
}

}  // namespace

int64_t procfs_open(Thread& thread, int directory, const char* path, uint64_t flags, uint64_t mode, uint64_t resolve) {
  // fs/namei.c, nd_jump_link(): a search that stays within a tree follows no magic link, and says so itself.
  if (resolve & (RESOLVE_BENEATH | RESOLVE_IN_ROOT)) return open_plain(thread, directory, path, flags, mode, resolve);
  const int64_t fd = open_plain(thread, directory, path, flags, mode, resolve | RESOLVE_NO_MAGICLINKS);
  return fd == -ELOOP ? open_magic(thread, directory, path, flags, mode, resolve) : fd;
}

namespace {

// The name of a descriptor, or of a task, that the guest does not have: links are not followed here, and so not met.
int64_t judge_number(Thread& thread, int fd, const char* text) {
  const size_t length = strlen(text);
  if (length == 0 || text[length - 1] < '0' || text[length - 1] > '9' || !procfs_is_procfs(fd)) return 0;
  return procfs_answer(thread, procfs_entry(thread, fd), fd, O_PATH).error == -ENOENT ? -ENOENT : 0;
}

// -EMFILE: could not be judged.
int64_t judge_path(Thread& thread, int directory, char* text, bool follow) {
  open_how how{};
  how.flags = O_PATH | O_CLOEXEC | (follow ? 0 : O_NOFOLLOW);
  how.resolve = RESOLVE_NO_MAGICLINKS;
  const int64_t fd = raw(SYS_openat2, static_cast<uint64_t>(directory), arg(text), arg(&how), sizeof how);
  if (!is_error(fd)) {
    const int64_t error = judge_number(thread, static_cast<int>(fd), text);
    raw(SYS_close, fd);
    return error;
  }
  if (fd == -EMFILE || fd == -ENFILE || fd == -ENOMEM) return fd;
  if (fd != -ELOOP) return 0;
  Walk walk(thread, directory, text);
  if (int64_t error = walk.run(follow)) {
    // The host finds the other errors again, in the order it looks for them.
    switch (error) {
      case -EACCES: case -ENOENT: case -EPERM: case -EMFILE: case -ENFILE: case -ENOMEM: return error;
      default: return 0;
    }
  }
  if (!walk.rewritten()) return 0;
  const std::string path = walk.text();
  if (path.size() >= PATH_MAX) return -ENAMETOOLONG;
  memcpy(text, path.c_str(), path.size() + 1);
  return 0;
}

int64_t read_link(Thread& thread, int directory, const char* path, char* out, size_t size) {
  int64_t fd = directory;
  if (path[0]) {
    open_how how{};
    how.flags = O_PATH | O_NOFOLLOW | O_CLOEXEC;
    how.resolve = RESOLVE_NO_MAGICLINKS;
    fd = raw(SYS_openat2, static_cast<uint64_t>(directory), arg(path), arg(&how), sizeof how);
    if (fd == -ELOOP) fd = open_magic(thread, directory, path, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0, 0);
    if (is_error(fd)) return fd;
  }
  char target[PATH_MAX];
  int64_t length = raw(SYS_readlinkat, static_cast<uint64_t>(fd), arg(""), arg(target), sizeof target);
  if (length == -ENOENT && path[0]) {
    // Not a link; or one of procfs that leads nowhere, such as the program of a process that has ended.
    struct stat status {};
    if (raw(SYS_fstat, static_cast<uint64_t>(fd), arg(&status)) != 0 || !S_ISLNK(status.st_mode)) length = -EINVAL;
  }
  if (length > 0 && procfs_is_procfs(static_cast<int>(fd))) {
    const ProcEntry entry = procfs_entry(thread, static_cast<int>(fd));
    Link link = Link::ordinary;
    if (int64_t error = procfs_judge_link(thread, entry, link)) {
      length = error;
    } else if (link == Link::executable) {
      std::string name = "fd/";
      add_number(name, static_cast<uint64_t>(procfs_exe_number(thread, entry)));
      const int64_t real = procfs_open_beside(thread, entry, name.c_str(), O_PATH | O_NOFOLLOW);
      length = is_error(real) ? real : raw(SYS_readlinkat, static_cast<uint64_t>(real), arg(""), arg(target), sizeof target);
      if (!is_error(real)) raw(SYS_close, real);
    }
    if (length > 0 && std::string_view(target, static_cast<size_t>(length)).starts_with(kStandInLink)) {
      // A stand-in, or the copy of a host's program, shows what it stands for, without " (deleted)".
      std::string_view shown = std::string_view(target, static_cast<size_t>(length)).substr(kStandInLink.size());
      shown = shown.substr(0, shown.rfind(' '));
      memmove(target, shown.data(), shown.size());
      length = static_cast<int64_t>(shown.size());
    }
  }
  if (path[0]) raw(SYS_close, fd);
  if (length <= 0) return length;
  if (static_cast<size_t>(length) > size) length = static_cast<int64_t>(size);
  memcpy(out, target, static_cast<size_t>(length));
  return length;
}

}  // namespace

int64_t procfs_path(Thread& thread, int directory, char* text, bool follow) {
  const int64_t result = judge_path(thread, directory, text, follow);
  if (result != -EMFILE) return result;
  // The guest has used up its numbers, but its call needs none.
  const RoomForDescriptors room(*thread.process);
  return judge_path(thread, directory, text, follow);
}

int64_t procfs_readlink(Thread& thread, int directory, const char* path, char* out, size_t size) {
  const int64_t result = read_link(thread, directory, path, out, size);
  if (result != -EMFILE) return result;
  const RoomForDescriptors room(*thread.process);
  return read_link(thread, directory, path, out, size);
}

}  // namespace tine
