// Lengths of x86-64 instructions, and where direct branches lead: enough to find the instructions of a compiled function.
#pragma once
#include <cstdint>

namespace tine {

struct Instruction {
  uint8_t length = 0;          // 0: not known, or cut off
  uint8_t relative = 0;        // offset of a displacement that counts from the instruction's own end; 0: none
  bool branches = false;       // a direct jump or call, to its end + `distance`
  int32_t distance = 0;
};
Instruction decode_instruction(const uint8_t* at, const uint8_t* end);

}  // namespace tine
