// Makes a vCPU that runs Linux user code: system registers, vectors, frame.
#include "arch/aarch64/machine.h"

#include <linux/kvm.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "arch/post.h"
#include "host/raw.h"
#include "kvm/vcpu.h"
#include "memory/address_space.h"

extern "C" const uint8_t tine_vectors[], tine_resume[], tine_vectors_end[];

namespace tine {
namespace {

// System registers by op0, op1, CRn, CRm, op2 (D17.2).
constexpr uint64_t SCTLR_EL1 = ARM64_SYS_REG(3, 0, 1, 0, 0), CPACR_EL1 = ARM64_SYS_REG(3, 0, 1, 0, 2),
                   TTBR0_EL1 = ARM64_SYS_REG(3, 0, 2, 0, 0), TTBR1_EL1 = ARM64_SYS_REG(3, 0, 2, 0, 1),
                   TCR_EL1 = ARM64_SYS_REG(3, 0, 2, 0, 2), MAIR_EL1 = ARM64_SYS_REG(3, 0, 10, 2, 0),
                   VBAR_EL1 = ARM64_SYS_REG(3, 0, 12, 0, 0), CNTKCTL_EL1 = ARM64_SYS_REG(3, 0, 14, 1, 0);

// SCTLR_EL1: translation, caches, stack alignment checks at both levels; user mode may zero by DC ZVA, read CTR_EL0,
// clean caches, and wait for events, but WFI comes to the monitor. The rest is RES1 or, as Linux has it, SPAN.
constexpr uint64_t kSctlr = (1ull << 0) /* M */ | (1ull << 2) /* C */ | (1ull << 3) /* SA */ | (1ull << 4) /* SA0 */ |
                            (1ull << 11) /* EOS */ | (1ull << 12) /* I */ | (1ull << 14) /* DZE */ | (1ull << 15) /* UCT */ |
                            (1ull << 18) /* nTWE */ | (1ull << 20) /* TSCXT */ | (1ull << 22) /* EIS */ | (1ull << 23) /* SPAN */ |
                            (1ull << 26) /* UCI */ | (1ull << 28) /* nTLSMD */ | (1ull << 29) /* LSMAOE */;
// TCR_EL1: 48 bits and 4 KiB in both halves, inner shareable write-back walks, 40-bit output, user tags ignored.
constexpr uint64_t kTcr = 16ull /* T0SZ */ | (1ull << 8) /* IRGN0 */ | (1ull << 10) /* ORGN0 */ | (3ull << 12) /* SH0 */ |
                          (16ull << 16) /* T1SZ */ | (1ull << 24) /* IRGN1 */ | (1ull << 26) /* ORGN1 */ | (3ull << 28) /* SH1 */ |
                          (2ull << 30) /* TG1: 4 KiB */ | (2ull << 32) /* IPS */ | (1ull << 37) /* TBI0 */;
// MAIR_EL1: 0 write-back memory, 1 Device-nGnRE.
constexpr uint64_t kMair = 0xffull | (0x04ull << 8);
constexpr uint64_t kFpen = 3ull << 20;       // CPACR_EL1.FPEN: no traps
constexpr uint64_t kCounterForUser = 1 << 1;  // CNTKCTL_EL1.EL0VCTEN
constexpr uint64_t kEl1Masked = 0x3c5;        // PSTATE: EL1 on its own stack pointer, D, A, I and F masked
constexpr uint64_t kLargestAddress = 40;      // bits of guest-physical addresses, as IPS above

int64_t set_register(const Vcpu& vcpu, uint64_t id, uint64_t value) {
  kvm_one_reg one{id, arg(&value)};
  return raw(SYS_ioctl, static_cast<uint64_t>(vcpu.fd), KVM_SET_ONE_REG, arg(&one));
}

constexpr uint64_t core_register(size_t offset) { return KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | (offset / 4); }

}  // namespace

Frame& frame(Vcpu& vcpu) { return *reinterpret_cast<Frame*>(vcpu.block); }

uint64_t arch_machine_type(int kvm_fd) {
  int64_t bits = raw(SYS_ioctl, static_cast<uint64_t>(kvm_fd), KVM_CHECK_EXTENSION, KVM_CAP_ARM_VM_IPA_SIZE);
  return bits > 0 ? std::min<uint64_t>(static_cast<uint64_t>(bits), kLargestAddress) : 0;
}

KernelPage arch_kernel_page(uint64_t index) { return {false, index == kVectorPage}; }

void arch_prepare_shared(uint8_t* shared) {
  std::memcpy(shared + kVectorPage * kPage, tine_vectors, static_cast<size_t>(tine_vectors_end - tine_vectors));
}

int64_t arch_prepare_vcpu(Vcpu& vcpu, uint8_t* block, uint64_t block_offset, GuestPhys root) {
  std::memset(block, 0, kVcpuPages * kPage);
  kvm_vcpu_init init{};
  int vm = current().process->space->vm.fd;
  int64_t result = raw(SYS_ioctl, static_cast<uint64_t>(vm), KVM_ARM_PREFERRED_TARGET, arg(&init));
  if (is_error(result)) return result;
  result = raw(SYS_ioctl, static_cast<uint64_t>(vcpu.fd), KVM_ARM_VCPU_INIT, arg(&init));
  if (is_error(result)) return result;
  struct {
    uint64_t id, value;
  } const registers[] = {
      {MAIR_EL1, kMair},
      {TCR_EL1, kTcr},
      {TTBR0_EL1, root.v},
      {TTBR1_EL1, root.v + kPage},
      {CPACR_EL1, kFpen},
      {CNTKCTL_EL1, kCounterForUser},
      {VBAR_EL1, kKernelVirtual + kVectorPage * kPage},
      {SCTLR_EL1, kSctlr},
      {core_register(offsetof(kvm_regs, regs.pc)), kKernelVirtual + kVectorPage * kPage + static_cast<uint64_t>(tine_resume - tine_vectors)},
      {core_register(offsetof(kvm_regs, regs.pstate)), kEl1Masked},
      {core_register(offsetof(kvm_regs, sp_el1)), kKernelVirtual + block_offset},
  };
  for (const auto& entry : registers) {
    result = set_register(vcpu, entry.id, entry.value);
    if (is_error(result)) return result;
  }
  frame(vcpu).command = kLoadVectors;
  return 0;
}

PostPage* arch_post_page(Vcpu& vcpu) { return reinterpret_cast<PostPage*>(vcpu.block + kPage); }
bool arch_left_with_post(Vcpu&) { return false; }
bool arch_can_post(Vcpu&) { return false; }
bool arch_call_needs_registers(uint32_t) { return true; }

uint64_t arch_ticks() {
  uint64_t value;
  asm volatile("mrs %0, cntvct_el0" : "=r"(value));
  return value;
}
uint64_t arch_ticks_khz(Vcpu&) {
  uint64_t hertz;
  asm volatile("mrs %0, cntfrq_el0" : "=r"(hertz));
  return hertz / 1000;
}
void arch_pause() { asm volatile("yield"); }

}  // namespace tine
