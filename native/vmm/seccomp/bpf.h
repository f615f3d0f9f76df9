// Classic BPF as the kernel's seccomp runs it: a checker and an interpreter over struct seccomp_data.
#pragma once
#include <linux/filter.h>
#include <linux/seccomp.h>

#include <cstdint>
#include <span>

namespace tine {

using BpfProgram = std::span<const sock_filter>;

// 0, or -EINVAL where the kernel's bpf_check_classic and seccomp_check_filter would refuse the program.
int64_t bpf_check(BpfProgram program);

// Runs a checked program. Returns the filter's 32-bit verdict.
uint32_t bpf_run(BpfProgram program, const seccomp_data& data);

// True where a checked program answers SECCOMP_RET_ALLOW for this number whatever the arguments and the
// instruction pointer are. May say false for a program that does so in an unusual way.
bool bpf_always_allows(BpfProgram program, uint32_t arch, uint32_t number);

}  // namespace tine
