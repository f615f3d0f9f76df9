// The user address space of arm64 Linux with 4 KiB pages and 48-bit addresses, and what else of the interface differs
// in a number.
#pragma once
#include <cstdint>

namespace tine {

constexpr int kUserAddressBits = 48;
// One past the last user address (TASK_SIZE).
constexpr uint64_t kGuestEnd = 1ull << 48;
// ELF_ET_DYN_BASE, two thirds of the address space, as arch/arm64/include/asm/elf.h has it.
constexpr uint64_t kProgramBase = 0xaaaa'aaaa'a000ull;
// TTBR0 and TTBR1: the two halves of the address space have page tables of their own.
constexpr bool kSplitPageTables = true;
// Pages of its own that a vCPU has. All share the page-table roots.
constexpr uint64_t kVcpuPages = 4, kOwnRootPage = 0;
constexpr bool kOwnRoots = false;
// Where clone's arguments are (CONFIG_CLONE_BACKWARDS).
constexpr int kCloneChildTid = 4, kCloneTls = 3;
constexpr uint64_t kMinimumSignalStack = 5120;  // MINSIGSTKSZ

}  // namespace tine
