// The dynamic loader's calls and `cpuid`s, found before it runs (memory/call_sites.h).
//
// Where KVM is PVM each costs a trap, and the loader makes some twenty calls and sixty `cpuid`s in every program's start,
// most from places that are passed once. So its code is read when it is mapped: each function of its unwind table that holds
// such bytes is decoded, from its first instruction to where its last must end.
// A place is changed only where no branch leads into the bytes that change.
#include <algorithm>
#include <cstring>

#include "arch/arch.h"
#include "arch/x86_64/call_sites.h"
#include "arch/x86_64/decode.h"

namespace tine {
namespace {

constexpr uint8_t kEscape = 0x0f, kSyscall = 0x05, kCpuid = 0xa2;

bool holds_any(std::span<const uint8_t> code) {
  const uint8_t* at = code.data();
  const uint8_t* const end = at + code.size();
  while (at + 1 < end && (at = static_cast<const uint8_t*>(std::memchr(at, kEscape, static_cast<size_t>(end - at - 1))))) {
    if (at[1] == kSyscall || at[1] == kCpuid) return true;
    at++;
  }
  return false;
}

class Search {
 public:
  Search(std::span<const uint8_t> code, uint64_t start) : code_(code), start_(start) {}

  // False: not understood from end to end.
  bool function(uint64_t from, uint64_t to) {
    uint64_t before = from;
    for (uint64_t at = from; at < to;) {
      const Instruction one = decode_instruction(code_.data() + at, code_.data() + to);
      if (!one.length) return false;
      if (one.branches) targets_.push_back(at + one.length + static_cast<uint64_t>(static_cast<int64_t>(one.distance)));
      if (one.length == 2 && code_[at] == kEscape && (code_[at + 1] == kSyscall || code_[at + 1] == kCpuid)) site(before, at, to);
      before = at;
      at += one.length;
    }
    return true;
  }

  const std::vector<CallSite>& sites() const { return sites_; }

  // The sites that can be changed.
  std::vector<CallSite> take() {
    // Where a branch must not lead: the changed bytes but for the first.
    std::vector<uint8_t> inside(code_.size()), entered(code_.size());
    for (const CallSite& site : sites_)
      for (uint64_t i = 1; i < kCallSiteBytes; i++) inside[site.at - start_ + i] = true;
    auto note = [&](uint64_t target) {
      if (target < inside.size() && inside[target]) entered[target] = true;
    };
    for (uint64_t target : targets_) note(target);
    // Functions that were not decoded can be far away: whatever looks like a jump or call with four bytes of distance.
    for (uint64_t i = 1; i + 4 < code_.size(); i++) {
      const uint8_t opcode = code_[i - 1];
      if ((opcode & 0xfe) != 0xe8 && !((opcode & 0xf0) == 0x80 && i >= 2 && code_[i - 2] == kEscape)) continue;
      int32_t distance;
      std::memcpy(&distance, code_.data() + i, sizeof distance);
      note(i + 4 + static_cast<uint64_t>(static_cast<int64_t>(distance)));
    }
    std::erase_if(sites_, [&](const CallSite& site) {
      for (uint64_t i = 1; i < kCallSiteBytes; i++)
        if (entered[site.at - start_ + i]) return true;
      return false;
    });
    return std::move(sites_);
  }

 private:
  void site(uint64_t before, uint64_t at, uint64_t to) {
    CallSite site{};
    site.identifies = code_[at + 1] == kCpuid;
    site.back = start_ + at + 2;
    uint32_t number = 0;
    const bool loads = !site.identifies && at - before == kCallSiteBytes && code_[before] == 0xb8;
    if (loads) std::memcpy(&number, code_.data() + before + 1, sizeof number);
    if (plan_call_site(site, code_.subspan(before, std::min<uint64_t>(to, at + 32) - before), at - before, loads, number)) sites_.push_back(site);
  }

  std::span<const uint8_t> code_;
  uint64_t start_;
  std::vector<CallSite> sites_;
  std::vector<uint64_t> targets_;  // offsets in code_
};

// The functions that an .eh_frame_hdr names (Linux Standard Base, Core, 10.6.2), as offsets from `code_start`, in order.
struct Function {
  uint64_t from, to;
};
std::vector<Function> functions_of(std::span<const uint8_t> unwind, uint64_t unwind_start, uint64_t code_start, uint64_t code_bytes) {
  constexpr uint8_t kVersion = 1, kRelative = 0x1b, kCount = 0x03, kTable = 0x3b;  // DW_EH_PE_*: 32 bits, from here or from the header
  std::vector<Function> functions;
  if (unwind.size() < 12 || unwind[0] != kVersion || unwind[1] != kRelative || unwind[2] != kCount || unwind[3] != kTable) return functions;
  auto word = [&](uint64_t at) {
    int32_t value;
    std::memcpy(&value, unwind.data() + at, sizeof value);
    return static_cast<uint64_t>(static_cast<int64_t>(value));
  };
  const uint64_t count = std::min<uint64_t>(static_cast<uint32_t>(word(8)), (unwind.size() - 12) / 8);
  for (uint64_t i = 0; i < count; i++) {
    const uint64_t from = unwind_start + word(12 + i * 8), entry = word(16 + i * 8);
    // The entry: its length, where its common part is, where its code begins (from here), and how long that is.
    if (entry > unwind.size() - 16) continue;
    if (unwind_start + entry + 8 + word(entry + 8) != from) continue;
    const uint64_t bytes = static_cast<uint32_t>(word(entry + 12));
    if (from - code_start >= code_bytes || bytes > code_bytes - (from - code_start)) continue;
    functions.push_back({from - code_start, from - code_start + bytes});
  }
  return functions;
}

}  // namespace

uint32_t arch_pack_site(const CallSite& site, uint64_t code_start) {
  return static_cast<uint32_t>(site.back - code_start) << 2 | (site.back - site.at > 2) << 1 | site.identifies;
}

bool arch_unpack_site(uint32_t packed, std::span<const uint8_t> code, uint64_t code_start, CallSite& site) {
  const uint64_t back = packed >> 2;
  const bool loads = packed & 2;
  if (back < 2 + kCallSiteBytes || back > code.size()) return false;
  site = {};
  site.identifies = packed & 1;
  site.back = code_start + back;
  const uint64_t at = back - 2;
  if (code[at] != kEscape || code[at + 1] != (site.identifies ? kCpuid : kSyscall)) return false;
  uint32_t number = 0;
  if (loads) std::memcpy(&number, code.data() + at - 4, sizeof number);
  return plan_call_site(site, code.subspan(0, std::min<uint64_t>(code.size(), at + 32)), at, loads, number);
}

std::vector<CallSite> arch_loader_sites(std::span<const uint8_t> code, uint64_t code_start, std::span<const uint8_t> unwind, uint64_t unwind_start) {
  // A short branch from a neighbour reaches no further.
  constexpr uint64_t kShort = 160;
  const std::vector<Function> functions = functions_of(unwind, unwind_start, code_start, code.size());
  std::vector<bool> decoded(functions.size());
  Search search(code, code_start);
  auto decode = [&](size_t i) {
    if (decoded[i]) return true;
    decoded[i] = true;
    return search.function(functions[i].from, functions[i].to);
  };
  for (size_t i = 0; i < functions.size(); i++) {
    const Function& one = functions[i];
    if (!holds_any(code.subspan(one.from, one.to - one.from))) continue;
    const size_t before = search.sites().size();
    if (!decode(i)) return {};
    bool near_start = false, near_end = false;
    for (size_t k = before; k < search.sites().size(); k++) {
      const uint64_t at = search.sites()[k].back - code_start;
      near_start |= at < one.from + kShort;
      near_end |= at + kShort > one.to;
    }
    if (near_start && i && !decode(i - 1)) return {};
    if (near_end && i + 1 < functions.size() && !decode(i + 1)) return {};
  }
  return search.take();
}

}  // namespace tine
