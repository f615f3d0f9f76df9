// execve: everything that can fail is tried first; then the host process executes the monitor anew. The kernel
// itself then does what exec does (threads die, dispositions reset, close-on-exec, capabilities, comm), and a vfork
// child leaves its parent's memory keeping its pid.
#include <fcntl.h>
#include <linux/limits.h>

#include <cerrno>
#include <cstring>

#include "host/raw.h"
#include "host/report.h"
#include "memory/guest_copy.h"
#include "process/descriptors.h"
#include "process/exec_state.h"
#include "process/image.h"
#include "process/threads.h"
#include "signal/signal.h"
#include "syscall/descriptors.h"
#include "syscall/handlers.h"

namespace tine {
namespace {

constexpr uint64_t kMostStrings = 0x7fffffff / 8;

// The guest's pointer vector as host pointers. The kernel copies the strings straight from guest memory.
int64_t take_vector(GuestAddr at, std::vector<uint64_t>& out) {
  if (!at.v) return 0;
  for (uint64_t i = 0; i < kMostStrings; i++) {
    uint64_t pointer;
    if (!get(pointer, at + i * 8)) return -EFAULT;
    if (!pointer) return 0;
    uint64_t host = hp({pointer});
    uint8_t probe;
    if (!copy_checked(&probe, HostAddr{host}.ptr(), 1)) return -EFAULT;
    out.push_back(host);
    if (out.size() > (1u << 20)) return -E2BIG;
  }
  return -E2BIG;
}

// What the kernel would refuse only after the point of no return must be refused here: the size of the strings.
// fs/exec.c: a quarter of the stack limit, at most 6 MiB, at least 128 KiB; one string at most 128 KiB.
int64_t check_sizes(const std::vector<uint64_t>& argv, const std::vector<uint64_t>& envp) {
  constexpr uint64_t kLongest = 32 * kPage;
  uint64_t limit = 2ull << 20, total = (argv.size() + envp.size()) * 8;
  for (const auto* list : {&argv, &envp})
    for (uint64_t pointer : *list) {
      uint64_t length = 0;
      for (;;) {
        char chunk[4096];
        uint64_t bytes = kPage - ((pointer + length) & (kPage - 1));
        if (!copy_checked(chunk, HostAddr{pointer + length}.ptr(), bytes)) return -EFAULT;
        const void* end = std::memchr(chunk, 0, bytes);
        if (end) {
          length += static_cast<uint64_t>(static_cast<const char*>(end) - chunk) + 1;
          break;
        }
        length += bytes;
        if (length > kLongest) return -E2BIG;
      }
      if (length > kLongest) return -E2BIG;
      total += length;
      if (total > limit) return -E2BIG;
    }
  return 0;
}

int64_t execute(Call& c, int directory, const char* path, int flags, GuestAddr argv_at, GuestAddr envp_at) {
  Thread& t = c.thread;
  Process& p = *t.process;
  Image image;
  {
    // The kernel needs no descriptor to execute a file: a full table must not be in the way.
    auto gate = hold_gate(t);
    RoomForDescriptors room(p);
    if (int64_t result = find_image(t, directory, path, flags, image)) return result;
  }
  std::vector<uint64_t> argv, envp;
  if (int64_t result = take_vector(argv_at, argv)) return result;
  if (int64_t result = take_vector(envp_at, envp)) return result;
  // An empty argv becomes {""}, as Linux does since 5.18.
  static const char empty[] = "";
  if (argv.empty()) argv.push_back(arg(empty));
  put_prefix(image, argv, [](const char* word) { return arg(word); });
  if (int64_t result = check_sizes(argv, envp)) return result;
  argv.push_back(0);
  envp.push_back(0);
  // Too many processes of the user that this one became (RLIMIT_NPROC): found out before anything is given up.
  const uint64_t nothing[] = {arg(empty), 0};
  if (raw(SYS_execveat, ~0ull, arg(empty), arg(nothing), arg(nothing + 1), AT_EMPTY_PATH) == -EAGAIN) return -EAGAIN;

  {
    auto gate = hold_gate(t);
    RoomForDescriptors room(p);
    // From here the descriptors of the block belong to the coming program. A vfork child has a table of its own.
    if (int64_t result = save_exec_state(t, image)) return result;
    int exe = image.fd, interpreter = image.interpreter_fd, binary = image.binary_fd;
    image.fd = image.interpreter_fd = image.binary_fd = -1;
    int64_t placed = own_descriptor(p, exe, kExePlace, false);
    if (is_error(placed)) return placed;
    if (interpreter >= 0) {
      placed = own_descriptor(p, interpreter, kInterpreterPlace, false);
      if (is_error(placed)) return placed;
    }
    if (binary >= 0) {
      placed = own_descriptor(p, binary, kBinaryPlace, false);
      if (is_error(placed)) return placed;
    }
  }
  // The mask the kernel carries over must be the guest's. Signals that arrive now are left to the new image.
  SignalSet all = kAllSignals;
  raw(SYS_rt_sigprocmask, SIG_SETMASK, arg(&all), 0, 8);
  if (t.pending) {
    // One was taken off the kernel's queue already: it goes back.
    raw(SYS_rt_tgsigqueueinfo, static_cast<uint64_t>(p.pid), static_cast<uint64_t>(t.tid), static_cast<uint64_t>(t.pending), arg(const_cast<siginfo_t*>(&t.pending_info)));
    t.pending = 0;
  }
  // The kernel walks these when the old address space goes; it could not read the guest's.
  leave_robust_lists(p);
  // Other threads still run, and must not believe this one gone; Linux clears the word where another process has it too.
  if (p.shares_memory) clear_child_tid(t);
  int64_t result = raw(SYS_execveat, static_cast<uint64_t>(p.self_fd), arg(empty), arg(argv.data()), arg(envp.data()), AT_EMPTY_PATH);
  report("exec of the monitor failed: error %ld", static_cast<long>(-result));
  set_guest_mask(t, t.mask);
  return result;
}

}  // namespace

int64_t sys_execve(Call& c) {
  char path[PATH_MAX];
  int64_t length = copy_string(path, c.ptr(0), sizeof path);
  if (length < 0) return length;
  if (!length) return -ENOENT;
  return execute(c, AT_FDCWD, path, 0, c.ptr(1), c.ptr(2));
}

int64_t sys_execveat(Call& c) {
  int flags = static_cast<int>(c.a[4]);
  if (flags & ~(AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW)) return -EINVAL;
  if (is_hidden(c.thread, c.fd(0))) return -EBADF;
  char path[PATH_MAX];
  int64_t length = copy_string(path, c.ptr(1), sizeof path);
  if (length < 0) return length;
  return execute(c, c.fd(0), path, flags, c.ptr(2), c.ptr(3));
}

}  // namespace tine
