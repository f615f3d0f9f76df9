// Directories of procfs: the monitor's descriptors and threads are left out.
#include <cstring>

#include "procfs/entry.h"
#include "procfs/procfs.h"
#include "procfs/text.h"

namespace tine {
namespace {
// struct linux_dirent64: inode, offset, record length, type, name.
constexpr size_t kLength = 16, kName = 19;
}  // namespace

int64_t procfs_filter_dents(Thread& thread, int fd, void* buffer, int64_t bytes) {
  if (bytes <= 0) return bytes;
  const ProcEntry entry = procfs_entry(thread, fd);
  const bool tasks = entry.place == "task";
  if (entry.pid < 0 || (!tasks && entry.place != "fd" && entry.place != "fdinfo")) return bytes;
  if (!procfs_is_monitor(thread, entry)) return bytes;
  auto* entries = static_cast<char*>(buffer);
  int64_t kept = 0;
  for (int64_t at = 0; at < bytes;) {
    uint16_t length;
    memcpy(&length, entries + at + kLength, sizeof length);
    const int64_t number = whole_number(entries + at + kName);
    const bool hidden =
        number >= 0 && (tasks ? procfs_is_helper(thread, entry, number) : procfs_in_block(thread, entry, number));
    if (!hidden) {
      memmove(entries + kept, entries + at, length);
      kept += length;
    }
    at += length;
  }
  return kept ? kept : kReadDirectoryAgain;
}

}  // namespace tine
