// System calls and faults that only x86-64 has.
#include <asm/prctl.h>
#include <elf.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>

#include <cerrno>
#include <cstring>

#include "arch/arch.h"
#include "kvm/vcpu.h"
#include "memory/guest_copy.h"
#include "signal/signal.h"
#include "syscall/handlers.h"

namespace tine {

int64_t sys_arch_prctl(Call& c) {
  Vcpu& vcpu = *c.thread.vcpu;
  kvm_sregs& s = vcpu.run->s.regs.sregs;
  switch (static_cast<int>(c.a[0])) {
    case ARCH_SET_FS:
    case ARCH_SET_GS:
      if (c.a[1] >= kGuestEnd) return -EPERM;
      (c.a[0] == ARCH_SET_FS ? s.fs : s.gs).base = c.a[1];
      vcpu.run->kvm_dirty_regs |= KVM_SYNC_X86_SREGS;
      return 0;
    case ARCH_GET_FS: return put(c.ptr(1), static_cast<uint64_t>(s.fs.base)) ? 0 : -EFAULT;
    case ARCH_GET_GS: return put(c.ptr(1), static_cast<uint64_t>(s.gs.base)) ? 0 : -EFAULT;
    case ARCH_GET_CPUID: return 1;
    case ARCH_SET_CPUID: return c.a[1] ? 0 : -ENODEV;
    default: return -EINVAL;
  }
}

const char* arch_platform() { return "x86_64"; }
uint64_t arch_hardware_capabilities(uint64_t, uint64_t host) { return host; }
uint64_t arch_machine_type(int) { return 0; }
void arch_before_entry(Vcpu&) {}
// The machine walks the tables afresh whenever the host mapping behind an entry changes (memory/page_tables.h).
void arch_translation_changed() {}

// The vsyscall page: three entries 1 KiB apart that old static programs call. Linux emulates them on the fault.
bool arch_emulate_fault(Thread& t, const ExceptionInfo& e) {
  constexpr uint64_t kVsyscall = 0xffff'ffff'ff60'0000ull;
  kvm_regs& r = t.vcpu->run->s.regs.regs;
  if (e.access != PROT_EXEC || r.rip != e.address.v || (r.rip & ~0xc00ull) != kVsyscall || r.rip == kVsyscall + 0xc00) return false;
  constexpr uint32_t kCalls[] = {SYS_gettimeofday, SYS_time, SYS_getcpu};
  uint64_t back;
  if (!get(back, {r.rsp})) return false;
  Call call{t, kCalls[(r.rip >> 10) & 3], {r.rdi, r.rsi, 0, 0, 0, 0}};
  int64_t result = serve(call);
  if (result == -EFAULT) return false;
  r.rax = static_cast<uint64_t>(result);
  r.rip = back;
  r.rsp += 8;
  t.vcpu->run->kvm_dirty_regs |= KVM_SYNC_X86_REGS;
  return true;
}

// getcpu in the vDSO reads a segment limit or TSC_AUX that only the host keeps current: it becomes the system call.
void arch_adapt_vdso(uint8_t* image, uint64_t bytes) {
  static const uint8_t kGetcpu[] = {0xb8, 0x35, 0x01, 0x00, 0x00, 0x0f, 0x05, 0xc3};  // mov $309,%eax; syscall; ret
  Elf64_Ehdr header;
  if (bytes < sizeof header) return;
  std::memcpy(&header, image, sizeof header);
  for (int i = 0; i < header.e_shnum; i++) {
    Elf64_Shdr section;
    uint64_t at = header.e_shoff + static_cast<uint64_t>(i) * sizeof section;
    if (at + sizeof section > bytes) return;
    std::memcpy(&section, image + at, sizeof section);
    if (section.sh_type != SHT_DYNSYM || section.sh_offset + section.sh_size > bytes) continue;
    Elf64_Shdr names;
    uint64_t names_at = header.e_shoff + static_cast<uint64_t>(section.sh_link) * sizeof names;
    if (names_at + sizeof names > bytes) return;
    std::memcpy(&names, image + names_at, sizeof names);
    for (uint64_t s = 0; s + sizeof(Elf64_Sym) <= section.sh_size; s += sizeof(Elf64_Sym)) {
      Elf64_Sym symbol;
      std::memcpy(&symbol, image + section.sh_offset + s, sizeof symbol);
      if (names.sh_offset + symbol.st_name >= bytes) continue;
      const char* name = reinterpret_cast<const char*>(image + names.sh_offset + symbol.st_name);
      if (std::strcmp(name, "__vdso_getcpu") != 0 && std::strcmp(name, "getcpu") != 0) continue;
      if (symbol.st_value + sizeof kGetcpu <= bytes) std::memcpy(image + symbol.st_value, kGetcpu, sizeof kGetcpu);
    }
  }
}

}  // namespace tine
