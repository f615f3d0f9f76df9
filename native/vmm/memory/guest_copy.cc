#include "memory/guest_copy.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

extern "C" bool tine_copy(void* to, const void* from, size_t bytes);

namespace tine {

bool copy_checked(void* to, const void* from, size_t bytes) { return tine_copy(to, from, bytes); }

bool copy_in(void* to, GuestAddr from, size_t bytes) {
  if (!bytes) return true;
  if (!from.v || !guest_range_ok(from.v, bytes)) return false;
  return tine_copy(to, to_host(from).ptr(), bytes);
}

bool copy_out(GuestAddr to, const void* from, size_t bytes) {
  if (!bytes) return true;
  if (!to.v || !guest_range_ok(to.v, bytes)) return false;
  return tine_copy(to_host(to).ptr(), from, bytes);
}

int64_t copy_string(char* to, GuestAddr from, size_t limit) {
  size_t done = 0;
  while (done < limit) {
    // Page by page: the string may end just before an unmapped page.
    size_t chunk = std::min<size_t>(limit - done, kPage - ((from.v + done) & (kPage - 1)));
    if (!copy_in(to + done, from + done, chunk)) return -EFAULT;
    if (const void* end = std::memchr(to + done, 0, chunk)) return static_cast<const char*>(end) - to;
    done += chunk;
  }
  return -ENAMETOOLONG;
}

}  // namespace tine
