// The host's monotonic clock.
#pragma once
#include <time.h>

#include "host/raw.h"

namespace tine {

// Nanoseconds.
inline int64_t monotonic_now() {
  timespec now{};
  raw(SYS_clock_gettime, CLOCK_MONOTONIC, arg(&now));
  return now.tv_sec * 1'000'000'000ll + now.tv_nsec;
}

}  // namespace tine
