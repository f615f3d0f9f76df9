// Intel SDM volume 2: chapter 2 (formats), appendix A (opcode maps).
#include "arch/x86_64/decode.h"

#include <cstring>

namespace tine {
namespace {

// What follows an opcode.
enum : uint8_t {
  N = 0,        // nothing
  M = 1,        // ModRM
  B = 2,        // a byte
  W = 4,        // two bytes
  Z = 8,        // four bytes, two with the operand-size prefix
  J = 16,       // a branch's distance: a byte (B) or four (Z, whatever the prefix)
  V = 32,       // eight bytes with REX.W, else as Z
  O = 64,       // an absolute address
  X = 128       // no instruction
};

constexpr uint8_t kOneByte[256] = {
    M, M, M, M, B, Z, X, X, M, M, M, M, B, Z, X, X,                                  // 00
    M, M, M, M, B, Z, X, X, M, M, M, M, B, Z, X, X,                                  // 10
    M, M, M, M, B, Z, X, X, M, M, M, M, B, Z, X, X,                                  // 20
    M, M, M, M, B, Z, X, X, M, M, M, M, B, Z, X, X,                                  // 30
    X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X,                                  // 40: REX, taken before
    N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N,                                  // 50
    X, X, X, M, X, X, X, X, Z, M | Z, B, M | B, N, N, N, N,                          // 60
    J | B, J | B, J | B, J | B, J | B, J | B, J | B, J | B, J | B, J | B, J | B, J | B, J | B, J | B, J | B, J | B,  // 70
    M | B, M | Z, X, M | B, M, M, M, M, M, M, M, M, M, M, M, M,                      // 80
    N, N, N, N, N, N, N, N, N, N, X, N, N, N, N, N,                                  // 90
    O, O, O, O, N, N, N, N, B, Z, N, N, N, N, N, N,                                  // a0
    B, B, B, B, B, B, B, B, V, V, V, V, V, V, V, V,                                  // b0
    M | B, M | B, W, N, X, X, M | B, M | Z, W | B, N, W, N, N, B, X, N,              // c0
    M, M, M, M, X, X, X, N, M, M, M, M, M, M, M, M,                                  // d0
    J | B, J | B, J | B, J | B, B, B, B, B, J | Z, J | Z, X, J | B, N, N, N, N,      // e0
    X, N, X, X, N, N, M, M, N, N, N, N, N, N, M, M,                                  // f0
};

uint8_t two_byte(uint8_t opcode) {
  switch (opcode) {
    case 0x05: case 0x06: case 0x07: case 0x08: case 0x09: case 0x0b: case 0x30 ... 0x35: case 0x37: case 0x77:
    case 0xa0 ... 0xa2: case 0xa8 ... 0xaa: case 0xc8 ... 0xcf:
      return N;
    case 0x80 ... 0x8f: return J | Z;
    case 0x70 ... 0x73: case 0xa4: case 0xac: case 0xba: case 0xc2: case 0xc4: case 0xc5: case 0xc6: return M | B;
    case 0x04: case 0x0a: case 0x0c: case 0x0e: case 0x0f: case 0x24 ... 0x27: case 0x36: case 0x38 ... 0x3f: case 0xa6: case 0xa7:
      return X;
    default: return M;
  }
}

}  // namespace

Instruction decode_instruction(const uint8_t* const start, const uint8_t* const end) {
  constexpr int64_t kLongest = 15;
  Instruction none, found;
  const uint8_t* at = start;
  bool narrow = false, short_address = false, wide = false;
  auto have = [&](int64_t bytes) { return end - at >= bytes; };
  for (;; at++) {
    if (!have(1)) return none;
    if (*at == 0x66) narrow = true;
    else if (*at == 0x67) short_address = true;
    else if (*at != 0xf0 && *at != 0xf2 && *at != 0xf3 && *at != 0x2e && *at != 0x36 && *at != 0x3e && *at != 0x26 && *at != 0x64 && *at != 0x65) break;
  }
  if ((*at & 0xf0) == 0x40) wide = *at++ & 8;
  if (!have(1)) return none;
  uint8_t kind;
  const uint8_t opcode = *at++;
  if (opcode == 0x0f) {
    if (!have(1)) return none;
    const uint8_t second = *at++;
    if (second == 0x38 || second == 0x3a) {
      if (!have(1)) return none;
      at++;
      kind = second == 0x38 ? M : M | B;
    } else {
      kind = two_byte(second);
    }
  } else if (opcode == 0xc4 || opcode == 0xc5 || opcode == 0x62) {
    // VEX and EVEX: the map of opcodes is part of the prefix.
    const int prefix = opcode == 0xc5 ? 1 : opcode == 0xc4 ? 2 : 3;
    if (!have(prefix + 1)) return none;
    const uint8_t map = opcode == 0xc5 ? 1 : *at & (opcode == 0xc4 ? 0x1f : 0x07);
    at += prefix;
    const uint8_t op = *at++;
    if (map == 1) kind = op == 0x77 && opcode != 0x62 ? N : (two_byte(op) & B) | M;
    else if (map == 2) kind = M;
    else if (map == 3) kind = M | B;
    else return none;
  } else {
    kind = kOneByte[opcode];
  }
  if (kind == X) return none;
  if (kind & M) {
    if (!have(1)) return none;
    const uint8_t modrm = *at++;
    const int mod = modrm >> 6, rm = modrm & 7;
    // test with an immediate operand is the only one of its group that has one.
    if (opcode == 0xf6 && (modrm & 0x30) == 0) kind |= B;
    if (opcode == 0xf7 && (modrm & 0x30) == 0) kind |= Z;
    if (mod != 3) {
      int displacement = mod == 1 ? 1 : mod == 2 ? 4 : 0;
      if (rm == 4) {
        if (!have(1)) return none;
        if (mod == 0 && (*at & 7) == 5) displacement = 4;
        at++;
      } else if (mod == 0 && rm == 5) {
        displacement = 4;
        found.relative = static_cast<uint8_t>(at - start);
      }
      at += displacement;
    }
  }
  int64_t rest = 0;
  if (kind & J) {
    rest = kind & B ? 1 : 4;
    if (!have(rest)) return none;
    found.branches = true;
    if (kind & B) found.distance = static_cast<int8_t>(*at);
    else std::memcpy(&found.distance, at, sizeof found.distance);
  } else {
    if (kind & B) rest += 1;
    if (kind & W) rest += 2;
    if (kind & Z) rest += narrow ? 2 : 4;
    if (kind & V) rest += wide ? 8 : narrow ? 2 : 4;
    if (kind & O) rest += short_address ? 4 : 8;
  }
  at += rest;
  if (at > end || at - start > kLongest) return none;
  found.length = static_cast<uint8_t>(at - start);
  return found;
}

}  // namespace tine
