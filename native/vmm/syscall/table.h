// The system-call table as data: one row a call, made from table.def for the guest's architecture.
#pragma once
#include <cstdint>

#include "syscall/call.h"

namespace tine {

enum class CallClass : uint8_t { unknown, pass, emulated, refused };
enum class Gate : uint8_t { none, hold, wait };

// A spec of table.def, taken apart: bit n stands for argument n.
struct PassSpec {
  uint8_t descriptors = 0;
  uint8_t directories = 0;
  uint8_t pointers = 0;       // strings included
  uint8_t paths = 0;          // those that may meet a magic link
  int8_t at_flags = -1;       // the argument that may hold AT_SYMLINK_NOFOLLOW
  bool follows = true;        // a link at the end of the path, where there are no such flags
  Gate gate = Gate::none;
  bool makes_descriptor = false;
};

struct CallRow {
  const char* name = nullptr;
  CallClass kind = CallClass::unknown;
  uint16_t error = 0;
  const char* error_name = "";
  Handler handler = nullptr;
  PassSpec spec;
  const char* note = "";
};

constexpr uint32_t kCallLimit = 512;

// The row of a number, with `unknown` where Linux has no such call.
const CallRow& call_row(uint32_t number);
// For reports; "?" where there is no such call.
const char* call_name(uint32_t number);
// Writes the table as JSON to `fd`, for `tine-vmm --syscalls`.
void print_call_table(int fd);

}  // namespace tine
