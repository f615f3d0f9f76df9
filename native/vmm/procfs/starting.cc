// Processes whose monitor has been executed and has not yet named itself after its program.
//
// The kernel lets a vfork's parent go on at that moment, and on Linux a program's name is there by then. Whoever reads
// it of such a process waits until it is.
#include <fcntl.h>
#include <time.h>

#include "host/raw.h"
#include "procfs/entry.h"
#include "procfs/text.h"

namespace tine {
namespace {

constexpr size_t kNameLength = 15;  // TASK_COMM_LEN - 1
constexpr int kMostLooks = 500;
constexpr timespec kBetweenLooks{0, 1'000'000};

// What the kernel calls a process that execveat made of a descriptor: after the file from Linux 6.14 on, before that after
// the descriptor's number.
bool is_first_name(Thread& thread, std::string_view name) {
  std::string path = "self/fd/", number;
  add_number(path, static_cast<uint64_t>(thread.process->self_fd));
  add_number(number, static_cast<uint64_t>(thread.process->self_fd));
  if (name == number) return true;
  const std::string target = procfs_link(thread.process->proc_fd, path.c_str());
  std::string_view file = std::string_view(target).substr(target.rfind('/') + 1);
  constexpr std::string_view kGone = " (deleted)";
  if (file.ends_with(kGone)) file.remove_suffix(kGone.size());
  return name == file.substr(0, kNameLength);
}

// False as well for one that has ended or is stopped: its name stays what it is.
bool is_starting(Thread& thread, const ProcEntry& entry) {
  const int64_t fd = procfs_open_beside(thread, entry, "stat", O_RDONLY);
  if (is_error(fd)) return false;
  std::string content;
  const bool good = procfs_read_all(static_cast<int>(fd), content);
  raw(SYS_close, fd);
  // 123 (name) S …
  const size_t begin = content.find('('), end = content.rfind(')');
  if (!good || begin == std::string::npos || end == std::string::npos || end + 2 >= content.size()) return false;
  const char state = content[end + 2];
  if (state != 'R' && state != 'S' && state != 'D') return false;
  return is_first_name(thread, std::string_view(content).substr(begin + 1, end - begin - 1));
}

}  // namespace

void procfs_await_start(Thread& thread, const ProcEntry& entry) {
  if (entry.pid < 0 || entry.own || !entry.known) return;
  for (int look = 0; look < kMostLooks && is_starting(thread, entry); look++)
    raw(SYS_nanosleep, arg(&kBetweenLooks), 0);
}

}  // namespace tine
