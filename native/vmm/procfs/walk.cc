#include "procfs/walk.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/limits.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#include "host/raw.h"
#include "process/descriptors.h"
#include "procfs/entry.h"
#include "procfs/procfs.h"
#include "procfs/text.h"

namespace tine {
namespace {

constexpr int kMaxLinks = 40;  // MAXSYMLINKS
constexpr int64_t kNoSymlinkFollow = 0x2000;  // ST_NOSYMFOLLOW, not in userland's headers

int64_t open_path(int directory, const char* path, uint64_t flags) {
  return raw(SYS_openat, directory, arg(path), O_PATH | O_CLOEXEC | flags);
}

}  // namespace

int procfs_exe_number(Thread& thread, const ProcEntry& entry) {
  return entry.own ? thread.process->exe_fd : thread.process->own().base + kExePlace;
}

int64_t procfs_judge_link(Thread& thread, const ProcEntry& entry, Link& link) {
  link = Link::ordinary;
  if (!entry.known) {
    // A procfs that the guest's mounts do not show. Numbers can be judged, and what reaches the monitor cannot.
    if (entry.name == "exe" || entry.name.find('-') != std::string::npos) return -EACCES;
    const int64_t number = whole_number(entry.name);
    if (number >= thread.process->own().base && number < thread.process->own().end()) return -ENOENT;
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
  procfs_await_start(thread, entry);
  link = Link::executable;
  return 0;
}

void Walk::leave() {
  if (owned_) raw(SYS_close, at_);
  owned_ = false;
}

void Walk::enter(int64_t fd) {
  leave();
  at_ = static_cast<int>(fd);
  owned_ = true;
}

int64_t Walk::start_at_root() {
  const int64_t root = open_path(AT_FDCWD, "/", O_DIRECTORY);
  if (is_error(root)) return root;
  enter(root);
  text_ = "/";
  return 0;
}

int64_t Walk::meet_link(int fd, bool is_last, bool follow, bool& finished) {
  finished = false;
  Link link = Link::ordinary;
  ProcEntry entry;
  if (procfs_is_procfs(fd)) {
    entry = procfs_entry(thread_, fd);
    if (int64_t error = procfs_judge_link(thread_, entry, link)) return error;
  }
  if (++links_ > kMaxLinks) return -ELOOP;
  struct statfs mount {};
  if (raw(SYS_fstatfs, static_cast<uint64_t>(fd), arg(&mount)) == 0 && (mount.f_flags & kNoSymlinkFollow)) return -ELOOP;
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
    add_number(last_, static_cast<uint64_t>(procfs_exe_number(thread_, entry)));
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

}  // namespace tine
