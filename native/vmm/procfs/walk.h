// Paths with magic links in them, followed by hand: each link is opened without being followed, judged by what it
// is, and only then followed by the kernel, or by us where the guest's answer is another.
#pragma once
#include <cstdint>
#include <string>

#include "procfs/entry.h"

namespace tine {

// What a symbolic link of procfs is. Ordinary ones (self, mounts, net) have a text that the kernel itself walks.
enum class Link : uint8_t { ordinary, followed, executable };

// What an entry that is a symbolic link is. -errno: the guest must not see it at all.
int64_t procfs_judge_link(Thread& thread, const ProcEntry& entry, Link& link);

// The number, in the process's own directory of descriptors, of the executable its guest runs.
int procfs_exe_number(Thread& thread, const ProcEntry& entry);

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
  void leave();
  void enter(int64_t fd);
  int64_t start_at_root();
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

}  // namespace tine
