// What only arm64 has: the vDSO's trampoline, and what of the host's features the machine offers.
#include "syscall/call.h"

#include <asm/hwcap.h>
#include <elf.h>
#include <sys/auxv.h>

#include <cerrno>
#include <cstring>

#include "arch/aarch64/machine.h"
#include "arch/aarch64/vdso.h"
#include "syscall/handlers.h"

namespace tine {
namespace {

uint64_t signal_return_offset = 0;

// `mov x8, #number; svc #0; ret`
void make_call(uint8_t* at, uint32_t number) {
  const uint32_t code[] = {0xd2800008 | (number << 5), 0xd4000001, 0xd65f03c0};
  std::memcpy(at, code, sizeof code);
}

void adapt_symbol(uint8_t* image, uint64_t bytes, const char* name, uint64_t offset) {
  constexpr uint64_t kCodeBytes = 12;
  if (offset + kCodeBytes > bytes) return;
  if (!std::strcmp(name, "__kernel_rt_sigreturn")) signal_return_offset = offset;
  // The machine's virtual counter does not start where the host's does, and a kernel before Linux 6.4 cannot be told
  // the difference exactly: the clocks become system calls.
  if (!std::strcmp(name, "__kernel_clock_gettime")) make_call(image + offset, 113);
  if (!std::strcmp(name, "__kernel_gettimeofday")) make_call(image + offset, 169);
}

}  // namespace

uint64_t vdso_signal_return() { return signal_return_offset; }

void arch_adapt_vdso(uint8_t* image, uint64_t bytes) {
  Elf64_Ehdr header;
  if (bytes < sizeof header) return;
  std::memcpy(&header, image, sizeof header);
  for (int i = 0; i < header.e_shnum; i++) {
    Elf64_Shdr section, names;
    uint64_t at = header.e_shoff + static_cast<uint64_t>(i) * sizeof section;
    if (at + sizeof section > bytes) return;
    std::memcpy(&section, image + at, sizeof section);
    if (section.sh_type != SHT_DYNSYM || section.sh_offset + section.sh_size > bytes) continue;
    uint64_t names_at = header.e_shoff + static_cast<uint64_t>(section.sh_link) * sizeof names;
    if (names_at + sizeof names > bytes) return;
    std::memcpy(&names, image + names_at, sizeof names);
    for (uint64_t s = 0; s + sizeof(Elf64_Sym) <= section.sh_size; s += sizeof(Elf64_Sym)) {
      Elf64_Sym symbol;
      std::memcpy(&symbol, image + section.sh_offset + s, sizeof symbol);
      if (names.sh_offset + symbol.st_name >= bytes) continue;
      adapt_symbol(image, bytes, reinterpret_cast<const char*>(image + names.sh_offset + symbol.st_name), symbol.st_value);
    }
  }
}

// Not offered: what the vCPU or the signal frame lacks (SVE, SME, MTE, pointer authentication), and reading ID registers
// from user mode, which is an emulation of the kernel's.
uint64_t arch_hardware_capabilities(uint64_t type, uint64_t host) {
  if (type == AT_HWCAP) return host & ~static_cast<uint64_t>(HWCAP_SVE | HWCAP_PACA | HWCAP_PACG | HWCAP_CPUID);
  if (type == AT_HWCAP2)
    return host & (HWCAP2_DCPODP | HWCAP2_FLAGM2 | HWCAP2_FRINT | HWCAP2_I8MM | HWCAP2_BF16 | HWCAP2_DGH | HWCAP2_RNG);
  return host;
}

const char* arch_platform() { return "aarch64"; }

bool arch_emulate_fault(Thread&, const ExceptionInfo&) { return false; }

// No row of the arm64 table leads here.
int64_t sys_arch_prctl(Call&) { return -ENOSYS; }

}  // namespace tine
