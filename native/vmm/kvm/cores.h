// What the machine's cores are doing, and how long a stub waits on one: whether watching for something pays.
#pragma once
#include <cstdint>

namespace tine {

struct Process;

// Ticks are the time-stamp counter's; about 2 to 4 of them a nanosecond.
constexpr uint64_t kMicrosecond = 2500;

// Threads that run or want to, in the whole machine, the calling one among them, as the kernel counts them. 0: it does not tell.
int running_threads(const Process& process);
// How often a stub pauses in so many ticks: a pause takes 10 to 50 ns.
uint32_t stub_rounds(uint64_t ticks);

}  // namespace tine
