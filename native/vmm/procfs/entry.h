// What a descriptor of procfs is: which file, of which process.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "process/thread.h"

namespace tine {

struct ProcEntry {
  bool known = false;      // false: a place in procfs that cannot be told (no path inside it is known)
  std::string inside;      // path inside procfs: "/123/task/124/maps"; "" for its root
  std::string above;       // path of the directory that has it, as seen from the guest's root
  std::string name;        // last part
  int64_t pid = -1;        // as this procfs numbers processes; -1: not below a process
  int64_t tid = -1;        // below /PID/task/TID
  std::string place;       // below the process or the thread: "", "maps", "fd", "fd/3"
  bool own = false;        // the process is this one
  bool own_mount = false;  // it is in the procfs that the monitor itself uses
  bool same_numbers = false;  // own, and this procfs numbers tasks as the process itself does
  bool helper = false;     // a thread of this process that is the monitor's, not the guest's
  bool symlink = false, directory = false;

  bool in(std::string_view folder) const {  // "fd": the entry is directly in that directory
    return place.size() > folder.size() + 1 && place.starts_with(folder) && place[folder.size()] == '/';
  }
};

// Judges a descriptor that is known to be of procfs.
ProcEntry procfs_entry(Thread& thread, int fd);

// Opens `name` in the directory of the process (or thread) that an entry belongs to, as the host has it.
// A descriptor or -errno.
int64_t procfs_open_beside(Thread& thread, const ProcEntry& entry, const char* name, uint64_t flags);

// The same for a text that the monitor reads: from the very procfs that the guest looks into, since one of another pid
// namespace numbers processes in its own way.
int64_t procfs_open_text(Thread& thread, const ProcEntry& entry, const char* name);

// True where the process of the entry is a monitor (this one's executable), so that the host's view of it is
// not the guest's. Where this cannot be told because the kernel does not let us look: true in a jail.
bool procfs_is_monitor(Thread& thread, const ProcEntry& entry);

// True where task `tid` of the entry's process is a thread of its monitor that the guest does not know.
bool procfs_is_helper(Thread& thread, const ProcEntry& entry, int64_t tid);
// How many of them there are.
uint64_t procfs_helpers(Thread& thread, const ProcEntry& entry);

// Waits, half a second at most, until another process of the guest's has the name of its program (starting.cc).
void procfs_await_start(Thread& thread, const ProcEntry& entry);

// A descriptor that the monitor opened for itself: at one of its own numbers where other threads could name a low one.
class OwnFile {
 public:
  OwnFile(Process& process, int64_t opened);  // a descriptor or -errno
  ~OwnFile();
  OwnFile(const OwnFile&) = delete;
  OwnFile& operator=(const OwnFile&) = delete;
  bool good() const { return fd_ >= 0; }
  int64_t error() const { return fd_ < 0 ? fd_ : 0; }
  int fd() const { return static_cast<int>(fd_); }

 private:
  Process& process_;
  int64_t fd_;
  bool owned_ = false;
};

// The whole of such a text. False: it cannot be read.
bool procfs_read_text(Thread& thread, const ProcEntry& entry, const char* name, std::string& content);

// Whole content of a file, from where it stands.
bool procfs_read_all(int fd, std::string& content);
// The target of a link; `path` may be "" for the link that `directory` itself is. Empty: an error.
std::string procfs_link(int directory, const char* path);
// Where the descriptor stands in the file system.
std::string procfs_path_of(Thread& thread, int fd);

// The numbers in which another monitor keeps its own descriptors.
bool procfs_in_block(Thread& thread, const ProcEntry& entry, int64_t number);

}  // namespace tine
