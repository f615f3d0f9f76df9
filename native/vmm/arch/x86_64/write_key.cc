// Memory protection keys for user pages, Intel SDM 3A 4.6.2.
#include <cerrno>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "arch/arch.h"
#include "host/raw.h"

namespace tine {
namespace {
constexpr uint32_t kDenyAccess = 1, kDenyWrite = 2;  // two bits a key in PKRU
// As the kernel has it at first (init_pkru): all keys but the first deny every access.
constexpr uint32_t kInitialRights = 0x55555554;
}  // namespace

int arch_new_write_key() {
  const int64_t key = raw(SYS_pkey_alloc, 0, PKEY_DISABLE_WRITE);
  return is_error(key) ? -1 : static_cast<int>(key);
}

// The whole register is set each time: a guest may have changed it with wrpkru, which user mode may always execute.
void arch_open_write_key(int key, bool open) {
  const int at = key * 2;
  const uint32_t rights = (kInitialRights & ~((kDenyAccess | kDenyWrite) << at)) | (open ? 0 : kDenyWrite << at);
  asm volatile("wrpkru" : : "a"(rights), "c"(0), "d"(0) : "memory");
}

}  // namespace tine
