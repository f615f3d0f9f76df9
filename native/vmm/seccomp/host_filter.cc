// The filter on the monitor itself in a jail: the calls of the table that reach the host, and what the monitor
// needs for its own work. Arguments are not judged here: the table has done it, and a filter that every host
// call pays for should be short: a binary search by number (and Linux 5.11 and later remember per number that it
// is always allowed, without running it).
#include <errno.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>

#include <algorithm>
#include <vector>

#include "host/raw.h"
#include "seccomp/seccomp.h"

namespace tine {
namespace {

#if defined(__x86_64__)
#define TINE_NUMBER(x86_64, aarch64) x86_64
#else
#define TINE_NUMBER(x86_64, aarch64) aarch64
#endif

// Every call that the table lets through in one form or another. An emulated one needs its own number more
// often than not (mmap, clone, execve, …); those that never do cost nothing here.
constexpr int kFromTable[] = {
#define PASS(x86_64, aarch64, name, spec, note) TINE_NUMBER(x86_64, aarch64),
#define EMULATED(x86_64, aarch64, name, note) TINE_NUMBER(x86_64, aarch64),
#define REFUSED(x86_64, aarch64, name, error, why)
#include "syscall/table.def"
#undef PASS
#undef EMULATED
#undef REFUSED
};

// What the guest may not do and the monitor must: nothing is made on the guest's behalf with these.
constexpr int kOwn[] = {
    SYS_pkey_alloc,
    SYS_restart_syscall,  // the kernel itself makes it after a stop
    SYS_rt_sigreturn,
};

using Program = std::vector<sock_filter>;

constexpr uint32_t kRefuse = SECCOMP_RET_ERRNO | ENOSYS;

struct Range {
  uint32_t first, last;
};

std::vector<Range> allowed_ranges() {
  std::vector<uint32_t> numbers;
  for (int number : kFromTable)
    if (number >= 0) numbers.push_back(static_cast<uint32_t>(number));
  for (int number : kOwn) numbers.push_back(static_cast<uint32_t>(number));
  std::sort(numbers.begin(), numbers.end());
  std::vector<Range> ranges;
  for (uint32_t number : numbers) {
    if (!ranges.empty() && number <= ranges.back().last + 1)
      ranges.back().last = number;
    else
      ranges.push_back({number, number});
  }
  return ranges;
}

// Code for ranges[first, last): narrow by the middle one, then compare. Conditional jumps reach 255
// instructions, so the far side is reached by a plain jump.
void search(Program& out, const std::vector<Range>& ranges, size_t first, size_t last) {
  if (last - first == 1) {
    out.push_back(BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, ranges[first].first, 0, 1));
    out.push_back(BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, ranges[first].last, 0, 1));
    out.push_back(BPF_STMT(BPF_RET | BPF_K, kRefuse));
    out.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
    return;
  }
  const size_t middle = first + (last - first) / 2;
  out.push_back(BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, ranges[middle].first, 0, 1));
  const size_t jump = out.size();
  out.push_back(BPF_STMT(BPF_JMP | BPF_JA, 0));
  search(out, ranges, first, middle);
  out[jump].k = static_cast<uint32_t>(out.size() - jump - 1);
  search(out, ranges, middle, last);
}

}  // namespace

std::vector<sock_filter> seccomp_host_program() {
  Program program{
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, arch)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kAuditArch, 1, 0),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),  // the monitor has one architecture
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
  };
  const std::vector<Range> ranges = allowed_ranges();
  search(program, ranges, 0, ranges.size());
  return program;
}

int64_t seccomp_install_host_filter() {
  Program program = seccomp_host_program();
  sock_fprog header{static_cast<unsigned short>(program.size()), program.data()};
  if (int64_t error = raw(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1)) return error;
  return raw(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, arg(&header));
}

}  // namespace tine
