// Texts that stand in for files of procfs, read again: whoever watches a process keeps its status open and goes back
// to the start.
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "host/raw.h"
#include "process/descriptors.h"
#include "procfs/procfs.h"
#include "procfs/text.h"
#include "procfs/view.h"

namespace tine {
namespace {

// What tells a text that nobody has read: a property of the file's that all its descriptors share, in every process, and
// that does nothing on a file in memory (F_SET_RW_HINT in fcntl(2)).
constexpr uint64_t kUnread = RWH_WRITE_LIFE_EXTREME, kRead = RWH_WRITE_LIFE_NOT_SET;

// True the first time.
bool take_unread(int fd) {
  uint64_t hint = kRead;
  if (raw(SYS_fcntl, fd, F_GET_RW_HINT, arg(&hint)) || hint != kUnread) return false;
  hint = kRead;
  return raw(SYS_fcntl, fd, F_SET_RW_HINT, arg(&hint)) == 0;
}

// Where the file is that a text stands in for, as its name says: "/memfd:tine:/proc/123/status (deleted)". Empty: no text.
std::string source_of(Thread& thread, int fd) {
  struct stat status {};
  if (raw(SYS_fstat, fd, arg(&status)) || !S_ISREG(status.st_mode) || status.st_nlink) return {};
  const std::string link = procfs_path_of(thread, fd);
  std::string_view path = link;
  if (!path.starts_with(kStandInLink)) return {};
  path.remove_prefix(kStandInLink.size());
  path = path.substr(0, path.rfind(' '));
  const size_t slash = path.rfind('/');
  // What auxv tells belongs to the program that ran when it was opened.
  if (slash == std::string_view::npos || !procfs_is_text(path.substr(slash + 1)) || path.ends_with("/auxv")) return {};
  return std::string(path);
}

// Puts `content` into a stand-in that may be open for reading only.
int64_t replace_content(Thread& thread, int fd, std::string_view content) {
  std::string path = "self/fd/";
  add_number(path, static_cast<uint64_t>(fd));
  const OwnFile file(*thread.process, raw(SYS_openat, thread.process->proc_fd, arg(path.c_str()), O_WRONLY | O_CLOEXEC));
  if (!file.good()) return file.error();
  // Never shorter than what holds: another reader must not meet an empty file.
  for (uint64_t at = 0; at < content.size();) {
    const int64_t written = raw(SYS_pwrite64, file.fd(), arg(content.data() + at), content.size() - at, at);
    if (written <= 0) return written ? written : -EIO;
    at += static_cast<uint64_t>(written);
  }
  return raw(SYS_ftruncate, file.fd(), content.size());
}

}  // namespace

void procfs_mark_unread(int fd) {
  const uint64_t hint = kUnread;
  raw(SYS_fcntl, fd, F_SET_RW_HINT, arg(&hint));
}

bool procfs_has_text_files(const Thread& thread) { return thread.process->text_files.load(std::memory_order_relaxed); }

int64_t procfs_refresh(Thread& thread, int fd, int64_t position) {
  if (position < 0) position = raw(SYS_lseek, fd, 0, SEEK_CUR);
  if (position != 0) return 0;
  const std::string path = source_of(thread, fd);
  if (path.empty() || take_unread(fd)) return 0;
  const OwnFile found(*thread.process, raw(SYS_openat, AT_FDCWD, arg(path.c_str()), O_PATH | O_NOFOLLOW | O_CLOEXEC));
  if (found.error() == -ENOENT) return -ESRCH;  // fs/proc: the process has ended
  // Elsewhere the guest has another root by now, or has unmounted that procfs: what was read holds.
  if (!found.good() || !procfs_is_procfs(found.fd())) return 0;
  const ProcEntry entry = procfs_entry(thread, found.fd());
  if (!procfs_is_text(entry.place)) return 0;
  const ProcAnswer answer = procfs_answer(thread, entry, found.fd(), O_RDONLY);
  if (answer.error) return answer.error == -ENOENT ? -ESRCH : answer.error;
  if (entry.place == "stack") return 0;  // empty for everybody
  if (answer.stand_in) return answer.content.empty() ? -ESRCH : replace_content(thread, fd, answer.content);
  std::string content;
  return procfs_read_text(thread, entry, entry.place.c_str(), content) ? replace_content(thread, fd, content) : -ESRCH;
}

}  // namespace tine
