#include "procfs/entry.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/stat.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "host/raw.h"
#include "kvm/runner.h"
#include "process/descriptors.h"
#include "procfs/procfs.h"
#include "procfs/text.h"

namespace tine {
namespace {

struct Facts {
  uint64_t mount = 0, device = 0;
  uint32_t mode = 0;
};

bool facts_of(int fd, Facts& facts) {
  struct statx x {};
  if (is_error(raw(SYS_statx, fd, arg(""), AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_MNT_ID, arg(&x)))) return false;
  facts.mount = x.stx_mnt_id;
  facts.device = static_cast<uint64_t>(x.stx_dev_major) << 32 | x.stx_dev_minor;
  facts.mode = x.stx_mode;
  return true;
}

std::string descriptor_path(const char* folder, int fd) {
  std::string path = folder;
  add_number(path, static_cast<uint64_t>(fd));
  return path;
}

// mountinfo writes space, tab, newline and backslash as octal escapes (fs/proc_namespace.c, mangle()).
std::string unescaped(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); i++) {
    if (text[i] == '\\' && i + 3 < text.size()) {
      out += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0'));
      i += 3;
    } else {
      out += text[i];
    }
  }
  return out;
}

// Root (inside its file system) and mount point of a mount, as this process sees it.
bool find_mount(Thread& thread, uint64_t mount, std::string& root, std::string& point) {
  const int64_t fd = raw(SYS_openat, thread.process->proc_fd, arg("self/mountinfo"), O_RDONLY | O_CLOEXEC);
  if (is_error(fd)) return false;
  std::string content;
  const bool good = procfs_read_all(static_cast<int>(fd), content);
  raw(SYS_close, fd);
  std::string_view rest = content;
  while (good && !rest.empty()) {
    // 36 35 98:0 /root /mount/point options …
    std::string_view line = take_until(rest, '\n');
    if (static_cast<uint64_t>(whole_number(take_until(line, ' '))) != mount) continue;
    take_until(line, ' ');
    take_until(line, ' ');
    root = unescaped(take_until(line, ' '));
    point = unescaped(take_until(line, ' '));
    return true;
  }
  return false;
}

// The number by which the procfs at `point` knows this process.
int64_t own_number(Thread& thread, bool own_mount, const std::string& root, const std::string& point) {
  if (own_mount) return whole_number(procfs_link(thread.process->proc_fd, "self"));
  if (root == "/") return whole_number(procfs_link(AT_FDCWD, (point + "/self").c_str()));
  return -1;
}

// Whether `number` is this process's in any of the pid namespaces it is in, for mounts of a part of a procfs.
bool any_own_number(Thread& thread, int64_t number) {
  const int64_t fd = raw(SYS_openat, thread.process->proc_fd, arg("self/status"), O_RDONLY | O_CLOEXEC);
  if (is_error(fd)) return false;
  std::string content;
  const bool good = procfs_read_all(static_cast<int>(fd), content);
  raw(SYS_close, fd);
  const size_t at = content.find("\nNStgid:");
  if (!good || at == std::string::npos) return false;
  std::string_view line = std::string_view(content).substr(at + 8);
  line = take_until(line, '\n');
  while (!line.empty()) {
    skip(line, '\t');
    if (whole_number(take_until(line, '\t')) == number) return true;
  }
  return false;
}

// A number of one of this process's tasks? `helper`: one of the monitor's own.
bool own_task(Thread& thread, int64_t number, bool& helper) {
  helper = false;
  Guard guard(thread.process->threads_lock);
  for (const Thread* one = thread.process->threads; one; one = one->next) {
    if (one->tid == number) return true;
    const Runner* runner = one->pairing.runner;
    if (runner && runner->tid.load() == number) return helper = true;
  }
  return false;
}

// Splits the path inside procfs: process, thread, what is below.
void take_apart(ProcEntry& entry) {
  std::string_view rest = entry.inside;
  const size_t slash = rest.rfind('/');
  if (slash != std::string_view::npos) entry.name = rest.substr(slash + 1);
  if (!take(rest, '/')) return;
  entry.pid = whole_number(take_until(rest, '/'));
  if (entry.pid < 0) return;
  if (rest.starts_with("task/")) {
    std::string_view below = rest.substr(5);
    const int64_t tid = whole_number(take_until(below, '/'));
    if (tid >= 0) {
      entry.tid = tid;
      rest = below;
    }
  }
  entry.place = rest;
}

}  // namespace

bool procfs_is_procfs(int fd) {
  struct statfs s {};
  return raw(SYS_fstatfs, fd, arg(&s)) == 0 && s.f_type == PROC_SUPER_MAGIC;
}

void procfs_start(Process& process) {
  const int place = process.own().base + kProcPlace;
  if (procfs_is_procfs(place)) {  // kept over an exec
    process.own().add(place);
    process.proc_fd = place;
    return;
  }
  const int64_t fd = raw(SYS_openat, AT_FDCWD, arg("/proc"), O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (is_error(fd)) return;
  if (!procfs_is_procfs(static_cast<int>(fd)) || procfs_link(static_cast<int>(fd), "self").empty()) {
    raw(SYS_close, fd);
    return;
  }
  const int64_t moved = own_descriptor(process, static_cast<int>(fd), kProcPlace, false);
  if (!is_error(moved)) process.proc_fd = static_cast<int>(moved);
}

bool procfs_read_all(int fd, std::string& content) {
  constexpr size_t kChunk = 32 << 10;
  for (;;) {
    const size_t at = content.size();
    content.resize(at + kChunk);
    const int64_t got = raw(SYS_read, fd, arg(content.data() + at), kChunk);
    content.resize(at + (got > 0 ? static_cast<size_t>(got) : 0));
    if (got == 0) return true;
    if (got == -EINTR) continue;
    if (got < 0) return false;
  }
}

std::string procfs_link(int directory, const char* path) {
  char target[4096];
  const int64_t length = raw(SYS_readlinkat, directory, arg(path), arg(target), sizeof target);
  return length > 0 ? std::string(target, static_cast<size_t>(length)) : std::string();
}

std::string procfs_path_of(Thread& thread, int fd) {
  return procfs_link(thread.process->proc_fd, descriptor_path("self/fd/", fd).c_str());
}

ProcEntry procfs_entry(Thread& thread, int fd) {
  ProcEntry entry;
  Facts facts, ours;
  if (!facts_of(fd, facts)) return entry;
  entry.symlink = S_ISLNK(facts.mode);
  entry.directory = S_ISDIR(facts.mode);
  const int proc = thread.process->proc_fd;
  if (proc < 0 || !facts_of(proc, ours)) return entry;
  std::string path = procfs_path_of(thread, fd);
  constexpr std::string_view kGone = " (deleted)";
  if (path.ends_with(kGone)) path.resize(path.size() - kGone.size());
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return entry;
  entry.name = path.substr(slash + 1);
  entry.above = path.substr(0, slash);

  std::string root = "/", point;
  const bool own_mount = entry.own_mount = facts.mount == ours.mount;
  if (own_mount)
    point = procfs_path_of(thread, proc);
  else if (!find_mount(thread, facts.mount, root, point))
    return entry;
  if (point == "/") point.clear();
  if (!path.starts_with(point) || (path.size() > point.size() && path[point.size()] != '/')) return entry;
  entry.known = true;
  entry.inside = (root == "/" ? std::string() : root) + path.substr(point.size());
  if (entry.inside == "/") entry.inside.clear();
  take_apart(entry);
  if (entry.pid >= 0) {
    const int64_t own = own_number(thread, own_mount, root, point);
    entry.own = own >= 0 ? own == entry.pid : any_own_number(thread, entry.pid);
    entry.same_numbers = own == thread.process->pid;
    // /proc/TID is not listed but works. Numbers of threads are known for the process's own namespace.
    if (!entry.own && entry.same_numbers) entry.own = own_task(thread, entry.pid, entry.helper);
    if (entry.own && entry.tid >= 0) entry.helper = procfs_is_helper(thread, entry, entry.tid);
  }
  return entry;
}

namespace {

int64_t open_beside_own(Thread& thread, const ProcEntry& entry, const char* name, uint64_t flags) {
  std::string path = "self/";
  if (entry.tid >= 0) {
    path += "task/";
    add_number(path, static_cast<uint64_t>(entry.tid));
    path += '/';
  }
  return raw(SYS_openat, thread.process->proc_fd, arg((path + name).c_str()), flags | O_CLOEXEC);
}

// The directory is found again by path and must be the one of this process in a procfs.
int64_t open_beside_by_path(const ProcEntry& entry, const char* name, uint64_t flags) {
  std::string path = entry.above;
  size_t levels = 0;
  for (char c : entry.place) levels += c == '/';
  if (entry.place.empty()) path += '/' + entry.name;
  for (; levels; levels--) path.resize(path.rfind('/') == std::string::npos ? 0 : path.rfind('/'));
  const int64_t directory =
      raw(SYS_openat, AT_FDCWD, arg(path.c_str()), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (is_error(directory)) return directory;
  int64_t fd = -ENOENT;
  if (procfs_is_procfs(static_cast<int>(directory)))
    fd = raw(SYS_openat, directory, arg(name), flags | O_CLOEXEC);
  raw(SYS_close, directory);
  return fd;
}

}  // namespace

int64_t procfs_open_beside(Thread& thread, const ProcEntry& entry, const char* name, uint64_t flags) {
  return entry.own ? open_beside_own(thread, entry, name, flags) : open_beside_by_path(entry, name, flags);
}

int64_t procfs_open_text(Thread& thread, const ProcEntry& entry, const char* name) {
  if (entry.own && !entry.own_mount) {
    const int64_t fd = open_beside_by_path(entry, name, O_RDONLY);
    if (!is_error(fd)) return fd;  // else only a part of it is mounted
  }
  return procfs_open_beside(thread, entry, name, O_RDONLY);
}

OwnFile::OwnFile(Process& process, int64_t opened) : process_(process), fd_(opened) {
  if (is_error(fd_) || (process_.thread_count.load() <= 1 && !process_.shares_files)) return;
  fd_ = own_descriptor(process_, static_cast<int>(fd_), kVcpuPlace, true);
  owned_ = !is_error(fd_);
}

OwnFile::~OwnFile() {
  if (is_error(fd_)) return;
  // In this order: once it is closed another thread may have the number for itself.
  if (owned_) process_.own().remove(static_cast<int>(fd_));
  raw(SYS_close, fd_);
}

bool procfs_read_text(Thread& thread, const ProcEntry& entry, const char* name, std::string& content) {
  const OwnFile file(*thread.process, procfs_open_text(thread, entry, name));
  return file.good() && procfs_read_all(file.fd(), content);
}

bool procfs_is_monitor(Thread& thread, const ProcEntry& entry) {
  if (entry.own) return true;
  const int64_t fd = procfs_open_beside(thread, entry, "exe", O_PATH);
  if (is_error(fd)) return thread.process->jailed;
  struct stat theirs {}, ours{};
  const int64_t got = raw(SYS_fstat, fd, arg(&theirs));
  raw(SYS_close, fd);
  if (got || raw(SYS_fstat, thread.process->self_fd, arg(&ours))) return thread.process->jailed;
  return theirs.st_dev == ours.st_dev && theirs.st_ino == ours.st_ino;
}

bool procfs_is_helper(Thread& thread, const ProcEntry& entry, int64_t tid) {
  bool helper = false;
  // A task of this process that is not a guest thread is the monitor's, or a thread on its way out; but Linux shows
  // a leader that has ended before the others.
  if (entry.own && entry.same_numbers) return tid != thread.process->pid && (!own_task(thread, tid, helper) || helper);
  std::string name = "task/";
  add_number(name, static_cast<uint64_t>(tid));
  name += "/comm";
  const int64_t fd = procfs_open_beside(thread, entry, name.c_str(), O_RDONLY);
  if (is_error(fd)) return false;
  std::string comm;
  procfs_read_all(static_cast<int>(fd), comm);
  raw(SYS_close, fd);
  return comm == std::string(kRunnerName) + "\n";
}

uint64_t procfs_helpers(Thread& thread, const ProcEntry& entry) {
  const int64_t fd = procfs_open_beside(thread, entry, "task", O_RDONLY | O_DIRECTORY);
  if (is_error(fd)) return 0;
  uint64_t count = 0;
  alignas(8) char entries[8192];
  for (int64_t bytes; (bytes = raw(SYS_getdents64, fd, arg(entries), sizeof entries)) > 0;)
    for (int64_t at = 0; at < bytes;) {
      const auto* record = reinterpret_cast<const dirent64*>(entries + at);
      const int64_t tid = whole_number(record->d_name);
      if (tid >= 0 && procfs_is_helper(thread, entry, tid)) count++;
      at += record->d_reclen;
    }
  raw(SYS_close, fd);
  return count;
}

bool procfs_in_block(Thread& thread, const ProcEntry& entry, int64_t number) {
  const OwnedDescriptors& own = thread.process->own();
  if (entry.own) return number >= 0 && number <= INT32_MAX && own.owns(static_cast<int>(number));
  return number >= own.base && number < own.end();
}

}  // namespace tine
