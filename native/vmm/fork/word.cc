#include "fork/word.h"

#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

#include <atomic>
#include <cerrno>

#include "host/raw.h"

namespace tine {

struct ForkWord::Shared {
  std::atomic<uint32_t> told{0};
  std::atomic<int32_t> result{0};
};

namespace {

constexpr uint64_t kBytes = 4096;
constexpr long kLookAfter = 20'000'000;  // ns

// Killed, or dead already: nobody is left who could tell.
bool is_over(int child) {
  siginfo_t info{};
  const int64_t result = raw(SYS_waitid, P_PID, static_cast<uint64_t>(child), arg(&info), WEXITED | WNOHANG | WNOWAIT | __WALL, 0);
  return is_error(result) ? result == -ECHILD : info.si_pid == child;
}

}  // namespace

ForkWord::ForkWord() {
  const int64_t mapped = raw(SYS_mmap, 0, kBytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, ~0ull, 0);
  if (is_error(mapped)) error_ = mapped;
  else shared_ = reinterpret_cast<Shared*>(mapped);
}

ForkWord::~ForkWord() {
  if (shared_) raw(SYS_munmap, arg(shared_), kBytes);
}

bool ForkWord::tell(int64_t result) {
  if (shared_->told.load()) return false;
  shared_->result.store(static_cast<int32_t>(result));
  shared_->told.store(1);
  raw(SYS_futex, arg(&shared_->told), FUTEX_WAKE, 1);
  return true;
}

int64_t ForkWord::hear(int child) const {
  while (!shared_->told.load()) {
    const timespec limit{0, kLookAfter};
    const int64_t slept = raw(SYS_futex, arg(&shared_->told), FUTEX_WAIT, 0, arg(&limit));
    if (slept == -ETIMEDOUT && is_over(child) && !shared_->told.load()) return 0;
  }
  return shared_->result.load();
}

}  // namespace tine
