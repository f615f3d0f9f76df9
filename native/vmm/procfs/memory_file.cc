// /proc/PID/mem and pagemap of monitors. The guest holds an empty stand-in that says in its name what it stands
// for; reads and writes are made through the kernel's own checks, with positions translated. A real descriptor of
// such a file must never be the guest's: its positions are host addresses, the monitor's own among them.
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include <algorithm>
#include <atomic>
#include <vector>

#include "host/raw.h"
#include "memory/address.h"
#include "memory/address_space.h"
#include "memory/guest_copy.h"
#include "procfs/procfs.h"
#include "procfs/text.h"
#include "procfs/view.h"

namespace tine {
namespace {

enum class Kind : uint8_t { none, memory, pagemap };

struct MemoryFile {
  Kind kind = Kind::none;
  int64_t pid = -1;
};

// What the name of a stand-in says: "/memfd:tine:/proc/123/mem (deleted)".
MemoryFile by_name(Thread& thread, int fd) {
  MemoryFile file;
  const std::string link = procfs_path_of(thread, fd);
  std::string_view rest = link;
  if (!rest.starts_with(kStandInLink)) return file;
  rest = rest.substr(0, rest.rfind(' '));
  size_t slash = rest.rfind('/');
  const std::string_view name = rest.substr(slash + 1);
  const Kind kind = name == "mem" ? Kind::memory : name == "pagemap" ? Kind::pagemap : Kind::none;
  rest = rest.substr(0, slash);
  slash = rest.rfind('/');
  file.pid = whole_number(rest.substr(slash + 1));
  if (file.pid >= 0) file.kind = kind;
  return file;
}

// A process that has such a file asks for every read and write, so what was found is remembered by inode: the
// number (32 bits on the kernel's own tmpfs), the process and the kind in one word, for a lock would not survive a
// fork. A slot that another inode has taken is found again by name.
constexpr size_t kSlots = 64;
constexpr uint64_t kKnown = 1ull << 63;
std::atomic<uint64_t> known[kSlots];

// The file system that stand-ins are on: no other file's number is looked up among theirs.
std::atomic<uint64_t> device{0};
bool on_device(uint64_t dev) { return device.load(std::memory_order_relaxed) == dev; }

MemoryFile judge(Thread& thread, int fd) {
  struct stat status {};
  if (raw(SYS_fstat, fd, arg(&status)) || !S_ISREG(status.st_mode) || status.st_nlink) return {};
  if (status.st_ino >> 32) return by_name(thread, fd);
  std::atomic<uint64_t>& slot = known[status.st_ino % kSlots];
  const uint64_t word = slot.load(std::memory_order_relaxed);
  if (word & kKnown && static_cast<uint32_t>(word) == status.st_ino && on_device(status.st_dev))
    return {static_cast<Kind>(word >> 61 & 3), static_cast<int64_t>(word >> 32 & 0x1fffffff)};
  const MemoryFile file = by_name(thread, fd);
  if (file.kind != Kind::none) device.store(status.st_dev, std::memory_order_relaxed);
  if (on_device(status.st_dev))
    slot.store(kKnown | static_cast<uint64_t>(file.kind) << 61 | (static_cast<uint64_t>(file.pid) & 0x1fffffff) << 32 |
                   status.st_ino,
               std::memory_order_relaxed);
  return file;
}

// How much of [at, at + bytes) can be guest memory.
uint64_t within_window(uint64_t at, uint64_t bytes) {
  if (!guest_range_ok(at, 1)) return 0;
  const uint64_t end = at < kRefusedStart ? kRefusedStart : kGuestEnd;
  return std::min(bytes, end - at);
}

int64_t transfer(const MemoryFile& file, long call, GuestAddr local, uint64_t at, uint64_t bytes) {
  bytes = within_window(at, bytes);
  if (bytes == 0) return -EIO;
  iovec ours{to_host(local).ptr<void>(), bytes};
  iovec theirs{to_host({at}).ptr<void>(), bytes};
  const int64_t result = raw(call, static_cast<uint64_t>(file.pid), arg(&ours), 1, arg(&theirs), 1, 0);
  if (result == -ESRCH) return 0;  // fs/proc/base.c, mem_rw(): nothing to read once the process is gone
  return result == -EFAULT ? -EIO : result;
}

// A write that the guest's own protection forbids: Linux makes it all the same, with a copy of the page (FOLL_FORCE).
// Only a real mem file does that, and it must not be among descriptors that guest threads can name: a child with the
// same memory and a table of its own opens it. The parent stands still meanwhile, as in vfork.
int64_t forced_write(Thread& thread, const MemoryFile& file, GuestAddr from, uint64_t at, uint64_t bytes) {
  bytes = within_window(at, bytes);
  std::string path;
  add_number(path, static_cast<uint64_t>(file.pid));
  path += "/mem";
  const char* name = path.c_str();
  const int directory = thread.process->proc_fd;
  volatile int64_t result = -EIO;
  const SignalSet all = ~0ull;
  SignalSet before = 0;
  raw(SYS_rt_sigprocmask, SIG_SETMASK, arg(&all), arg(&before), sizeof all);
  const int64_t child = raw(SYS_clone, CLONE_VM | CLONE_VFORK, 0, 0, 0, 0);
  if (child == 0) {
    const int64_t fd = raw(SYS_openat, directory, arg(name), O_RDWR | O_CLOEXEC);
    result = is_error(fd) ? fd : raw(SYS_pwrite64, fd, to_host(from).v, bytes, to_host({at}).v);
    raw(SYS_exit_group, 0);
    __builtin_unreachable();
  }
  if (child > 0) raw(SYS_wait4, static_cast<uint64_t>(child), 0, __WCLONE, 0);
  raw(SYS_rt_sigprocmask, SIG_SETMASK, arg(&before), 0, sizeof before);
  return is_error(child) ? child : result;
}

// A guest sees its code in copies that all share (memory/code_store.h), until its own monitor leads it back to the mapping.
int64_t write_against_protection(Thread& thread, const MemoryFile& file, GuestAddr from, uint64_t at, uint64_t bytes) {
  Process& process = *thread.process;
  if (!process.space->stores_code()) return forced_write(thread, file, from, at, bytes);
  const bool own = raw(SYS_tgkill, static_cast<uint64_t>(process.pid), static_cast<uint64_t>(file.pid), 0) == 0;
  if (!own) return -EIO;
  bytes = within_window(at, bytes);
  return process.space->change_beneath(at, at + bytes, [&] { return forced_write(thread, file, from, at, bytes); });
}

int64_t read_pagemap(Thread& thread, const MemoryFile& file, GuestAddr to, uint64_t bytes, uint64_t at) {
  if (at % 8 || bytes % 8) return -EINVAL;
  std::string path;
  add_number(path, static_cast<uint64_t>(file.pid));
  path += "/pagemap";
  const int64_t fd = raw(SYS_openat, thread.process->proc_fd, arg(path.c_str()), O_RDONLY | O_CLOEXEC);
  if (is_error(fd)) return fd;
  std::vector<uint64_t> entries(1024);
  int64_t done = 0;
  while (static_cast<uint64_t>(done) < bytes) {
    const uint64_t address = (at + static_cast<uint64_t>(done)) / 8 * kPage;
    if (address >= kGuestEnd) break;
    uint64_t count = std::min<uint64_t>(entries.size(), (bytes - static_cast<uint64_t>(done)) / 8);
    const uint64_t usable = within_window(address, count * kPage) / kPage;
    if (usable == 0) {
      // Nothing is ever mapped there.
      count = std::min(count, (kRefusedEnd - address) / kPage);
      std::fill_n(entries.begin(), count, 0);
    } else {
      count = usable;
      const int64_t got = raw(SYS_pread64, fd, arg(entries.data()), count * 8, to_host({address}).v / kPage * 8);
      if (got <= 0) {
        if (done == 0) done = got;
        break;
      }
      count = static_cast<uint64_t>(got) / 8;
    }
    if (!copy_out(to + static_cast<uint64_t>(done), entries.data(), count * 8)) {
      if (done == 0) done = -EFAULT;
      break;
    }
    done += static_cast<int64_t>(count * 8);
  }
  raw(SYS_close, fd);
  return done;
}

template <class Make>
int64_t at_position(int fd, int64_t position, Make make) {
  const int64_t at = position >= 0 ? position : raw(SYS_lseek, fd, 0, SEEK_CUR);
  if (at < 0) return at;
  const int64_t result = make(static_cast<uint64_t>(at));
  if (result > 0 && position < 0) raw(SYS_lseek, fd, static_cast<uint64_t>(at + result), SEEK_SET);
  return result;
}

bool mode_is(int fd, uint64_t wanted) {
  const int64_t flags = raw(SYS_fcntl, fd, F_GETFL);
  return flags >= 0 && ((flags & O_ACCMODE) == O_RDWR || (static_cast<uint64_t>(flags) & O_ACCMODE) == wanted);
}

}  // namespace

bool procfs_has_memory_files(const Thread& thread) { return thread.process->memory_files.load(std::memory_order_relaxed); }

void procfs_note_memory_file(Thread& thread, int fd) {
  if (judge(thread, fd).kind != Kind::none) thread.process->memory_files.store(true);
  else if (procfs_path_of(thread, fd).starts_with(kStandInLink)) thread.process->text_files.store(true);
}

int64_t procfs_memory_read(Thread& thread, int fd, GuestAddr to, uint64_t bytes, int64_t position) {
  const MemoryFile file = judge(thread, fd);
  if (file.kind == Kind::none) return kNotMemoryFile;
  if (!mode_is(fd, O_RDONLY)) return -EBADF;
  return at_position(fd, position, [&](uint64_t at) {
    if (file.kind == Kind::pagemap) return read_pagemap(thread, file, to, bytes, at);
    return bytes ? transfer(file, SYS_process_vm_readv, to, at, bytes) : int64_t{0};
  });
}

int64_t procfs_memory_write(Thread& thread, int fd, GuestAddr from, uint64_t bytes, int64_t position) {
  const MemoryFile file = judge(thread, fd);
  if (file.kind == Kind::none) return kNotMemoryFile;
  if (!mode_is(fd, O_WRONLY)) return -EBADF;
  if (file.kind == Kind::pagemap) return -EINVAL;
  return at_position(fd, position, [&](uint64_t at) {
    if (bytes == 0) return int64_t{0};
    const int64_t written = transfer(file, SYS_process_vm_writev, from, at, bytes);
    return written == -EIO && within_window(at, 1) ? write_against_protection(thread, file, from, at, bytes) : written;
  });
}

}  // namespace tine
