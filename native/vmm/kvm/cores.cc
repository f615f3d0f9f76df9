#include "kvm/cores.h"

#include <sys/syscall.h>

#include <algorithm>
#include <atomic>

#include "arch/arch.h"
#include "host/raw.h"
#include "process/thread.h"

namespace tine {

// The fourth figure of /proc/loadavg.
int running_threads(const Process& process) {
  if (process.load_fd < 0) return 0;
  char text[64];
  const int64_t length = raw(SYS_pread64, static_cast<uint64_t>(process.load_fd), arg(text), sizeof text - 1, 0);
  if (length <= 0) return 0;
  text[length] = 0;
  const char* at = text;
  for (int field = 0; field < 3 && *at; at++) field += *at == ' ';
  int running = 0;
  for (; *at >= '0' && *at <= '9'; at++) running = running * 10 + (*at - '0');
  return running;
}

uint32_t stub_rounds(uint64_t ticks) {
  constexpr uint32_t kTried = 64, kFewest = 75, kMost = 10'000;
  static std::atomic<uint64_t> known{0};  // ticks that so many take
  uint64_t took = known.load(std::memory_order_relaxed);
  if (!took) {
    const uint64_t start = arch_ticks();
    for (uint32_t i = 0; i < kTried; i++) arch_pause();
    took = arch_ticks() - start + 1;
    known.store(took, std::memory_order_relaxed);
  }
  return static_cast<uint32_t>(std::clamp<uint64_t>(ticks * kTried / took, kFewest, kMost));
}

}  // namespace tine
