// I/O vectors: copied from the guest once, with every base translated.
#pragma once
#include <sys/uio.h>

#include "memory/address.h"

namespace tine {

constexpr uint64_t kMaxVectors = 1024;  // UIO_MAXIOV

struct IoVectors {
  iovec at[kMaxVectors];
  uint64_t count = 0;
};

// 0, -EFAULT, or `too_many` beyond UIO_MAXIOV. Lengths are left for the host kernel to judge.
int64_t take_vectors(GuestAddr from, uint64_t count, int64_t too_many, IoVectors& vectors);

}  // namespace tine
