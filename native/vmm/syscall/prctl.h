// prctl(2) for the options that need nothing but translation.
#pragma once
#include "syscall/call.h"

namespace tine {

// Makes the call on the host with its pointers translated. EINVAL for an option that is not listed: those that
// set up the address space, the TSC, tagged addresses or syscall user dispatch act on the monitor, not the guest.
int64_t prctl_passthrough(Call& call);

}  // namespace tine
