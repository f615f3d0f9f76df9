#include "memory/code_store.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <linux/stat.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <time.h>

#include <algorithm>
#include <atomic>

#include "host/raw.h"

namespace tine {
namespace {

constexpr uint64_t kIndexBytes = 64 << 10;
constexpr uint64_t kAtOnce = 4 << 20, kLargest = 48 << 20;
constexpr int64_t kSettled = 2;  // seconds

// What a copy is of. The times tell the file's next contents from these. A guest that may mount can make file systems of
// its own and choose their inodes and times, and device numbers are given out again: the mount's number is not.
struct Key {
  uint64_t mount, device, inode, size;
  int64_t changed[2], modified[2];
  uint64_t offset, bytes;
  bool operator==(const Key&) const = default;

  uint64_t digest() const {
    uint64_t sum = 0;
    for (uint64_t word : {mount, device, inode, size, static_cast<uint64_t>(changed[0]), static_cast<uint64_t>(changed[1]), offset, bytes})
      sum = (sum ^ word) * 0x9e3779b97f4a7c15ull, sum ^= sum >> 29;
    return sum >> 2 | 1;
  }
};

// An entry's word: its key's digest and what is known. Whoever sets kFilling alone writes the rest.
enum Known : uint64_t { kSeen, kFilling, kReady, kNever };
constexpr uint64_t word_of(uint64_t digest, Known known) { return digest << 2 | known; }

struct Entry {
  std::atomic<uint64_t> word;
  uint64_t at;
  Key key;
};

// Whether the times of files there tell of every change: a store by way of a mapping of a file in memory changes no times,
// and what a FUSE server answers is its own affair.
bool times_tell(int fd) {
  struct statfs info;
  if (raw(SYS_fstatfs, static_cast<uint64_t>(fd), arg(&info))) return false;
  switch (info.f_type) {
    case TMPFS_MAGIC: case RAMFS_MAGIC: case HUGETLBFS_MAGIC: case FUSE_SUPER_MAGIC: return false;
    default: return true;
  }
}

bool describe(int fd, Key& key, uint64_t& size) {
  constexpr unsigned kUniqueMount = 0x4000;  // STATX_MNT_ID_UNIQUE, Linux 6.8
  struct statx file;
  timespec now;
  if (raw(SYS_statx, static_cast<uint64_t>(fd), arg(""), AT_EMPTY_PATH, STATX_BASIC_STATS | kUniqueMount, arg(&file)) ||
      !(file.stx_mask & kUniqueMount) || !S_ISREG(file.stx_mode) || !times_tell(fd))
    return false;
  raw(SYS_clock_gettime, CLOCK_REALTIME, arg(&now));
  if (std::max(file.stx_ctime.tv_sec, file.stx_mtime.tv_sec) + kSettled > now.tv_sec) return false;
  key = {file.stx_mnt_id, static_cast<uint64_t>(file.stx_dev_major) << 32 | file.stx_dev_minor, file.stx_ino, file.stx_size,
         {file.stx_ctime.tv_sec, file.stx_ctime.tv_nsec}, {file.stx_mtime.tv_sec, file.stx_mtime.tv_nsec}, 0, 0};
  size = file.stx_size;
  return true;
}

// From the file, not from the mapping: another thread may be changing that already (/proc/self/mem), and would change it
// for everybody.
bool read_all(int fd, uint8_t* to, uint64_t bytes, uint64_t offset) {
  for (uint64_t done = 0; done < bytes;) {
    const int64_t got = raw(SYS_pread64, static_cast<uint64_t>(fd), arg(to + done), bytes - done, offset + done);
    if (got == -EINTR) continue;
    if (got <= 0) return false;
    done += static_cast<uint64_t>(got);
  }
  return true;
}

// Whether little of a mapping would have to be read from a disk. Where not, the kernel begins to.
bool mostly_resident(HostAddr at, uint64_t bytes) {
  uint8_t resident[1024];
  uint64_t missing = 0;
  for (uint64_t done = 0; done < bytes; done += sizeof resident * kPage) {
    const uint64_t pages = std::min<uint64_t>(sizeof resident, (bytes - done) / kPage);
    if (raw(SYS_mincore, at.v + done, pages * kPage, arg(resident))) return false;
    for (uint64_t i = 0; i < pages; i++) missing += !(resident[i] & 1);
  }
  if (missing * 8 <= bytes / kPage) return true;
  raw(SYS_madvise, at.v, bytes, MADV_WILLNEED);
  return false;
}

}  // namespace

// In the file's first pages, all zero at first.
struct CodeStore::Index {
  static constexpr uint64_t kEntries = (kIndexBytes - 64) / sizeof(Entry), kProbes = 16;
  std::atomic<uint64_t> used;  // of what lies behind the index
  Entry entries[kEntries];

  // Room that begins where `offset` does within kCodeAlignment. 0: none.
  uint64_t take(uint64_t bytes, uint64_t offset, uint64_t all) {
    uint64_t now = used.load(), at;
    do {
      at = now + ((offset - now) & (kCodeAlignment - 1));
      if (bytes > all - kIndexBytes || at > all - kIndexBytes - bytes) return 0;
    } while (!used.compare_exchange_weak(now, at + bytes));
    return kIndexBytes + at;
  }
};

int64_t CodeStore::make(uint64_t bytes) {
  if (bytes < 2 * kIndexBytes) return -EINVAL;
  // The container's limit on the size of files is not for this one, and going beyond it would be a signal.
  rlimit64 limit{};
  raw(SYS_prlimit64, 0, RLIMIT_FSIZE, 0, arg(&limit));
  const bool small = limit.rlim_cur < bytes;
  if (small && limit.rlim_max < bytes) return -EFBIG;
  const int64_t fd = raw(SYS_memfd_create, arg("tine-code"), MFD_CLOEXEC);
  if (is_error(fd)) return fd;
  const rlimit64 raised{limit.rlim_max, limit.rlim_max};
  if (small) raw(SYS_prlimit64, 0, RLIMIT_FSIZE, arg(&raised), 0);
  const int64_t sized = raw(SYS_ftruncate, static_cast<uint64_t>(fd), bytes);
  if (small) raw(SYS_prlimit64, 0, RLIMIT_FSIZE, arg(&limit), 0);
  if (!is_error(sized)) return fd;
  raw(SYS_close, static_cast<uint64_t>(fd));
  return sized;
}

uint64_t CodeStore::bytes_of(int fd) {
  struct stat file;
  if (fd < 0 || raw(SYS_fstat, static_cast<uint64_t>(fd), arg(&file)) || file.st_size < static_cast<int64_t>(2 * kIndexBytes)) return 0;
  return static_cast<uint64_t>(file.st_size) & ~(kPage - 1);
}

uint64_t CodeStore::find(int fd, uint64_t offset, uint64_t bytes, HostAddr mapped) {
  static_assert(sizeof(Index) <= kIndexBytes && kIndexBytes % kCodeAlignment == 0);
  if (!memory_ || bytes > kLargest) return 0;
  Key key;
  uint64_t size;
  if (!describe(fd, key, size)) return 0;
  // Behind a file's last page there is SIGBUS.
  if (offset + bytes > ((size + kPage - 1) & ~(kPage - 1))) return 0;
  key.offset = offset, key.bytes = bytes;
  const uint64_t digest = key.digest() & ~0ull >> 2;
  auto& index = *reinterpret_cast<Index*>(memory_);
  for (uint64_t probe = 0; probe < Index::kProbes; probe++) {
    Entry& entry = index.entries[(digest + probe) % Index::kEntries];
    uint64_t word = entry.word.load(std::memory_order_acquire);
    if (word && word >> 2 != digest) continue;
    if (word == word_of(digest, kReady)) {
      if (entry.key != key) continue;
      const uint64_t at = entry.at;
      return at >= kIndexBytes && at < bytes_ && bytes <= bytes_ - at ? at : 0;
    }
    if (word && word != word_of(digest, kSeen)) return 0;
    if (!word && bytes > kAtOnce) {
      entry.word.compare_exchange_strong(word, word_of(digest, kSeen));
      return 0;
    }
    if (!entry.word.compare_exchange_strong(word, word_of(digest, kFilling))) return 0;
    if (!mostly_resident(mapped, bytes)) {
      entry.word.store(0);
      return 0;
    }
    const uint64_t at = index.take(bytes, offset, bytes_);
    if (!at || !read_all(fd, memory_ + at, std::min(bytes, size - offset), offset)) {
      entry.word.store(word_of(digest, kNever));
      return 0;
    }
    entry.key = key;
    entry.at = at;
    entry.word.store(word_of(digest, kReady), std::memory_order_release);
    return at;
  }
  return 0;
}

void CodeStore::bring(uint64_t at, uint64_t bytes) { raw(SYS_madvise, arg(memory_ + at), bytes, MADV_POPULATE_READ); }

void CodeStore::drop(uint64_t at, uint64_t bytes) { raw(SYS_madvise, arg(memory_ + at), bytes, MADV_DONTNEED); }

}  // namespace tine
