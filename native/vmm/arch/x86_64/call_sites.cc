// Which x86-64 call sites can be changed, and how (memory/call_sites.h).
//
// A jump takes five bytes, `syscall` has two. Two forms:
//
//   load  `mov $number,%eax; syscall`: the five bytes before become the jump. The slot loads the number, and the stub
//         returns behind the `syscall`, which stays as it is for whoever jumps to it or restarts a call.
//   next  `syscall` and the three or more bytes of whole instructions behind it, which move to the slot. An address
//         that a program can have of the changed bytes is that behind `syscall` (from a signal's frame, or of a thread
//         that was in a call): there stands the second byte of the jump's distance, and slots are chosen so that it is
//         an opcode that does not exist. The fault leads on to the slot (arch_call_continuation).
//
// A `cpuid` is changed in the second form where it is known that no branch leads behind it (loader_code.cc); its slot asks
// the stub's table, and the `cpuid` that it holds as well is for whoever is interrupted on the way there.
#include <sys/syscall.h>

#include <cstring>

#include "arch/x86_64/call_sites.h"
#include "arch/x86_64/machine.h"
#include "kvm/vcpu.h"
#include "memory/address_space.h"
#include "memory/guest_copy.h"

extern "C" const uint8_t tine_stub[], tine_stub_patched[], tine_stub_cpuid[];

namespace tine {
namespace {

constexpr uint8_t kJump = 0xe9, kMoveToEax = 0xb8, kLea = 0x8d, kInt3 = 0xcc;
constexpr uint64_t kJumpBytes = 5, kSyscallBytes = 2, kLoadBytes = 5;
constexpr int64_t kMostMoved = 13;
// Opcodes that 64-bit mode does not know, SDM 2D appendix A: #UD whatever follows.
constexpr uint8_t kNoOpcode[] = {0x06, 0x07, 0x0e, 0x16, 0x17, 0x1e, 0x1f, 0x27, 0x2f, 0x37, 0x3f, 0x60, 0x61, 0x82, 0x9a, 0xce, 0xd4, 0xea};
// In the first slot: where those of cpuid go.
constexpr uint64_t kIdentifyEntry = 16;
// Where the slot's parts are: lea, jmp, syscall.
constexpr uint64_t kLeaBytes = 7, kNextReturn = kLeaBytes + kJumpBytes + kSyscallBytes;

// Length of the operand that a ModRM byte begins. `relative`: its displacement, where that counts from the instruction's own
// place.
int operand_length(const uint8_t* at, const uint8_t* end, const uint8_t*& relative) {
  if (at >= end) return -1;
  const int mod = *at >> 6, rm = *at & 7;
  if (mod == 3) return 1;
  if (mod == 0 && rm == 5) {
    relative = at + 1;
    return 5;
  }
  int length = 1;
  if (rm == 4) {
    if (at + 1 >= end) return -1;
    length++;
    if (mod == 0 && (at[1] & 7) == 5) length += 4;
  }
  return length + (mod == 1 ? 1 : mod == 2 ? 4 : 0);
}

// Length of an instruction that does the same elsewhere; -1: none of the few kinds that follow system calls.
int movable_length(const uint8_t* at, const uint8_t* end, const uint8_t*& relative) {
  const uint8_t* start = at;
  uint8_t rex = 0;
  if (at < end && (*at & 0xf0) == 0x40) rex = *at++;
  if (at >= end) return -1;
  const uint8_t opcode = *at++;
  int rest;
  switch (opcode) {
    case 0x3d: case 0xa9: rest = 4; break;                                    // cmp, test $imm32, %rax
    case 0x50 ... 0x5f: case 0x90: case 0x98: rest = 0; break;                // push, pop, nop, cltq
    case 0xb8 ... 0xbf: rest = rex & 8 ? 8 : 4; break;                        // mov $imm
    case 0x01: case 0x03: case 0x09: case 0x0b: case 0x21: case 0x23: case 0x29: case 0x2b: case 0x31: case 0x33:
    case 0x39: case 0x3b: case 0x63: case 0x84: case 0x85: case 0x88: case 0x89: case 0x8a: case 0x8b: case 0x8d:
      rest = operand_length(at, end, relative);
      break;
    case 0x83: case 0xc1: case 0xc6: case 0x6b: rest = operand_length(at, end, relative); rest += rest < 0 ? 0 : 1; break;
    case 0x81: case 0xc7: case 0x69: rest = operand_length(at, end, relative); rest += rest < 0 ? 0 : 4; break;
    case 0x0f:
      if (at >= end) return -1;
      // cmovcc, setcc, movzx, movsx, nop
      if ((*at & 0xf0) == 0x40 || (*at & 0xf0) == 0x90 || *at == 0xb6 || *at == 0xb7 || *at == 0xbe || *at == 0xbf || *at == 0x1f) {
        rest = operand_length(at + 1, end, relative);
        rest += rest < 0 ? 0 : 1;
        break;
      }
      return -1;
    default: return -1;
  }
  if (rest < 0) return -1;
  const int64_t length = at - start + rest;
  return length <= end - start ? static_cast<int>(length) : -1;
}

// `before` ends in the bytes before `syscall`. Whether they are the load of its number: an instruction that merely ends in
// the same bytes holds them as displacement and constant, and its opcode is one of a few.
bool loads_number(const uint8_t* before, uint64_t bytes, uint32_t number) {
  if (bytes < 8) return false;
  const uint8_t* load = before + bytes - kLoadBytes;
  uint32_t loaded;
  std::memcpy(&loaded, load + 1, sizeof loaded);
  if (*load != kMoveToEax || loaded != number) return false;
  for (int i = 1; i <= 3; i++)
    for (uint8_t opcode : {0xc7, 0x81, 0xf7, 0x69, 0x8d})
      if (load[-i] == opcode) return false;
  return (load[-1] & 0xf0) != 0x40;
}

void put_jump(uint8_t* code, uint64_t from, uint64_t to) {
  const auto distance = static_cast<int32_t>(to - from - kJumpBytes);
  code[0] = kJump;
  std::memcpy(code + 1, &distance, sizeof distance);
}

}  // namespace

bool plan_call_site(CallSite& site, std::span<const uint8_t> code, uint64_t at, bool loads, uint32_t number) {
  const uint8_t* const next = code.data() + at + kSyscallBytes;
  const uint8_t* const end = code.data() + code.size();
  site.at = site.back - kSyscallBytes;
  if (loads) {
    site.at -= kLoadBytes;
    site.number = number;
  } else {
    int64_t length = 0;
    while (length < static_cast<int64_t>(kJumpBytes - kSyscallBytes)) {
      const uint8_t* relative = nullptr;
      const int one = movable_length(next + length, end, relative);
      if (one < 0) return false;
      if (relative) site.relative = static_cast<uint8_t>(relative - next);
      length += one;
    }
    if (length > kMostMoved) return false;
    site.moved = static_cast<uint8_t>(length);
    std::memcpy(site.next, next, site.moved);
  }
  if (next + kJumpBytes - kSyscallBytes > end) return false;
  std::memcpy(site.code, next - (site.back - site.at), kCallSiteBytes);
  return true;
}

bool arch_plan_call_site(CallSite& site, uint32_t number) {
  constexpr uint64_t kBefore = 16;
  uint8_t code[kBefore + 32];
  // The unwinder knows the frames of signals by these very bytes.
  if (number == SYS_rt_sigreturn) return false;
  uint64_t after = 32;
  while (after > 4 && !copy_in(code, {site.back - kSyscallBytes - kBefore}, kBefore + after)) after /= 2;
  if (after <= 4) return false;
  if (code[kBefore] != 0x0f || code[kBefore + 1] != 0x05) return false;
  return plan_call_site(site, {code, kBefore + after}, kBefore, loads_number(code, kBefore, number), number);
}

bool arch_call_slot_fits(const CallSite& site, uint64_t slot) {
  const int64_t distance = static_cast<int64_t>(slot - site.at - kJumpBytes);
  if (distance != static_cast<int32_t>(distance)) return false;
  if (!site.moved) return true;
  if (site.relative) {
    int32_t displacement;
    std::memcpy(&displacement, site.next + site.relative, sizeof displacement);
    const int64_t there = displacement + static_cast<int64_t>(site.back - (slot + kNextReturn));
    if (there != static_cast<int32_t>(there)) return false;
  }
  if (site.identifies) return true;
  const auto second = static_cast<uint8_t>(distance >> 8);
  for (uint8_t none : kNoOpcode)
    if (second == none) return true;
  return false;
}

void arch_make_common_slot(uint8_t* code) {
  const uint64_t entry = kSelfVirtual + static_cast<uint64_t>(tine_stub_patched - tine_stub);
  const uint64_t identify = kSelfVirtual + static_cast<uint64_t>(tine_stub_cpuid - tine_stub);
  code[0] = 0x49, code[1] = 0xbb;  // movabs $entry, %r11
  std::memcpy(code + 2, &entry, sizeof entry);
  code[10] = 0x41, code[11] = 0xff, code[12] = 0xe3;  // jmp *%r11
  // cpuid overwrites rbx and rdx: they are free.
  code[kIdentifyEntry] = 0x48, code[kIdentifyEntry + 1] = 0xbb;  // movabs $identify, %rbx
  std::memcpy(code + kIdentifyEntry + 2, &identify, sizeof identify);
  code[kIdentifyEntry + 10] = 0xff, code[kIdentifyEntry + 11] = 0xe3;  // jmp *%rbx
}

void arch_make_call_slot(const CallSite& site, uint64_t common, uint8_t (&code)[kCallSlotBytes]) {
  std::memset(code, kInt3, sizeof code);
  uint64_t used = 0;
  if (!site.moved) {
    code[0] = kMoveToEax;
    std::memcpy(code + 1, &site.number, 4);
    used = kLoadBytes;
  }
  // lea return(%rip), %rcx: what `syscall` leaves there; %rdx for a cpuid
  const uint64_t back = site.moved ? site.slot + kNextReturn : site.back;
  const auto distance = static_cast<int32_t>(back - (site.slot + used + kLeaBytes));
  code[used] = 0x48, code[used + 1] = kLea, code[used + 2] = site.identifies ? 0x15 : 0x0d;
  std::memcpy(code + used + 3, &distance, sizeof distance);
  used += kLeaBytes;
  put_jump(code + used, site.slot + used, common + (site.identifies ? kIdentifyEntry : 0));
  used += kJumpBytes;
  if (!site.moved) return;
  code[used] = 0x0f, code[used + 1] = site.identifies ? 0xa2 : 0x05;  // to make the call again from here
  used += kSyscallBytes;
  std::memcpy(code + used, site.next, site.moved);
  if (site.relative) {
    int32_t displacement;
    std::memcpy(&displacement, code + used + site.relative, sizeof displacement);
    displacement += static_cast<int32_t>(site.back - (site.slot + used));
    std::memcpy(code + used + site.relative, &displacement, sizeof displacement);
  }
  used += site.moved;
  put_jump(code + used, site.slot + used, site.back + site.moved);
}

void arch_make_call_jump(const CallSite& site, uint8_t (&code)[kCallSiteBytes]) { put_jump(code, site.at, site.slot); }

uint64_t arch_call_continuation(const CallSite& site, uint64_t ip) {
  if (ip == site.at) return site.slot;
  // On the way into the stub: nothing was done yet.
  if (ip - site.slot < (site.moved ? kNextReturn : kCallSlotBytes)) return ip;
  return site.moved && ip == site.back ? site.slot + kNextReturn : 0;
}

uint64_t arch_call_original(const CallSite& site, uint64_t ip) {
  const uint64_t offset = ip - site.slot;
  if (!site.moved) return offset ? ip : site.at;
  if (offset == 0) return site.at;
  if (offset == kNextReturn - kSyscallBytes) return site.at;
  if (offset == kNextReturn) return site.identifies ? ip : site.back;
  return offset == kNextReturn + site.moved ? site.back + site.moved : ip;
}

uint8_t arch_breakpoint() { return kInt3; }

bool arch_leave_changed_code(Thread& t, const ExceptionInfo& e) {
  kvm_regs& r = t.vcpu->run->s.regs.regs;
  CallSites& sites = t.process->space->call_sites;
  // A program that steps through itself does not see the way into the stub: natively there is one instruction, the call.
  if (e.trap == X86_TRAP_DB) return r.rip - kSelfVirtual < kPage || sites.continuation(r.rip) == r.rip;
  if (e.trap != X86_TRAP_UD && e.trap != X86_TRAP_BP) return false;
  // A breakpoint is reported behind its byte.
  const uint64_t at = e.trap == X86_TRAP_BP ? r.rip - 1 : r.rip;
  const uint64_t to = sites.continuation(at);
  if (!to || to == at) return false;
  r.rip = to;
  t.vcpu->run->kvm_dirty_regs |= KVM_SYNC_X86_REGS;
  return true;
}

}  // namespace tine
