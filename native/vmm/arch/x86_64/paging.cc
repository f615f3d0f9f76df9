// Page-table entries, Intel SDM volume 3A, section 4.5 (4-level paging).
#include <sys/mman.h>

#include "arch/arch.h"

namespace tine {
namespace {
constexpr uint64_t PTE_P = 1ull << 0, PTE_RW = 1ull << 1, PTE_US = 1ull << 2, PTE_A = 1ull << 5, PTE_D = 1ull << 6,
                   PTE_PS = 1ull << 7, PTE_NX = 1ull << 63;
constexpr uint64_t kTargetMask = 0x000f'ffff'ffff'f000ull;
}  // namespace

// Accessed and dirty are set beforehand so that the machine never has to write the tables.
uint64_t page_entry(GuestPhys page, uint32_t prot, bool huge) {
  if (!(prot & (PROT_READ | PROT_WRITE | PROT_EXEC))) return 0;
  uint64_t entry = page.v | PTE_P | PTE_US | PTE_A | PTE_D;
  if (prot & PROT_WRITE) entry |= PTE_RW;
  if (!(prot & PROT_EXEC)) entry |= PTE_NX;
  if (huge) entry |= PTE_PS;
  return entry;
}
uint64_t read_only_entry(uint64_t entry) { return entry & ~PTE_RW; }
uint64_t table_entry(GuestPhys table) { return table.v | PTE_P | PTE_RW | PTE_US | PTE_A; }
bool entry_present(uint64_t entry) { return entry & PTE_P; }
bool entry_is_huge(uint64_t entry) { return entry & PTE_PS; }
GuestPhys entry_target(uint64_t entry) { return {entry & kTargetMask}; }
uint64_t split_entry(uint64_t huge, uint64_t i) { return (huge & ~PTE_PS) + i * kPage; }
uint64_t kernel_entry(GuestPhys page, bool user, bool code) {
  return page.v | PTE_P | PTE_A | PTE_D | (user ? PTE_US : 0) | (code ? 0 : PTE_RW | PTE_NX);
}

}  // namespace tine
