// The user address space of x86-64 Linux with four-level paging, and what else of the interface differs in a number.
#pragma once
#include <cstdint>

namespace tine {

constexpr int kUserAddressBits = 47;
// One past the last user address: TASK_SIZE_MAX leaves the last page out (a `syscall` there would return beyond it).
constexpr uint64_t kGuestEnd = (1ull << 47) - 4096;
// ELF_ET_DYN_BASE, two thirds of the address space, as arch/x86/include/asm/elf.h has it.
constexpr uint64_t kProgramBase = 0x5555'5555'4000ull;
// The two halves of the address space have page tables of their own.
constexpr bool kSplitPageTables = false;
// Pages of its own that a vCPU has, and which of them is its page-table root: a copy of the one root but for the entry
// under which each vCPU finds its own stub and post page at one address.
constexpr uint64_t kVcpuPages = 8, kOwnRootPage = 4;
constexpr bool kOwnRoots = true;
// Where clone's arguments are.
constexpr int kCloneChildTid = 3, kCloneTls = 4;
constexpr uint64_t kMinimumSignalStack = 2048;  // MINSIGSTKSZ

}  // namespace tine
