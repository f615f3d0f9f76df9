#include "fork/board.h"

#include <bit>
#include <cstddef>
#include <map>

#include "memory/address_space.h"

namespace tine {

// Initialised with more than zeros, so that it lies in the data that the executable's file maps.
Board board{{'t', 'i', 'n', 'e', '-', 'b', 'o', 'a', 'r', 'd', '\n', '\x1a', '\0', '\x99', '\xe7', '\x01'}, kBoardVersion, 0, 0, 0, kWindowBit, 0, 0, 0, 0, 0, 0, 0, {}};

// The layout that the reader relies on: colour, parent, left, right, then key and mapping.
using Node = std::_Rb_tree_node<std::pair<const uint64_t, Vma>>;
static_assert(sizeof(std::_Rb_tree_node_base) == 32 && sizeof(Node) == 64);
static_assert(offsetof(Vma, start) == 0 && offsetof(Vma, end) == 8 && offsetof(Vma, prot) == 16 && offsetof(Vma, flags) == 20);

void show_fork(uint64_t ticks) {
  __atomic_fetch_add(&board.fork_ticks, ticks, __ATOMIC_RELAXED);
  const uint32_t doubling = ticks < 1ull << kFirstDoubling ? kFirstDoubling : static_cast<uint32_t>(std::bit_width(ticks)) - 1;
  const uint32_t found = (doubling - kFirstDoubling) * 4 + static_cast<uint32_t>(ticks >> (doubling - 2) & 3);
  __atomic_fetch_add(&board.fork_took[found < kForkClasses ? found : kForkClasses - 1], 1, __ATOMIC_RELAXED);
}

void clear_figures() {
  board.forks = board.execs = 0;
  board.fork_ticks = board.copied = 0;
  for (uint32_t& count : board.fork_took) count = 0;
}

void AddressSpace::show_on_board() { board.mappings = reinterpret_cast<uint64_t>(vmas_.end()._M_node); }

}  // namespace tine
