// Pages of a process's own. After the host's fork both sides have the same pages, write-protected; whoever writes
// first gets a copy. Here a side does so first, and in bulk: the child with every page of the mappings that a strategy chooses, before
// it runs, and either side with what lies around its first writes (memory/after_fork.cc):
// - huge pages, and runs that could be some: the pages move aside (MREMAP_DONTUNMAP), and what was there is copied back
//   into fresh memory of the same mapping, which the kernel gives in huge pages. Breaking the sharing of a huge page in
//   place would split it.
// - all else: MADV_POPULATE_WRITE breaks the sharing of a range in the kernel without changing a byte.
// What the parent writes meanwhile goes to copies of its own: the host's fork was the instant.
//
// Which pages there are is asked of the page tables (pagemap), so the cost follows what is resident, not what is
// mapped: PAGEMAP_SCAN (Linux 6.7) gives runs and steps over empty tables; before it, one word a page is read.
//
// What cannot be copied (no procfs to ask, huge pages of a pool that is empty) stays shared copy-on-write, which is
// right as well: strategies differ in when pages are copied, never in what either side sees.
#include <fcntl.h>
#include <linux/ioctl.h>
#include <linux/types.h>
#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "fork/fork.h"
#include "host/raw.h"
#include "host/report.h"
#include "memory/write_key.h"
#include "process/descriptors.h"

namespace tine {
namespace {

constexpr uint64_t kChunk = 16ull << 20;  // a signal's death must not wait for more than one

// uapi/linux/fs.h, newer than the C library's header.
struct ScanArgument {
  __u64 size, flags, start, end, walk_end, vec, vec_len, max_pages;
  __u64 category_inverted, category_mask, category_anyof_mask, return_mask;
};
struct ScanRegion {
  __u64 start, end, categories;
};
constexpr uint64_t kPagemapScan = _IOWR('f', 16, ScanArgument);
constexpr uint64_t kIsFile = 1 << 2, kIsPresent = 1 << 3, kIsSwapped = 1 << 4, kIsZeroPage = 1 << 5;

// Documentation/admin-guide/mm/pagemap.rst
constexpr uint64_t kEntryPresent = 1ull << 63, kEntrySwapped = 1ull << 62, kEntryFile = 1ull << 61, kEntryExclusive = 1ull << 56;

bool is_resident(uint64_t entry) { return (entry & kEntryPresent) && !(entry & kEntryFile); }
bool is_shared(uint64_t entry) { return is_resident(entry) && !(entry & kEntryExclusive); }

// Runs of the first `count` of `pages` that `chosen` is true of, as [from, to).
template <class Page, class Chosen, class F>
void for_each_run(const Page* pages, uint64_t count, Chosen&& chosen, F&& f) {
  for (uint64_t i = 0; i < count; i++) {
    if (!chosen(pages[i])) continue;
    const uint64_t from = i;
    while (i < count && chosen(pages[i])) i++;
    f(from, i);
  }
}

class Copier {
 public:
  // `looks`: may open a descriptor, which other threads of the guest would see.
  Copier(Process& process, bool looks) {
    if (process.proc_fd < 0 || !looks) {
      fd_ = -ENOENT;
      return;
    }
    const RoomForDescriptors room(process);
    fd_ = raw(SYS_openat, static_cast<uint64_t>(process.proc_fd), arg("self/pagemap"), O_RDONLY | O_CLOEXEC);
  }
  ~Copier() {
    if (!is_error(fd_)) raw(SYS_close, fd_);
  }
  Copier(const Copier&) = delete;
  Copier& operator=(const Copier&) = delete;

  int64_t mapping(const Vma& vma);
  bool window(uint64_t start, uint64_t end, bool alone);
  uint64_t unshared(uint64_t start, uint64_t end, bool alone);
  uint64_t copied() const { return copied_; }

 private:
  int64_t run(uint64_t start, uint64_t end, const Vma& vma);
  void in_place(uint64_t start, uint64_t end);
  bool anew(uint64_t start, uint64_t end);
  int64_t scanned(uint64_t start, uint64_t end, const Vma& vma);
  int64_t read_entries(uint64_t start, uint64_t end, const Vma& vma);
  // What pagemap says of the pages of one huge page.
  using Entries = uint64_t[kHugePage / kPage];
  bool read(uint64_t start, uint64_t end, Entries& entries) const {
    const int64_t bytes = static_cast<int64_t>((end - start) / kPage * sizeof *entries);
    return !is_error(fd_) && raw(SYS_pread64, fd_, arg(entries), bytes, start / kPage * sizeof *entries) == bytes;
  }

  int64_t fd_;
  uint64_t copied_ = 0;
};

void Copier::in_place(uint64_t start, uint64_t end) {
  for (uint64_t at = start; at < end; at += kChunk) {
    const uint64_t bytes = std::min(kChunk, end - at);
    if (raw(SYS_madvise, at, bytes, MADV_POPULATE_WRITE) == 0) copied_ += bytes;
  }
}

// Whole huge pages of anonymous memory that can be written. False: nothing has changed.
bool Copier::anew(uint64_t start, uint64_t end) {
  const uint64_t bytes = end - start;
  // Page tables move as they are between places that are alike within a huge page.
  const int64_t room = raw(SYS_mmap, 0, bytes + kHugePage, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, ~0ull, 0);
  if (is_error(room)) return false;
  const uint64_t aside = (static_cast<uint64_t>(room) + kHugePage - 1) & ~(kHugePage - 1);
  const int64_t moved = raw(SYS_mremap, start, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, aside);
  if (!is_error(moved)) {
    std::memcpy(reinterpret_cast<void*>(start), reinterpret_cast<void*>(aside), bytes);
    copied_ += bytes;
  }
  raw(SYS_munmap, static_cast<uint64_t>(room), bytes + kHugePage);
  return !is_error(moved);
}

// [start, end) on the host is resident and private.
int64_t Copier::run(uint64_t start, uint64_t end, const Vma& vma) {
  const OpenWriteKey key;
  const bool writable = (host_prot(vma.prot) & PROT_WRITE) || (vma.flags & kVmaOwned);
  if (!writable)
    if (raw(SYS_mprotect, start, end - start, PROT_READ | PROT_WRITE)) return 0;
  constexpr uint32_t kOwnWays = kVmaFile | kVmaStack | kVmaNoHuge | kVmaLocked | kVmaSysv | kVmaVdso;
  const uint64_t low = (start + kHugePage - 1) & ~(kHugePage - 1), high = end & ~(kHugePage - 1);
  if (low < high && !(vma.flags & kOwnWays) && anew(low, high)) {
    in_place(start, low);
    in_place(high, end);
  } else {
    in_place(start, end);
  }
  return writable ? 0 : raw(SYS_mprotect, start, end - start, static_cast<uint64_t>(host_prot(vma.prot)));
}

int64_t Copier::scanned(uint64_t start, uint64_t end, const Vma& vma) {
  ScanRegion regions[256];
  ScanArgument scan{};
  scan.size = sizeof scan;
  scan.start = start;
  scan.end = end;
  scan.vec = arg(regions);
  scan.vec_len = std::size(regions);
  scan.category_inverted = scan.category_mask = kIsFile | kIsZeroPage;
  scan.category_anyof_mask = kIsPresent | kIsSwapped;
  scan.return_mask = kIsPresent;
  while (scan.start < end) {
    const int64_t found = raw(SYS_ioctl, fd_, kPagemapScan, arg(&scan));
    if (is_error(found)) return found;
    for (int64_t i = 0; i < found; i++)
      if (int64_t result = run(regions[i].start, regions[i].end, vma)) return result;
    scan.start = scan.walk_end;
  }
  return 0;
}

int64_t Copier::read_entries(uint64_t start, uint64_t end, const Vma& vma) {
  uint64_t entries[1024];
  uint64_t from = 0;  // of the run at hand; 0: none
  for (uint64_t at = start; at < end;) {
    const uint64_t count = std::min<uint64_t>(std::size(entries), (end - at) / kPage);
    const int64_t got = raw(SYS_pread64, fd_, arg(entries), count * 8, at / kPage * 8);
    if (got <= 0) return got ? got : -EIO;
    for (int64_t i = 0; i < got / 8; i++, at += kPage) {
      const bool wanted = entries[i] & (kEntryPresent | kEntrySwapped) && !(entries[i] & kEntryFile);
      if (wanted == (from != 0)) continue;
      if (!wanted)
        if (int64_t result = run(from, at, vma)) return result;
      from = wanted ? at : 0;
    }
  }
  return from ? run(from, end, vma) : 0;
}

int64_t Copier::mapping(const Vma& vma) {
  if (is_error(fd_)) return 0;
  const uint64_t start = to_host({vma.start}).v, end = start + vma.bytes();
  const int64_t result = scanned(start, end, vma);
  return result == -ENOTTY || result == -EINVAL ? read_entries(start, end, vma) : result;
}

// [start, end) on the host lies in one huge page. False: nobody else has any of it.
bool Copier::window(uint64_t start, uint64_t end, bool alone) {
  Entries entries;
  const uint64_t count = (end - start) / kPage;
  const auto own = [&](uint64_t from, uint64_t to) { in_place(start + from * kPage, start + to * kPage); };
  if (!read(start, end, entries)) {
    // Without pagemap only what is resident is known.
    uint8_t resident[std::size(entries)];
    if (raw(SYS_mincore, start, end - start, arg(resident))) return true;
    for_each_run(resident, count, [](uint8_t page) { return page & 1; }, own);
    return true;
  }
  if (std::none_of(entries, entries + count, is_shared)) return false;
  if (alone && count == std::size(entries) && std::all_of(entries, entries + count, is_resident) && anew(start, end)) return true;
  for_each_run(entries, count, is_resident, own);
  return true;
}

// From `start` on what nobody else has any more, made writable for the machine in bulk. Where that ends.
// Pages that were read since the fork are in the machine as such, and each would have to be faulted out again: taking the right to
// write away for an instant, which nobody notices who is `alone`, drops them all.
uint64_t Copier::unshared(uint64_t start, uint64_t end, bool alone) {
  while (start < end) {
    Entries entries;
    const uint64_t to = std::min(end, (start & ~(kHugePage - 1)) + kHugePage), count = (to - start) / kPage;
    if (!read(start, to, entries)) return start;
    const auto first = static_cast<uint64_t>(std::find_if(entries, entries + count, is_shared) - entries);
    for_each_run(entries, first, is_resident, [&](uint64_t from, uint64_t behind) {
      const uint64_t at = start + from * kPage, bytes = (behind - from) * kPage;
      if (alone && !raw(SYS_mprotect, at, bytes, PROT_READ) && raw(SYS_mprotect, at, bytes, PROT_READ | PROT_WRITE))
        report("memory that was written before cannot be made writable again");
      raw(SYS_madvise, at, bytes, MADV_POPULATE_WRITE);
    });
    start += first * kPage;
    if (first < count) break;
  }
  return start;
}

}  // namespace

bool own_pages_after_fork(Process& process, uint64_t start, uint64_t& end, const Vma& vma, uint64_t limit, bool alone) {
  constexpr uint64_t kAtOnce = 8 << 20;
  Copier copier(process, alone && !process.shares_files);
  const uint64_t from = to_host({start}).v;
  if (copier.window(from, from + (end - start), alone && !(vma.flags & kVmaNoHuge))) return true;
  end = start + (copier.unshared(from, from + std::min(limit - start, kAtOnce), alone) - from);
  return false;
}

int64_t copy_shared_pages(Process& process, bool (*chosen)(const Vma& vma)) {
  Copier copier(process, true);
  int64_t result = 0;
  process.space->for_each([&](const Vma& vma) {
    if (!result && chosen(vma)) result = copier.mapping(vma);
  });
  return result ? result : static_cast<int64_t>(copier.copied());
}

}  // namespace tine
