// Paths with magic links in them, followed by hand: each link is opened without being followed, judged by what it
// is, and only then followed by the kernel, or by us where the guest's answer is another.
#include <errno.h>
#include <fcntl.h>
#include <linux/limits.h>
#include <linux/openat2.h>
#include <sys/stat.h>

#include <cstring>

#include "host/raw.h"
#include "process/descriptors.h"
#include "procfs/entry.h"
#include "procfs/procfs.h"
#include "procfs/text.h"
#include "procfs/view.h"
#include "syscall/call.h"

namespace tine {
namespace {

constexpr int kMaxLinks = 40;  // MAXSYMLINKS

int64_t open_path(int directory, const char* path, uint64_t flags) {
  return raw(SYS_openat, directory, arg(path), O_PATH | O_CLOEXEC | flags);
}

// The number, in the process's own directory of descriptors, of the executable its guest runs.
int64_t exe_number(Thread& thread, const ProcEntry& entry) {
  return entry.own ? thread.process->exe_fd : thread.process->own.base + kExePlace;
}

// What a symbolic link of procfs is. Ordinary ones (self, mounts, net) have a text that the kernel itself walks.
enum class Link : uint8_t { ordinary, followed, executable };

// -errno: the guest must not see it at all.
int64_t judge_link(Thread& thread, const ProcEntry& entry, Link& link) {
  link = Link::ordinary;
  if (!entry.known) {
    // A procfs that the guest's mounts do not show. Numbers can be judged, and what reaches the monitor cannot.
    if (entry.name == "exe" || entry.name.find('-') != std::string::npos) return -EACCES;
    const int64_t number = whole_number(entry.name);
    if (number >= thread.process->own.base && number < thread.process->own.end()) return -ENOENT;
    link = number >= 0 || entry.name == "cwd" || entry.name == "root" ? Link::followed : Link::ordinary;
    return 0;
  }
  if (entry.pid < 0) return 0;
  link = Link::followed;
  if (entry.place == "cwd" || entry.place == "root" || entry.in("ns")) return 0;
  if (entry.place != "exe" && !entry.in("fd") && !entry.in("map_files")) {
    link = Link::ordinary;
    return 0;
  }
  if (!procfs_is_monitor(thread, entry)) return 0;
  if (entry.in("map_files")) return -EPERM;
  if (entry.in("fd")) return procfs_in_block(thread, entry, whole_number(entry.name)) ? -ENOENT : 0;
  link = Link::executable;
  return 0;
}

class Walk {
 public:
  Walk(Thread& thread, int directory, const char* path) : thread_(thread), at_(directory), rest_(path) {}
  ~Walk() { leave(); }
  Walk(const Walk&) = delete;
  Walk& operator=(const Walk&) = delete;

  // Goes to the last part of the path. `follow`: if that is an ordinary link, it is followed too. 0 or -errno.
  int64_t run(bool follow);

  int directory() const { return at_; }
  const std::string& last() const { return last_; }
  bool must_be_directory() const { return slash_; }
  Link link() const { return link_; }              // what the last part is, if followed
  const ProcEntry& entry() const { return entry_; }  // and where, for an executable
  bool rewritten() const { return rewritten_; }
  // The same place as a path from where the walk began, links resolved.
  std::string text() const { return text_ + last_; }

 private:
  void leave() {
    if (owned_) raw(SYS_close, at_);
    owned_ = false;
  }
  void enter(int64_t fd) {
    leave();
    at_ = static_cast<int>(fd);
    owned_ = true;
  }
  int64_t start_at_root() {
    const int64_t root = open_path(AT_FDCWD, "/", O_DIRECTORY);
    if (is_error(root)) return root;
    enter(root);
    text_ = "/";
    return 0;
  }
  // One part that is a symbolic link, opened as `fd`.
  int64_t meet_link(int fd, bool is_last, bool follow, bool& finished);

  Thread& thread_;
  int at_;
  bool owned_ = false;
  std::string rest_, last_, text_;
  bool slash_ = false, rewritten_ = false;
  Link link_ = Link::ordinary;
  ProcEntry entry_;
  int links_ = 0;
};

int64_t Walk::meet_link(int fd, bool is_last, bool follow, bool& finished) {
  finished = false;
  Link link = Link::ordinary;
  ProcEntry entry;
  if (procfs_is_procfs(fd)) {
    entry = procfs_entry(thread_, fd);
    if (int64_t error = judge_link(thread_, entry, link)) return error;
  }
  if (++links_ > kMaxLinks) return -ELOOP;
  if (link == Link::ordinary) {
    std::string target = procfs_link(fd, "");
    if (target.empty()) return -ENOENT;
    if (slash_ || !is_last) target += '/';
    rest_ = target + rest_;
    if (target[0] == '/') return start_at_root();
    return 0;
  }
  if (link == Link::executable) {
    last_ = "fd/";
    if (entry.place.empty()) return -EACCES;
    add_number(last_, static_cast<uint64_t>(exe_number(thread_, entry)));
    rewritten_ = true;
    if (!is_last || slash_) return -ENOTDIR;
  }
  if (is_last && follow) {
    link_ = link;
    entry_ = entry;
    finished = true;
    return 0;
  }
  const int64_t target = open_path(at_, last_.c_str(), 0);
  if (is_error(target)) return target;
  enter(target);
  text_ += last_ + '/';
  return 0;
}

int64_t Walk::run(bool follow) {
  if (rest_.empty()) return -ENOENT;
  if (rest_[0] == '/')
    if (int64_t error = start_at_root()) return error;
  for (;;) {
    const size_t begin = rest_.find_first_not_of('/');
    if (begin == std::string::npos) {  // nothing but slashes: the directory reached
      last_ = ".";
      return 0;
    }
    const size_t end = rest_.find('/', begin);
    last_ = rest_.substr(begin, end - begin);
    if (last_.size() > NAME_MAX) return -ENAMETOOLONG;
    const size_t next = end == std::string::npos ? end : rest_.find_first_not_of('/', end);
    const bool is_last = next == std::string::npos;
    slash_ = is_last && end != std::string::npos;
    rest_ = is_last ? std::string() : rest_.substr(next);
    if (is_last && !follow && !slash_) return 0;

    const int64_t fd = open_path(at_, last_.c_str(), O_NOFOLLOW);
    if (fd == -ENOENT && is_last) return 0;  // the caller may be about to make it
    if (is_error(fd)) return fd;
    struct stat status {};
    if (int64_t error = raw(SYS_fstat, fd, arg(&status))) {
      raw(SYS_close, fd);
      return error;
    }
    if (S_ISLNK(status.st_mode)) {
      bool finished;
      const int64_t error = meet_link(static_cast<int>(fd), is_last, follow || slash_, finished);
      raw(SYS_close, fd);
      if (error || finished) return error;
      continue;
    }
    if (is_last) {
      raw(SYS_close, fd);
      return 0;
    }
    enter(fd);
    text_ += last_ + '/';
  }
}

int64_t host_open(Thread& thread, int directory, const char* path, uint64_t flags, uint64_t mode, uint64_t resolve) {
  open_how how{};
  how.flags = flags;
  how.mode = mode;
  how.resolve = resolve;
  return host_call(thread, SYS_openat2, static_cast<uint64_t>(directory), arg(path), arg(&how), sizeof how);
}

}  // namespace

int64_t procfs_open_magic(Thread& thread, int directory, const char* path, uint64_t flags, uint64_t mode,
                          uint64_t resolve) {
  // fs/namei.c, nd_jump_link(): a magic link leaves the tree that the caller wants to stay in.
  if (resolve & (RESOLVE_BENEATH | RESOLVE_IN_ROOT | RESOLVE_NO_XDEV)) return -EXDEV;
  if (resolve & RESOLVE_NO_SYMLINKS) return -ELOOP;
  Walk walk(thread, directory, path);
  const bool exclusive = (flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL);
  if (int64_t error = walk.run(!(flags & O_NOFOLLOW) && !exclusive)) return error;
  if (walk.must_be_directory()) flags |= O_DIRECTORY;
  int64_t fd;
  if (walk.link() == Link::executable) {
    fd = procfs_open_beside(thread, walk.entry(), walk.last().c_str(), flags & ~uint64_t{O_CREAT});
    // procfs_open_beside makes descriptors of the monitor's own.
    if (!is_error(fd) && !(flags & O_CLOEXEC)) raw(SYS_fcntl, fd, F_SETFD, 0);
  } else {
    fd = host_open(thread, walk.directory(), walk.last().c_str(), flags, mode,
                   walk.link() == Link::followed ? 0 : resolve | RESOLVE_NO_MAGICLINKS);
  }
  if (fd < 0 || !procfs_is_procfs(static_cast<int>(fd))) return fd;
  return procfs_opened(thread, static_cast<int>(fd), static_cast<int>(flags));
}

int64_t procfs_path(Thread& thread, int directory, char* text, bool follow) {
  open_how how{};
  how.flags = O_PATH | O_CLOEXEC | (follow ? 0 : O_NOFOLLOW);
  how.resolve = RESOLVE_NO_MAGICLINKS;
  const int64_t fd = raw(SYS_openat2, static_cast<uint64_t>(directory), arg(text), arg(&how), sizeof how);
  if (!is_error(fd)) {
    raw(SYS_close, fd);
    return 0;
  }
  if (fd != -ELOOP) return 0;
  Walk walk(thread, directory, text);
  if (int64_t error = walk.run(follow)) return error == -EACCES || error == -ENOENT || error == -EPERM ? error : 0;
  if (!walk.rewritten()) return 0;
  const std::string path = walk.text();
  if (path.size() >= PATH_MAX) return -ENAMETOOLONG;
  memcpy(text, path.c_str(), path.size() + 1);
  return 0;
}

int64_t procfs_readlink(Thread& thread, int directory, const char* path, char* out, size_t size) {
  int64_t fd = directory;
  if (path[0]) {
    open_how how{};
    how.flags = O_PATH | O_NOFOLLOW | O_CLOEXEC;
    how.resolve = RESOLVE_NO_MAGICLINKS;
    fd = raw(SYS_openat2, static_cast<uint64_t>(directory), arg(path), arg(&how), sizeof how);
    if (fd == -ELOOP) fd = procfs_open_magic(thread, directory, path, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0, 0);
    if (is_error(fd)) return fd;
  }
  char target[PATH_MAX];
  int64_t length = raw(SYS_readlinkat, static_cast<uint64_t>(fd), arg(""), arg(target), sizeof target);
  if (length == -ENOENT && path[0]) length = -EINVAL;  // not a link
  if (length > 0 && procfs_is_procfs(static_cast<int>(fd))) {
    const ProcEntry entry = procfs_entry(thread, static_cast<int>(fd));
    Link link = Link::ordinary;
    if (int64_t error = judge_link(thread, entry, link)) {
      length = error;
    } else if (link == Link::executable) {
      std::string name = "fd/";
      add_number(name, static_cast<uint64_t>(exe_number(thread, entry)));
      const int64_t real = procfs_open_beside(thread, entry, name.c_str(), O_PATH | O_NOFOLLOW);
      length = is_error(real) ? real : raw(SYS_readlinkat, static_cast<uint64_t>(real), arg(""), arg(target), sizeof target);
      if (!is_error(real)) raw(SYS_close, real);
    } else if (std::string_view(target, static_cast<size_t>(length)).starts_with(kStandInLink)) {
      // A stand-in shows what it stands for, without " (deleted)".
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

}  // namespace tine
