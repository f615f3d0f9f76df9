// Copies between the monitor and guest memory that survive any pointer: false means EFAULT.
// Nested structures are copied in once, checked, then used: another guest thread may change them meanwhile.
#pragma once
#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "memory/address.h"

namespace tine {

[[nodiscard]] bool copy_in(void* to, GuestAddr from, size_t bytes);
[[nodiscard]] bool copy_out(GuestAddr to, const void* from, size_t bytes);
// Copies up to `limit` bytes up to and including NUL. Returns the length without NUL, -EFAULT, or
// -ENAMETOOLONG when there is no NUL within `limit`.
[[nodiscard]] int64_t copy_string(char* to, GuestAddr from, size_t limit);
template <class T>
[[nodiscard]] bool get(T& value, GuestAddr from) { return copy_in(&value, from, sizeof(T)); }
template <class T>
[[nodiscard]] bool put(GuestAddr to, const T& value) { return copy_out(to, &value, sizeof(T)); }

// Same on host addresses (a fault is reported instead of taken).
[[nodiscard]] bool copy_checked(void* to, const void* from, size_t bytes);

}  // namespace tine
