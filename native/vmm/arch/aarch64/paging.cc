// Translation-table descriptors, Arm Architecture Reference Manual D8.3 (VMSAv8-64, 4 KiB granule, four levels).
#include <sys/mman.h>

#include "arch/aarch64/machine.h"
#include "arch/arch.h"

namespace tine {
namespace {
constexpr uint64_t kValid = 1ull << 0, kTableOrPage = 1ull << 1, kUser = 1ull << 6 /* AP[1] */, kReadOnly = 1ull << 7 /* AP[2] */,
                   kInnerShareable = 3ull << 8, kAccessed = 1ull << 10, kNotGlobal = 1ull << 11, kPxn = 1ull << 53,
                   kUxn = 1ull << 54;
// Index into MAIR_EL1 (machine.cc): 0 ordinary memory, 1 a device.
constexpr uint64_t kDevice = 1ull << 2;
constexpr uint64_t kTargetMask = 0x0000'ffff'ffff'f000ull;
}  // namespace

uint64_t page_entry(GuestPhys page, uint32_t prot, bool huge) {
  if (!(prot & (PROT_READ | PROT_WRITE | PROT_EXEC))) return 0;
  uint64_t entry = page.v | kValid | kUser | kInnerShareable | kAccessed | kNotGlobal | kPxn;
  if (!(prot & PROT_WRITE)) entry |= kReadOnly;
  if (!(prot & PROT_EXEC)) entry |= kUxn;
  if (!huge) entry |= kTableOrPage;
  return entry;
}
uint64_t read_only_entry(uint64_t entry) { return entry | kReadOnly; }
uint64_t table_entry(GuestPhys table) { return table.v | kValid | kTableOrPage; }
bool entry_present(uint64_t entry) { return entry & kValid; }
bool entry_is_huge(uint64_t entry) { return !(entry & kTableOrPage); }
GuestPhys entry_target(uint64_t entry) { return {entry & kTargetMask}; }
uint64_t split_entry(uint64_t huge, uint64_t i) { return (huge | kTableOrPage) + i * kPage; }

uint64_t kernel_entry(GuestPhys page, bool user, bool code) {
  uint64_t entry = kValid | kTableOrPage | kAccessed | kUxn | (user ? kUser : 0);
  if (page.v == kExitPage * kPage) return entry | kExitPhysical | kDevice | kPxn;
  return entry | page.v | kInnerShareable | (code ? kReadOnly : kPxn);
}

}  // namespace tine
