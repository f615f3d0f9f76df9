// Guest, host and guest-physical addresses, and the one map between the first two.
//
// host = guest XOR the highest user address bit. The permutation exchanges the two halves of the user address space (47
// bits on x86-64, 48 on arm64), so PIE, mmap and stack sit where Linux puts them (85 and 127 TiB, 170 and 255) and the
// monitor, which the kernel loads at the top of *its* space, faces a zone below the middle (62 or 126 TiB) that the
// guest is refused. Nothing is reserved on the host: free space counts against no limit.
#pragma once
#include <compare>
#include <cstdint>

#include "arch/layout.h"

namespace tine {

struct GuestAddr {
  uint64_t v;
  constexpr GuestAddr operator+(uint64_t n) const { return {v + n}; }
  constexpr auto operator<=>(const GuestAddr&) const = default;
};
struct HostAddr {
  uint64_t v;
  constexpr HostAddr operator+(uint64_t n) const { return {v + n}; }
  constexpr auto operator<=>(const HostAddr&) const = default;
  template <class T = uint8_t>
  T* ptr() const { return reinterpret_cast<T*>(v); }
};
struct GuestPhys {
  uint64_t v;
  constexpr GuestPhys operator+(uint64_t n) const { return {v + n}; }
  constexpr auto operator<=>(const GuestPhys&) const = default;
};

constexpr uint64_t kPage = 4096;
constexpr uint64_t kHugePage = 2ull << 20;
constexpr uint64_t kWindowBit = 1ull << (kUserAddressBits - 1);

// The monitor's own mappings live in the host's top 2 TiB; the guest addresses that face them are refused.
constexpr uint64_t kMonitorZoneStart = (1ull << kUserAddressBits) - (2ull << 40);
constexpr uint64_t kRefusedStart = kMonitorZoneStart ^ kWindowBit;
// Host page zero (mmap_min_addr) faces the middle; a 4 GiB guard lies behind it.
constexpr uint64_t kRefusedEnd = kWindowBit + (4ull << 30);

// True where [start, start + length) may hold guest memory.
constexpr bool guest_range_ok(uint64_t start, uint64_t length) {
  if (start >= kGuestEnd || length > kGuestEnd - start) return false;
  uint64_t end = start + length;
  return end <= kRefusedStart || start >= kRefusedEnd;
}

// An address in the kernel's half: the host kernel answers EFAULT for it whatever the call.
constexpr uint64_t kAlwaysFaults = 0xffff'8000'0000'0000ull;

// Total: any 64-bit value a guest passes becomes an address that is inside a window, NULL, or one that the
// host kernel refuses. The refused zones begin with at least 4 GiB in which nothing is ever mapped on the
// host, so a buffer that starts inside a window and runs out of it faults there (the kernel caps every
// length at 2 GiB).
constexpr HostAddr to_host(GuestAddr g) {
  if (g.v == 0) return {0};
  if (g.v >= (1ull << kUserAddressBits)) return {kAlwaysFaults};
  if (g.v >= kRefusedStart && g.v < kRefusedEnd) return {kAlwaysFaults};
  return {g.v ^ kWindowBit};
}
// Where a window's own range starts on the host: unlike a guest's pointer, zero is a place here.
constexpr HostAddr window_start(uint64_t guest) { return {guest ^ kWindowBit}; }
constexpr GuestAddr to_guest(HostAddr h) { return {h.v ^ kWindowBit}; }
// True where the host address belongs to a window, that is, is not the monitor's own.
constexpr bool in_window(HostAddr h) { return h.v < kMonitorZoneStart && h.v >= (4ull << 30); }

}  // namespace tine
