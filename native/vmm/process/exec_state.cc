#include "process/exec_state.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "arch/arch.h"
#include "fork/board.h"
#include "host/raw.h"
#include "process/descriptors.h"
#include "process/translators.h"
#include "seccomp/chain.h"

namespace tine {
namespace {

constexpr uint64_t kMagic = 0x3165'7865'656e'6974ull;  // "tineexe1"

struct Fixed {
  uint64_t magic;
  rlimit64 stack, nofile, host_nofile, as, data, core;
  int32_t base;
  uint32_t personality;
  int32_t fork_strategy, exitless;
  int32_t seccomp_mode;
  uint8_t jailed, host_filter, no_new_privs, has_interpreter, memory_files, text_files;
  uint8_t has_binary, preserves_argv0, translated, translators, huge_pages, code_store, may_be_mapped;
  uint8_t padding[3];
  SignalSet mask, ignored;
  uint32_t name_bytes, comm_bytes, seccomp_bytes, container_bytes;
  uint64_t loader_digest;
  uint32_t loader_bytes, execs, processor_bytes, more_padding;
  uint64_t helper_user, helper_system;
  VdsoLayout vdso_layout;
};

void append(std::vector<uint8_t>& to, const void* from, size_t bytes) {
  const auto* p = static_cast<const uint8_t*>(from);
  to.insert(to.end(), p, p + bytes);
}

// A descriptor from which the bytes can be read once. A pipe, since a file is held to the guest's RLIMIT_FSIZE; what no pipe
// has room for is in a file all the same.
int64_t readable_once(const std::vector<uint8_t>& bytes) {
  const auto size = static_cast<int64_t>(bytes.size());
  int32_t ends[2];
  if (!is_error(raw(SYS_pipe2, arg(ends), O_CLOEXEC | O_NONBLOCK))) {
    const int64_t written = raw(SYS_write, static_cast<uint64_t>(ends[1]), arg(bytes.data()), bytes.size());
    raw(SYS_close, static_cast<uint64_t>(ends[1]));
    if (written == size) return ends[0];
    raw(SYS_close, static_cast<uint64_t>(ends[0]));
  }
  const int64_t fd = raw(SYS_memfd_create, arg("tine-exec"), MFD_CLOEXEC);
  if (is_error(fd)) return fd;
  if (raw(SYS_write, static_cast<uint64_t>(fd), arg(bytes.data()), bytes.size()) == size) {
    raw(SYS_lseek, static_cast<uint64_t>(fd), 0, SEEK_SET);
    return fd;
  }
  raw(SYS_close, static_cast<uint64_t>(fd));
  return -ENOMEM;
}

bool read_all(int fd, void* to, size_t bytes) {
  auto* at = static_cast<uint8_t*>(to);
  while (bytes) {
    const int64_t got = raw(SYS_read, static_cast<uint64_t>(fd), arg(at), bytes);
    if (got == -EINTR) continue;
    if (got <= 0) return false;
    at += got;
    bytes -= static_cast<size_t>(got);
  }
  return true;
}

}  // namespace

int64_t save_exec_state(Thread& t, const Image& image) {
  Process& p = *t.process;
  std::vector<uint8_t> filters = seccomp_serialize(t.seccomp);
  std::vector<uint8_t> container = seccomp_serialize(p.container_seccomp);
  Fixed f{};
  f.magic = kMagic;
  f.stack = p.stack_limit;
  f.nofile = p.nofile_limit;
  f.host_nofile = p.host_nofile.set;
  f.as = p.as_limit;
  f.data = p.data_limit;
  f.core = p.core_limit;
  f.base = p.own().base;
  f.personality = p.personality;
  f.fork_strategy = p.fork_strategy;
  f.exitless = p.exitless;
  f.huge_pages = p.huge_pages;
  f.code_store = p.code_store_fd >= 0;
  f.may_be_mapped = p.may_be_mapped;
  f.vdso_layout = p.vdso_layout;
  f.helper_user = p.helper_user;
  f.helper_system = p.helper_system;
  f.seccomp_mode = t.seccomp_mode;
  f.jailed = p.jailed;
  f.host_filter = p.host_filter;
  f.no_new_privs = t.no_new_privs;
  f.has_interpreter = image.interpreter_fd >= 0;
  f.memory_files = p.memory_files.load();
  f.text_files = p.text_files.load();
  f.has_binary = image.binary_fd >= 0;
  f.preserves_argv0 = image.preserves_argv0;
  f.translated = image.translated;
  f.translators = static_cast<uint8_t>(p.translators);
  f.mask = t.mask;
  for (int number = 1; number <= kSignals; number++)
    if (p.handlers->action[number - 1].handler == 1) f.ignored |= signal_bit(number);
  f.name_bytes = static_cast<uint32_t>(image.name.size());
  f.comm_bytes = static_cast<uint32_t>(image.comm.size());
  f.seccomp_bytes = static_cast<uint32_t>(filters.size());
  f.container_bytes = static_cast<uint32_t>(container.size());
  f.loader_digest = p.loader_sites.digest;
  f.loader_bytes = static_cast<uint32_t>(p.loader_sites.sites.size() * sizeof(uint32_t));
  const std::span<const uint8_t> processor = arch_processor();
  f.processor_bytes = static_cast<uint32_t>(processor.size());
  f.execs = p.shares_memory ? 1 : board.execs + 1;  // else the board is the parent's
  std::vector<uint8_t> bytes;
  append(bytes, &f, sizeof f);
  append(bytes, image.name.data(), image.name.size());
  append(bytes, image.comm.data(), image.comm.size());
  append(bytes, filters.data(), filters.size());
  append(bytes, container.data(), container.size());
  append(bytes, p.loader_sites.sites.data(), f.loader_bytes);
  append(bytes, processor.data(), processor.size());
  const int64_t fd = readable_once(bytes);
  if (is_error(fd)) return fd;
  if (const int64_t result = raw(SYS_fcntl, static_cast<uint64_t>(fd), F_SETOWN, static_cast<uint64_t>(p.pid))) {
    raw(SYS_close, static_cast<uint64_t>(fd));
    return result;
  }
  int64_t owned = own_descriptor(p, static_cast<int>(fd), kStatePlace, false);
  return is_error(owned) ? owned : 0;
}

bool is_exec_state(int fd) {
  int32_t bytes = 0;
  return raw(SYS_fcntl, static_cast<uint64_t>(fd), F_GETOWN) == raw(SYS_getpid) && !raw(SYS_ioctl, static_cast<uint64_t>(fd), FIONREAD, arg(&bytes)) &&
         bytes > static_cast<int32_t>(sizeof(Fixed));
}

bool load_exec_state(int fd, Thread& t, ExecState& state) {
  Fixed f;
  if (!read_all(fd, &f, sizeof f) || f.magic != kMagic) return false;
  std::vector<uint8_t> rest(f.name_bytes + f.comm_bytes + f.seccomp_bytes + f.container_bytes + f.loader_bytes + f.processor_bytes);
  if (!read_all(fd, rest.data(), rest.size())) return false;
  raw(SYS_close, static_cast<uint64_t>(fd));
  Process& p = *t.process;
  p.stack_limit = f.stack;
  p.nofile_limit = f.nofile;
  p.host_nofile.set = f.host_nofile;
  p.as_limit = f.as;
  p.data_limit = f.data;
  p.core_limit = f.core;
  p.own().base = f.base;
  p.personality = f.personality;
  p.fork_strategy = f.fork_strategy;
  p.exitless = f.exitless;
  p.huge_pages = f.huge_pages;
  state.code_store = f.code_store;
  p.may_be_mapped = f.may_be_mapped;
  p.vdso_layout = f.vdso_layout;
  p.helper_user = f.helper_user;
  p.helper_system = f.helper_system;
  p.jailed = f.jailed;
  p.host_filter = f.host_filter;
  p.memory_files.store(f.memory_files);
  p.text_files.store(f.text_files);
  t.seccomp_mode = f.seccomp_mode;
  t.no_new_privs = f.no_new_privs;
  t.mask = f.mask;
  for (int number = 1; number <= kSignals; number++)
    if (f.ignored & signal_bit(number)) p.handlers->action[number - 1].handler = 1;
  const auto* at = rest.data();
  state.name.assign(reinterpret_cast<const char*>(at), f.name_bytes);
  at += f.name_bytes;
  state.comm.assign(reinterpret_cast<const char*>(at), f.comm_bytes);
  at += f.comm_bytes;
  t.seccomp = seccomp_deserialize({at, f.seccomp_bytes});
  at += f.seccomp_bytes;
  p.container_seccomp = seccomp_deserialize({at, f.container_bytes});
  at += f.container_bytes;
  p.loader_sites.digest = f.loader_digest;
  p.loader_sites.sites.resize(f.loader_bytes / sizeof(uint32_t));
  if (f.loader_bytes) std::memcpy(p.loader_sites.sites.data(), at, f.loader_bytes);
  at += f.loader_bytes;
  arch_take_processor({at, f.processor_bytes});
  state.has_interpreter = f.has_interpreter;
  state.has_binary = f.has_binary;
  state.preserves_argv0 = f.preserves_argv0;
  p.translated = f.translated;
  board.execs = f.execs;
  inherit_translators(p, f.translators);
  return true;
}

}  // namespace tine
