// Pages that are made before a program touches them, because each would cost a fault of the machine's: data, symbol tables, what
// stands beside data.
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <iterator>

#include "host/raw.h"
#include "memory/address_space.h"
#include "memory/write_key.h"

namespace tine {
namespace {

constexpr uint64_t kBroughtIn = 512 << 10;
// The data of programs and libraries: what there is more of than in most is tables of addresses, and relocation writes every page.
constexpr uint64_t kBroughtInData = 4 << 20;
constexpr uint64_t kOwnedSymbols = 256 << 10;

bool file_of(int fd, uint64_t& device, uint64_t& inode) {
  struct stat file;
  if (raw(SYS_fstat, static_cast<uint64_t>(fd), arg(&file))) return false;
  device = file.st_dev, inode = file.st_ino;
  return true;
}

}  // namespace

// Private pages that will be written one by one soon. A fault costs the machine 4 to 50 µs, and it brings in the
// neighbours as well if the host has them: pages made beforehand cost a tenth (docs/performance.md).
void AddressSpace::bring_in(uint64_t start, uint64_t bytes, uint32_t prot) {
  auto it = find(start);
  const bool data = it != vmas_.end() && (it->second.flags & kVmaLoaded);
  if ((prot & PROT_WRITE) && bytes <= (data ? kBroughtInData : kBroughtIn)) raw(SYS_madvise, to_host({start}).v, bytes, MADV_POPULATE_WRITE);
}

void AddressSpace::own_pages(uint64_t start, uint64_t bytes) {
  auto it = find(start);
  if (it == vmas_.end() || it->second.end - start < bytes || bytes > kBroughtInData || write_key() < 0) return;
  const uint64_t host = to_host({start}).v;
  if (!(it->second.prot & PROT_WRITE) &&
      raw(SYS_pkey_mprotect, host, bytes, PROT_READ | PROT_WRITE, static_cast<uint64_t>(write_key())))
    return;
  split_at(start);
  split_at(start + bytes);
  vmas_.find(start)->second.flags |= kVmaOwned;
  if (it->second.prot & PROT_WRITE) return;  // brought in already
  const OpenWriteKey key;
  raw(SYS_madvise, host, bytes, MADV_POPULATE_WRITE);
}

// A loader maps a library's file whole and then its segments over it: what is left below the code are the symbol
// tables, of which every program reads most pages.
void AddressSpace::bring_symbols(uint64_t text, int fd) {
  auto it = vmas_.lower_bound(text);
  if (it == vmas_.begin()) return;
  const Vma below = std::prev(it)->second;
  if (below.end != text || below.prot != PROT_READ || !(below.flags & kVmaLoaded) || (below.flags & (kVmaOwned | kVmaLocked)) ||
      in_store(below.start))
    return;
  const WholeFile& whole = whole_file_;
  uint64_t device, inode;
  if ((below.flags & kVmaWhole) && below.start >= whole.start && below.end <= whole.end && file_of(fd, device, inode) && device == whole.device && inode == whole.inode &&
      enter_store(below.start, below.end, PROT_READ, fd, whole.offset + (below.start - whole.start)))
    return;
  if (below.bytes() <= kOwnedSymbols) own_pages(below.start, below.bytes());
}

void AddressSpace::note_whole_file(uint64_t at, const MapRequest& q) {
  whole_file_ = {};
  if (!code_store_.attached() || !q.keeps_fd || !file_of(q.fd, whole_file_.device, whole_file_.inode)) return;
  whole_file_.start = at, whole_file_.end = at + q.bytes, whole_file_.offset = q.offset;
  find(at)->second.flags |= kVmaWhole;
}

void AddressSpace::bring_stored(uint64_t start, uint64_t end) {
  auto it = stored_.upper_bound(start);
  if (it != stored_.begin() && std::prev(it)->second.end > start) --it;
  for (; it != stored_.end() && it->first < end; ++it) {
    const uint64_t from = std::max(start, it->first), to = std::min(end, it->second.end);
    code_store_.bring(it->second.at + (from - it->first), to - from);
  }
}

// KVM stops at the first neighbour, from the lowest, that it cannot map: constants in front of a library's data would be that.
void AddressSpace::own_group(uint64_t data) {
  auto it = find(data - 1);
  if (it == vmas_.end() || it->second.prot != PROT_READ || !(it->second.flags & kVmaLoaded) || (it->second.flags & (kVmaOwned | kVmaLocked))) return;
  const uint64_t start = std::max(it->second.start, data & ~(kNeighbours * kPage - 1));
  if (start >= data) return;
  own_pages(start, data - start);
  if (in_store(start)) fill(start, data, PROT_READ);
}

}  // namespace tine
