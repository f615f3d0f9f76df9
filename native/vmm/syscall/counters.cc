#include "syscall/counters.h"

#include <sys/mman.h>

#include "host/raw.h"

namespace tine {

constexpr uint64_t kHostPage = 4096;
static_assert(kCallCountsBytes % kHostPage == 0);
alignas(kHostPage) CallCount call_counts[kCallLimit];

void wipe_counts_on_fork() { raw(SYS_madvise, arg(call_counts), kCallCountsBytes, MADV_WIPEONFORK); }

}  // namespace tine
