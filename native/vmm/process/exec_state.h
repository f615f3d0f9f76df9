// What an exec carries over into the monitor's next image, behind a descriptor at a fixed place of the descriptor block.
#pragma once
#include <string>
#include <vector>

#include "process/image.h"
#include "process/thread.h"

namespace tine {

// Writes it and leaves the descriptor at kStatePlace, open across exec. 0 or -errno.
int64_t save_exec_state(Thread& t, const Image& image);

struct ExecState {
  std::string name, comm;
  bool has_interpreter = false, has_binary = false, preserves_argv0 = false, code_store = false;
};
// Whether a descriptor holds what this very process has left there: it is owned (F_SETOWN) by its pid, which an exec keeps, so
// nothing has it that merely happens to be open at that number. Who makes one by hand gains nothing: the monitor has no rights
// but its caller's. Nothing is read.
bool is_exec_state(int fd);
// Reads it from descriptor `fd` into the process and thread. False: not such a descriptor.
bool load_exec_state(int fd, Thread& t, ExecState& state);

}  // namespace tine
