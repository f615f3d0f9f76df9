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

// A memory file with `content`, opened as `flags` say, under the number `fd`, which is replaced. Returns `fd` or
// -errno.
int64_t procfs_stand_in(Thread& thread, int fd, int flags, const ProcEntry& entry, std::string_view content);

// True for files whose host content would show the monitor.
bool procfs_is_sensitive(const ProcEntry& entry);

}  // namespace tine
