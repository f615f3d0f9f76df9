// Constants of the arm64 machine under the names the manual gives them (Arm Architecture Reference Manual, DDI 0487).
#pragma once
#include <cstddef>
#include <cstdint>

#include "arch/arch.h"

namespace tine {

class Vcpu;

// Pages of the kernel area (indices of 4 KiB pages): the vectors with the code behind them; the page whose
// guest-physical address has no memory, so that a store to it leaves the machine.
constexpr uint64_t kVectorPage = 0, kExitPage = 3;
constexpr uint64_t kExitAddress = kKernelVirtual + kExitPage * kPage;
// Between the pools of tables and user memory (memory/page_tables.cc, memory/address_space.cc).
constexpr uint64_t kExitPhysical = 0xffff'f000ull;

// What the entry stub is to do before it goes back to user mode; it clears them.
constexpr uint32_t kFlushTranslations = 1, kLoadVectors = 2, kSaveVectors = 4;

// Which vector the machine came through. Known to entry.S.
enum class EntryKind : uint32_t { kSynchronous = 0, kInterrupt = 1, kSystemError = 2, kOwnFault = 3, kSaved = 4 };

// The first page of a vCPU's own block: SP_EL1 always points here. Only EL1 code and the monitor reach it.
struct Frame {
  CpuState state;
  uint64_t esr, far;
  uint32_t kind, command;
};
static_assert(offsetof(Frame, esr) == 816 && offsetof(Frame, kind) == 832);

Frame& frame(Vcpu& vcpu);
// Lets the stub store the vector registers into the frame. 0 or -errno.
int64_t save_vectors(Vcpu& vcpu);
// KVM_RUN until the stub leaves the machine, whatever signals arrive. 0 or -errno.
int64_t run_to_exit(Vcpu& vcpu);

// PSTATE (C5.2): what user mode may set; the rest is zero: EL0, AArch64, nothing masked.
constexpr uint64_t kUserState = (0xfull << 28) | (1ull << 24) /* DIT */ | (1ull << 12) /* SSBS */;

// ESR_EL1.EC (D17.2.37).
enum ExceptionClass : uint32_t {
  EC_UNKNOWN = 0x00, EC_WFX = 0x01, EC_ILLEGAL_STATE = 0x0e, EC_SVC64 = 0x15, EC_INSTRUCTION_ABORT = 0x20,
  EC_PC_ALIGNMENT = 0x22, EC_DATA_ABORT = 0x24, EC_SP_ALIGNMENT = 0x26, EC_FP = 0x2c, EC_BREAKPOINT = 0x30,
  EC_SOFTWARE_STEP = 0x32, EC_WATCHPOINT = 0x34, EC_BRK = 0x3c
};

}  // namespace tine
