// The stack a new program finds: arguments, environment, auxiliary vector.
#pragma once
#include "process/image.h"

namespace tine {

struct StackPlan {
  uint64_t top = 0;     // one past the highest byte
  uint64_t vdso = 0;    // AT_SYSINFO_EHDR, 0 for none
  const LoadedElf* program = nullptr;
  const LoadedElf* interpreter = nullptr;
  std::string_view name;
  bool preserves_argv0 = false;  // AT_FLAGS_PRESERVE_ARGV0
  int binary_fd = -1;            // AT_EXECFD
};

// Writes it below `plan.top`; answers the stack pointer, or -errno.
int64_t write_initial_stack(Thread& t, const StackPlan& plan, const Arguments& arguments);

}  // namespace tine
