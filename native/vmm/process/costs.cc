// tine-vmm --costs: what a cheap system call and reading the clock cost whoever asks, as JSON. `tine doctor` runs it as a
// guest, once for each way in which a call can be made.
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "process/start.h"

namespace tine {
namespace {

double microseconds() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) * 1e6 + static_cast<double>(now.tv_nsec) / 1e3;
}

template <typename Operation>
double cost(Operation operation) {
  constexpr int kBatches = 9;
  constexpr double kBatch = 2000;  // microseconds
  double batches[kBatches];
  for (double& batch : batches) {
    const double start = microseconds();
    int times = 0;
    double now;
    do {
      for (int i = 0; i < 10; i++) operation();
      times += 10;
      now = microseconds();
    } while (now - start < kBatch);
    batch = (now - start) / times;
  }
  std::sort(batches, batches + kBatches);
  return batches[kBatches / 2];
}

}  // namespace

void print_costs() {
  const double call = cost([] { syscall(SYS_getppid); });
  const double clock = cost([] { microseconds(); });
  std::printf("{\"call_us\":%.3f,\"clock_us\":%.3f}\n", call, clock);
}

}  // namespace tine
