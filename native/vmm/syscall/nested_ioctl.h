// ioctl requests whose argument holds pointers or descriptors of its own: the HANDLED rows of ioctl.def.
#pragma once
#include "syscall/call.h"

namespace tine {

int64_t ioctl_clone_range(Call& call);
int64_t ioctl_deduplicate(Call& call);
int64_t ioctl_enable_verity(Call& call);
int64_t ioctl_read_verity(Call& call);
int64_t ioctl_route(Call& call);
int64_t ioctl_interfaces(Call& call);
int64_t ioctl_interface_data(Call& call);
int64_t ioctl_partition(Call& call);
int64_t ioctl_loop_configure(Call& call);

}  // namespace tine
