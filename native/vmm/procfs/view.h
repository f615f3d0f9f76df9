// Descriptors that stand in for files of procfs.
#pragma once
#include <string>
#include <string_view>

#include "procfs/entry.h"

namespace tine {

// The name of a stand-in begins so; after it comes the path of the file it stands for. Readlink of such a
// descriptor shows that path.
constexpr std::string_view kStandIn = "tine:";
constexpr std::string_view kStandInLink = "/memfd:tine:";

// What the guest gets for a descriptor of procfs.
struct ProcAnswer {
  int64_t error = 0;      // not 0: this, and no descriptor
  bool stand_in = false;  // a memory file with `content` instead of the file itself
  std::string content;
};
// `fd` may be an O_PATH descriptor: content is read through one of the monitor's own.
ProcAnswer procfs_answer(Thread& thread, const ProcEntry& entry, int fd, int flags);

// A memory file with `content`, opened as `flags` say. The descriptor or -errno.
int64_t procfs_stand_in(Thread& thread, int flags, const ProcEntry& entry, std::string_view content);

// Names of the files whose text is made from the host's.
bool procfs_is_text(std::string_view name);

// The first read of a stand-in gets what the opening found, a later one from its start what holds by then.
void procfs_mark_unread(int fd);

// True for files whose host content would show the monitor.
bool procfs_is_sensitive(const ProcEntry& entry);

}  // namespace tine
