#include "seccomp/bpf.h"

#include <errno.h>

#include <cstddef>
#include <cstring>
#include <vector>

namespace tine {
namespace {

constexpr uint32_t kScratch = BPF_MEMWORDS;

// What one instruction does, once its opcode is known to be among those that seccomp allows.
bool opcode_allowed(const sock_filter& i) {
  switch (i.code) {
    case BPF_LD | BPF_W | BPF_ABS:
      return i.k < sizeof(seccomp_data) && (i.k & 3) == 0;
    case BPF_LD | BPF_W | BPF_LEN:
    case BPF_LDX | BPF_W | BPF_LEN:
    case BPF_LD | BPF_IMM:
    case BPF_LDX | BPF_IMM:
    case BPF_RET | BPF_K:
    case BPF_RET | BPF_A:
    case BPF_MISC | BPF_TAX:
    case BPF_MISC | BPF_TXA:
    case BPF_ALU | BPF_ADD | BPF_K:
    case BPF_ALU | BPF_ADD | BPF_X:
    case BPF_ALU | BPF_SUB | BPF_K:
    case BPF_ALU | BPF_SUB | BPF_X:
    case BPF_ALU | BPF_MUL | BPF_K:
    case BPF_ALU | BPF_MUL | BPF_X:
    case BPF_ALU | BPF_DIV | BPF_X:
    case BPF_ALU | BPF_AND | BPF_K:
    case BPF_ALU | BPF_AND | BPF_X:
    case BPF_ALU | BPF_OR | BPF_K:
    case BPF_ALU | BPF_OR | BPF_X:
    case BPF_ALU | BPF_XOR | BPF_K:
    case BPF_ALU | BPF_XOR | BPF_X:
    case BPF_ALU | BPF_LSH | BPF_X:
    case BPF_ALU | BPF_RSH | BPF_X:
    case BPF_ALU | BPF_NEG:
    case BPF_JMP | BPF_JA:
    case BPF_JMP | BPF_JEQ | BPF_K:
    case BPF_JMP | BPF_JEQ | BPF_X:
    case BPF_JMP | BPF_JGE | BPF_K:
    case BPF_JMP | BPF_JGE | BPF_X:
    case BPF_JMP | BPF_JGT | BPF_K:
    case BPF_JMP | BPF_JGT | BPF_X:
    case BPF_JMP | BPF_JSET | BPF_K:
    case BPF_JMP | BPF_JSET | BPF_X:
      return true;
    case BPF_ALU | BPF_DIV | BPF_K:
      return i.k != 0;
    case BPF_ALU | BPF_LSH | BPF_K:
    case BPF_ALU | BPF_RSH | BPF_K:
      return i.k < 32;
    case BPF_LD | BPF_MEM:
    case BPF_LDX | BPF_MEM:
    case BPF_ST:
    case BPF_STX:
      return i.k < kScratch;
  }
  return false;
}

// A scratch word may be read only where every path to the read has written it (kernel:
// check_load_and_stores). `valid_at` holds, for each jump target, the words written on all jumps to it.
bool scratch_written_before_read(BpfProgram program) {
  std::vector<uint16_t> valid_at(program.size(), 0xffff);
  uint16_t valid = 0;
  for (size_t pc = 0; pc < program.size(); pc++) {
    const sock_filter& i = program[pc];
    valid &= valid_at[pc];
    switch (i.code) {
      case BPF_ST:
      case BPF_STX:
        valid |= static_cast<uint16_t>(1u << i.k);
        break;
      case BPF_LD | BPF_MEM:
      case BPF_LDX | BPF_MEM:
        if (!(valid & (1u << i.k))) return false;
        break;
      case BPF_JMP | BPF_JA:
        valid_at[pc + 1 + i.k] &= valid;
        valid = 0xffff;
        break;
      default:
        if (BPF_CLASS(i.code) != BPF_JMP) break;
        valid_at[pc + 1 + i.jt] &= valid;
        valid_at[pc + 1 + i.jf] &= valid;
        valid = 0xffff;
    }
  }
  return true;
}

bool condition(uint16_t code, uint32_t a, uint32_t operand) {
  switch (BPF_OP(code)) {
    case BPF_JEQ:
      return a == operand;
    case BPF_JGE:
      return a >= operand;
    case BPF_JGT:
      return a > operand;
    default:  // BPF_JSET, the only other one that bpf_check lets through
      return (a & operand) != 0;
  }
}

}  // namespace

int64_t bpf_check(BpfProgram program) {
  const size_t length = program.size();
  if (length == 0 || length > BPF_MAXINSNS) return -EINVAL;
  for (size_t pc = 0; pc < length; pc++) {
    const sock_filter& i = program[pc];
    if (!opcode_allowed(i)) return -EINVAL;
    if (BPF_CLASS(i.code) != BPF_JMP) continue;
    if (BPF_OP(i.code) == BPF_JA) {
      if (i.k >= length - pc - 1) return -EINVAL;
    } else if (pc + i.jt + 1 >= length || pc + i.jf + 1 >= length) {
      return -EINVAL;
    }
  }
  if (BPF_CLASS(program[length - 1].code) != BPF_RET) return -EINVAL;
  return scratch_written_before_read(program) ? 0 : -EINVAL;
}

uint32_t bpf_run(BpfProgram program, const seccomp_data& data) {
  uint32_t a = 0, x = 0;
  uint32_t scratch[kScratch] = {};
  const auto* bytes = reinterpret_cast<const uint8_t*>(&data);
  // A checked program ends: every jump goes forward, and the last instruction returns.
  for (size_t pc = 0; pc < program.size(); pc++) {
    const sock_filter& i = program[pc];
    const uint32_t operand = BPF_SRC(i.code) == BPF_X ? x : i.k;
    switch (BPF_CLASS(i.code)) {
      case BPF_LD:
      case BPF_LDX: {
        uint32_t value = 0;
        switch (BPF_MODE(i.code)) {
          case BPF_ABS:
            memcpy(&value, bytes + i.k, sizeof(value));
            break;
          case BPF_LEN:
            value = sizeof(seccomp_data);
            break;
          case BPF_IMM:
            value = i.k;
            break;
          case BPF_MEM:
            value = scratch[i.k];
            break;
        }
        (BPF_CLASS(i.code) == BPF_LD ? a : x) = value;
        break;
      }
      case BPF_ST:
        scratch[i.k] = a;
        break;
      case BPF_STX:
        scratch[i.k] = x;
        break;
      case BPF_ALU:
        switch (BPF_OP(i.code)) {
          case BPF_ADD:
            a += operand;
            break;
          case BPF_SUB:
            a -= operand;
            break;
          case BPF_MUL:
            a *= operand;
            break;
          case BPF_DIV:
            if (operand == 0) return 0;  // the kernel ends the program with 0, which is KILL_THREAD
            a /= operand;
            break;
          case BPF_AND:
            a &= operand;
            break;
          case BPF_OR:
            a |= operand;
            break;
          case BPF_XOR:
            a ^= operand;
            break;
          case BPF_LSH:
            a <<= operand & 31;
            break;
          case BPF_RSH:
            a >>= operand & 31;
            break;
          case BPF_NEG:
            a = -a;
            break;
        }
        break;
      case BPF_JMP:
        if (BPF_OP(i.code) == BPF_JA)
          pc += i.k;
        else
          pc += condition(i.code, a, operand) ? i.jt : i.jf;
        break;
      case BPF_RET:
        return BPF_RVAL(i.code) == BPF_A ? a : i.k;
      case BPF_MISC:
        if (BPF_MISCOP(i.code) == BPF_TAX)
          x = a;
        else
          a = x;
        break;
    }
  }
  return SECCOMP_RET_KILL_PROCESS;
}

bool bpf_always_allows(BpfProgram program, uint32_t arch, uint32_t number) {
  uint32_t a = 0;
  for (size_t pc = 0; pc < program.size(); pc++) {
    const sock_filter& i = program[pc];
    switch (i.code) {
      case BPF_LD | BPF_W | BPF_ABS:
        if (i.k == offsetof(seccomp_data, nr))
          a = number;
        else if (i.k == offsetof(seccomp_data, arch))
          a = arch;
        else
          return false;
        break;
      case BPF_RET | BPF_K:
        return i.k == SECCOMP_RET_ALLOW;
      case BPF_JMP | BPF_JA:
        pc += i.k;
        break;
      case BPF_JMP | BPF_JEQ | BPF_K:
      case BPF_JMP | BPF_JGE | BPF_K:
      case BPF_JMP | BPF_JGT | BPF_K:
      case BPF_JMP | BPF_JSET | BPF_K:
        pc += condition(i.code, a, i.k) ? i.jt : i.jf;
        break;
      case BPF_ALU | BPF_AND | BPF_K:
        a &= i.k;
        break;
      default:
        return false;
    }
  }
  return false;
}

}  // namespace tine
