// Constants of the x86-64 machine under the names the manuals give them (Intel SDM volumes 3A and 4).
#pragma once
#include <cstdint>

namespace tine {

// Selectors as Linux has them (arch/x86/include/asm/segment.h): programs can read them.
constexpr uint16_t KERNEL_CS = 0x10, KERNEL_DS = 0x18, USER32_CS = 0x23, USER_DS = 0x2b, USER_CS = 0x33, TSS_SELECTOR = 0x40;

constexpr uint32_t MSR_EFER = 0xc0000080, MSR_STAR = 0xc0000081, MSR_LSTAR = 0xc0000082, MSR_CSTAR = 0xc0000083,
                   MSR_SYSCALL_MASK = 0xc0000084, MSR_IA32_TSC = 0x10, MSR_TSC_AUX = 0xc0000103;
constexpr uint64_t EFER_SCE = 1 << 0, EFER_LME = 1 << 8, EFER_LMA = 1 << 10, EFER_NX = 1 << 11;
constexpr uint64_t CR0_PE = 1 << 0, CR0_MP = 1 << 1, CR0_ET = 1 << 4, CR0_NE = 1 << 5, CR0_WP = 1 << 16, CR0_AM = 1 << 18,
                   CR0_PG = 1ull << 31;
constexpr uint64_t CR4_PAE = 1 << 5, CR4_PGE = 1 << 7, CR4_OSFXSR = 1 << 9, CR4_OSXMMEXCPT = 1 << 10, CR4_UMIP = 1 << 11,
                   CR4_FSGSBASE = 1 << 16, CR4_OSXSAVE = 1 << 18;
constexpr uint64_t X86_EFLAGS_CF = 1 << 0, X86_EFLAGS_FIXED = 1 << 1, X86_EFLAGS_TF = 1 << 8, X86_EFLAGS_IF = 1 << 9,
                   X86_EFLAGS_DF = 1 << 10, X86_EFLAGS_RF = 1 << 16, X86_EFLAGS_AC = 1 << 18, X86_EFLAGS_NT = 1 << 14;
// What user mode may set: CF PF AF ZF SF TF DF OF RF AC ID (arch/x86/kernel/signal_64.c, FIX_EFLAGS).
constexpr uint64_t kUserFlags = 0x1 | 0x4 | 0x10 | 0x40 | 0x80 | 0x100 | 0x400 | 0x800 | 0x10000 | 0x40000 | 0x200000;

enum Vector : uint32_t {
  X86_TRAP_DE = 0, X86_TRAP_DB = 1, X86_TRAP_BP = 3, X86_TRAP_OF = 4, X86_TRAP_BR = 5, X86_TRAP_UD = 6, X86_TRAP_NM = 7,
  X86_TRAP_DF = 8, X86_TRAP_TS = 10, X86_TRAP_NP = 11, X86_TRAP_SS = 12, X86_TRAP_GP = 13, X86_TRAP_PF = 14,
  X86_TRAP_MF = 16, X86_TRAP_AC = 17, X86_TRAP_XF = 19, X86_TRAP_CP = 21
};

// Layout of the shared pages of the kernel area (indices of 4 KiB pages).
constexpr uint64_t kDescriptorPage = 0;  // GDT template at 0, IDT at 2048
constexpr uint64_t kExceptionPage = 1;
constexpr uint64_t kWaitersPage = 2;  // arch_futex_waiters
constexpr uint64_t kIdtOffset = 2048;
// A vCPU's own pages: TSS and GDT, the exception stack, the system call stub, the post page, and tables that show these
// two, and the waiters' page, at kSelfVirtual: a root (kOwnRootPage; the first vCPU's is the one root) and one table a level.
constexpr uint64_t kStubPage = 2, kPostPage = 3, kSelfTables = 5;
// Each vCPU's own stub, behind it its post page and the waiters' page, at one address for all: patched call sites jump there.
constexpr uint64_t kSelfVirtual = 0xffff'ff00'0000'0000ull;
constexpr uint64_t kSelfRootIndex = 510;
constexpr uint64_t kTssOffset = 0, kTssBytes = 104, kIoBitmapBytes = 4, kGdtOffset = 1024, kGdtEntries = 16;

constexpr uint16_t kExitPort = 0x10;

// In the stub's page: what cpuid answers (entry.S). An index of kCpuidAny: whatever is asked; kCpuidEnd: behind the last.
struct CpuidAnswer {
  uint32_t function, index, eax, ebx, ecx, edx;
};
constexpr uint64_t kCpuidTable = 2048, kMostCpuidAnswers = (4096 - kCpuidTable) / sizeof(CpuidAnswer) - 1;
constexpr uint32_t kCpuidAny = ~0u, kCpuidEnd = ~1u;

// r11 of a call from a patched site (entry.S): IF, ZF, PF and the bit that is always set.
constexpr uint64_t kPatchedFlags = 0x246;

}  // namespace tine
