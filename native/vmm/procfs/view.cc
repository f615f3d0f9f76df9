#include "procfs/view.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/stat.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <vector>

#include "host/raw.h"
#include "memory/address_space.h"
#include "process/descriptors.h"
#include "procfs/counters.h"
#include "procfs/lines.h"
#include "procfs/procfs.h"
#include "procfs/text.h"
#include "seccomp/chain.h"

namespace tine {
namespace {

const char* name_of(const Vma& vma) {
  if (vma.flags & kVmaStack) return "[stack]";
  if (vma.flags & kVmaHeap) return "[heap]";
  if (vma.flags & kVmaVdso) return "[vdso]";
  if (vma.flags & kVmaVvar) return "[vvar]";
  return "";
}

std::vector<GuestMapping> own_mappings(Thread& thread) {
  std::vector<GuestMapping> mappings;
  mappings.reserve(512);
  thread.process->space->for_each([&](const Vma& vma) {
    const char* name = name_of(vma);
    // Linux 6.13 and later have the hypervisor's clock pages as a second mapping behind the first.
    if (vma.flags & kVmaVvar && !mappings.empty() && mappings.back().end == vma.start &&
        std::string_view(mappings.back().name) == name)
      name = "[vvar_vclock]";
    mappings.push_back({vma.start, vma.end, vma.prot, name, (vma.flags & kVmaShared) != 0});
  });
  return mappings;
}

// Documentation/admin-guide/mm/pagemap.rst.
constexpr uint64_t kPagePresent = 1ull << 63, kPageSwapped = 1ull << 62, kPageOfFile = 1ull << 61;

// The monitor's own resident memory, from pagemap's present bits.
void add_residence(Thread& thread, const ProcEntry& entry, std::string_view maps, GuestCounts& counts) {
  const OwnFile pagemap(*thread.process, procfs_open_text(thread, entry, "pagemap"));
  if (!pagemap.good()) return;
  std::vector<uint64_t> entries(2048);
  HostRange range{};
  for (std::string_view rest = maps; !rest.empty();) {
    rest = next_monitor_range(rest, range);
    for (uint64_t page = range.start / kPage; page < range.end / kPage;) {
      const uint64_t count = std::min<uint64_t>(entries.size(), range.end / kPage - page);
      const int64_t got = raw(SYS_pread64, static_cast<uint64_t>(pagemap.fd()), arg(entries.data()), count * 8,
                              page * 8);
      if (got <= 0) break;
      for (int64_t n = 0; n < got / 8; n++)
        if (entries[static_cast<size_t>(n)] & kPagePresent)
          (entries[static_cast<size_t>(n)] & kPageOfFile ? counts.monitor_file : counts.monitor_anonymous) += kPage;
      page += static_cast<uint64_t>(got) / 8;
    }
  }
}

void add_memory(Thread& thread, GuestCounts& counts) {
  uint64_t executable = 0;
  AddressSpace& space = *thread.process->space;
  space.for_each([&](const Vma& vma) {
    counts.size += vma.bytes();
    if (vma.flags & kVmaLocked) counts.locked += vma.bytes();
    if (vma.flags & kVmaStack)
      counts.stack += vma.bytes();
    else if (vma.prot & PROT_WRITE)
      counts.data += vma.flags & kVmaShared ? 0 : vma.bytes();
    else if (vma.prot & PROT_EXEC)
      executable += vma.bytes();
  });
  const uint64_t first = space.code_start & ~(kPage - 1), last = (space.code_end + kPage - 1) & ~(kPage - 1);
  counts.text = last > first ? std::min(last - first, executable) : 0;
  counts.libraries = executable - counts.text;
}

// The address that field 28 of /proc/PID/stat (startstack) tells, of another monitor's guest.
GuestAddr stack_of(std::string_view stat) {
  const size_t close = stat.rfind(')');
  if (close == std::string_view::npos || close + 2 > stat.size()) return {0};
  stat.remove_prefix(close + 2);
  for (unsigned field = 3; field < 28; field++) take_until(stat, ' ');
  uint64_t address = 0;
  return take_number(stat, address) && in_window({address}) ? to_guest({address}) : GuestAddr{0};
}

// From the lowest page of a stack that was ever touched to its end.
uint64_t used_stack(Thread& thread, const ProcEntry& entry, const HostRange& stack) {
  const OwnFile pagemap(*thread.process, procfs_open_text(thread, entry, "pagemap"));
  if (!pagemap.good()) return 0;
  std::vector<uint64_t> entries(2048);
  for (uint64_t page = stack.start / kPage; page < stack.end / kPage;) {
    const uint64_t count = std::min<uint64_t>(entries.size(), stack.end / kPage - page);
    const int64_t got = raw(SYS_pread64, static_cast<uint64_t>(pagemap.fd()), arg(entries.data()), count * 8, page * 8);
    if (got <= 0) return 0;
    for (int64_t n = 0; n < got / 8; n++)
      if (entries[static_cast<size_t>(n)] & (kPagePresent | kPageSwapped)) return stack.end - (page + static_cast<uint64_t>(n)) * kPage;
    page += static_cast<uint64_t>(got) / 8;
  }
  return 0;
}

// What the host lets us know of the memory of another monitor's guest.
void add_others_memory(Thread& thread, const ProcEntry& entry, GuestCounts& counts) {
  std::string maps, stat;
  // The kernel shows no mapping of a process that has ended, and none of another user's to one without privileges.
  if (!procfs_read_text(thread, entry, "maps", maps) || maps.empty() || !procfs_read_text(thread, entry, "stat", stat)) return;
  const WindowSizes sizes = window_sizes(maps, stack_of(stat));
  if (!sizes.size) return;
  counts.stack = used_stack(thread, entry, sizes.stack);
  counts.size = sizes.size + counts.stack;
  counts.data = sizes.data;
  counts.has_sizes = true;
  add_residence(thread, entry, maps, counts);
}

void add_signals(Thread& thread, GuestCounts& counts) {
  SignalHandlers& handlers = *thread.process->handlers;
  Guard guard(handlers.lock);
  for (int number = 1; number <= kSignals; number++) {
    const uint64_t handler = handlers.action[number - 1].handler;
    if (handler == 1) counts.ignored |= signal_bit(number);
    if (handler > 1) counts.caught |= signal_bit(number);
  }
  counts.has_signals = true;
}

GuestCounts counts_of(Thread& thread, const ProcEntry& entry) {
  GuestCounts counts;
  const SeccompChain* chain = entry.own ? thread.seccomp : thread.process->container_seccomp;
  counts.no_new_privs = thread.no_new_privs;
  counts.seccomp_mode = entry.own ? thread.seccomp_mode : chain ? 2 : 0;
  counts.seccomp_filters = chain ? chain->filters : 0;
  counts.own = entry.own;
  if (!entry.own) {
    counts.hidden_threads = procfs_helpers(thread, entry);
    add_others_memory(thread, entry, counts);
    return counts;
  }
  counts.threads = static_cast<uint64_t>(std::max(thread.process->thread_count.load(), 1));
  add_memory(thread, counts);
  add_signals(thread, counts);
  counts.has_sizes = true;
  if (std::string maps; procfs_read_text(thread, entry, "maps", maps)) add_residence(thread, entry, maps, counts);
  if (thread.process->thread_count.load() <= 1 || entry.tid == thread.tid) {
    counts.has_mask = true;
    counts.blocked = thread.mask;
  }
  return counts;
}

std::string limits_of(Thread& thread, const ProcEntry& entry, std::string_view host) {
  if (!entry.own) return std::string(host);
  adopt_descriptor_limit(*thread.process);
  const Process& p = *thread.process;
  const GuestLimit limits[] = {
      {"Max stack size", p.stack_limit.rlim_cur, p.stack_limit.rlim_max},
      {"Max open files", p.nofile_limit.rlim_cur, p.nofile_limit.rlim_max},
      {"Max address space", p.as_limit.rlim_cur, p.as_limit.rlim_max},
      {"Max data size", p.data_limit.rlim_cur, p.data_limit.rlim_max},
      {"Max core file size", p.core_limit.rlim_cur, p.core_limit.rlim_max},
  };
  return guest_limits(host, limits, std::size(limits));
}

std::string auxv_of(Thread& thread, const ProcEntry& entry, std::string_view host) {
  if (!entry.own) return guest_auxv(host);
  const Process& p = *thread.process;
  return std::string(reinterpret_cast<const char*>(p.auxv), static_cast<size_t>(p.auxv_words) * 8);
}

// Files that need the host's text to be made into the guest's.
std::string guest_text(Thread& thread, const ProcEntry& entry, std::string_view host) {
  const std::string& place = entry.place;
  if (place == "maps" || place == "smaps" || place == "smaps_rollup") {
    const std::vector<GuestMapping> mappings = entry.own ? own_mappings(thread) : std::vector<GuestMapping>();
    return place == "maps" ? guest_maps(host, mappings) : guest_smaps(host, mappings, place == "smaps_rollup");
  }
  if (place == "numa_maps") return guest_numa_maps(host);
  if (place == "auxv") return auxv_of(thread, entry, host);
  if (place == "limits") return limits_of(thread, entry, host);
  if (place == "syscall") return "running\n";
  if (place == "wchan") return "0";
  if (place == "stack") return "";
  if (place == "personality") {
    std::string out;
    if (!entry.own) return std::string(host);
    add_number(out, thread.process->personality, 16, 8);
    return out + "\n";
  }
  const GuestCounts counts = counts_of(thread, entry);
  if (place == "status") return guest_status(host, counts);
  if (place == "stat") return guest_stat(host, counts);
  return guest_statm(host, counts);
}

constexpr std::string_view kTexts[] = {"maps",  "smaps", "smaps_rollup", "numa_maps", "auxv",  "limits",
                                       "syscall", "wchan", "stack",      "personality", "status", "stat", "statm"};

bool is_memory(std::string_view name) { return name == "mem" || name == "pagemap"; }

// True where a bind mount of this very file hides its name.
bool is_mount_root(int fd) {
  struct statx x {};
  return raw(SYS_statx, fd, arg(""), AT_EMPTY_PATH, STATX_BASIC_STATS, arg(&x)) == 0 &&
         x.stx_attributes & STATX_ATTR_MOUNT_ROOT;
}

// 0, or -errno for a file of a procfs that the guest's mounts do not show, so that only the name is known.
int64_t judge_unknown(const ProcEntry& entry, int fd) {
  if (entry.directory || entry.symlink) return 0;
  return procfs_is_text(entry.name) || is_memory(entry.name) || is_mount_root(fd) ? -EACCES : 0;
}

}  // namespace

bool procfs_is_text(std::string_view name) {
  return std::find(std::begin(kTexts), std::end(kTexts), name) != std::end(kTexts);
}

bool procfs_is_sensitive(const ProcEntry& entry) {
  return entry.pid >= 0 && (procfs_is_text(entry.place) || is_memory(entry.place) || entry.place == "map_files" ||
                            entry.in("map_files") || entry.in("fd") || entry.in("fdinfo"));
}

int64_t procfs_stand_in(Thread& thread, int flags, const ProcEntry& entry, std::string_view content) {
  const std::string name = std::string(kStandIn) + entry.above + "/" + entry.name;
  const int64_t memory = raw(SYS_memfd_create, arg(name.substr(0, 240).c_str()),
                             MFD_CLOEXEC | (is_memory(entry.name) ? MFD_ALLOW_SEALING : 0u));
  if (is_error(memory)) return memory;
  int64_t result = 0;
  // A stand-in for mem is empty and stays so, whoever gets it and however.
  if (is_memory(entry.name)) result = raw(SYS_fcntl, memory, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SEAL);
  while (!content.empty() && result == 0) {
    const int64_t written = raw(SYS_write, memory, arg(content.data()), content.size());
    if (written <= 0)
      result = written ? written : -EIO;
    else
      content.remove_prefix(static_cast<size_t>(written));
  }
  // A second opening has the access mode and the position that the guest's has.
  if (result == 0) {
    std::string path = "self/fd/";
    add_number(path, static_cast<uint64_t>(memory));
    const int64_t again = raw(SYS_openat, thread.process->proc_fd, arg(path.c_str()),
                              (static_cast<uint64_t>(flags) & (O_ACCMODE | O_NONBLOCK)) | O_CLOEXEC);
    // The first one has the lowest number, which is what an open gives.
    result = is_error(again) ? again : raw(SYS_dup3, again, memory, static_cast<uint64_t>(flags) & O_CLOEXEC);
    if (!is_error(again)) raw(SYS_close, again);
  }
  if (is_error(result)) raw(SYS_close, memory);
  else if (!is_memory(entry.name)) procfs_mark_unread(static_cast<int>(memory));
  return result;
}

ProcAnswer procfs_answer(Thread& thread, const ProcEntry& entry, int fd, int flags) {
  ProcAnswer answer;
  if (!entry.known) {
    if (!(flags & O_PATH)) answer.error = judge_unknown(entry, fd);
    return answer;
  }
  if (entry.helper) {
    answer.error = -ENOENT;
    return answer;
  }
  if (!(flags & O_PATH) && (entry.place == "comm" || procfs_is_text(entry.place))) procfs_await_start(thread, entry);
  if (!procfs_is_sensitive(entry) || !procfs_is_monitor(thread, entry)) return answer;
  if (entry.in("fd") || entry.in("fdinfo")) {
    if (procfs_in_block(thread, entry, whole_number(entry.name))) answer.error = -ENOENT;
  } else if (entry.place.starts_with("map_files")) {
    answer.error = -EPERM;
  } else if (!(flags & O_PATH)) {
    answer.stand_in = true;
    if (is_memory(entry.place)) {
      thread.process->memory_files.store(true);
    } else {
      thread.process->text_files.store(true);
      // What the kernel refuses to show (figures of a process that has ended) is not there for the guest either.
      std::string host;
      const char* name = entry.place == "smaps_rollup" ? "smaps" : entry.place.c_str();
      if (procfs_read_text(thread, entry, name, host)) answer.content = guest_text(thread, entry, host);
    }
  }
  return answer;
}

int64_t procfs_opened(Thread& thread, int fd, int flags) {
  const ProcEntry entry = procfs_entry(thread, fd);
  const ProcAnswer answer = procfs_answer(thread, entry, fd, flags);
  int64_t result = answer.error;
  if (answer.stand_in) {
    result = procfs_stand_in(thread, flags | O_CLOEXEC, entry, answer.content);
    if (!is_error(result)) {
      const int64_t made = result;
      result = raw(SYS_dup3, made, fd, static_cast<uint64_t>(flags) & O_CLOEXEC);
      raw(SYS_close, made);
    }
  } else if (result == 0) {
    return fd;
  }
  if (is_error(result)) raw(SYS_close, fd);
  return result;
}

int64_t procfs_received(Thread& thread, int fd) {
  procfs_note_memory_file(thread, fd);
  const ProcEntry entry = procfs_entry(thread, fd);
  const bool path_only = raw(SYS_fcntl, fd, F_GETFL) & O_PATH;
  if (!entry.known) return path_only ? 0 : judge_unknown(entry, fd);
  if (!procfs_is_sensitive(entry) || path_only) return 0;
  return procfs_is_monitor(thread, entry) ? -EACCES : 0;
}

}  // namespace tine
