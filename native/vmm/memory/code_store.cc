#include "memory/code_store.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

#include <algorithm>
#include <atomic>

#include "host/raw.h"
#include "memory/guest_copy.h"

namespace tine {
namespace {

constexpr uint64_t kIndexBytes = 64 << 10;
constexpr uint64_t kAtOnce = 4 << 20, kLargest = 48 << 20;
constexpr int64_t kSettled = 2;  // seconds

// What a copy is of. The times tell the file's next contents from these.
struct Key {
  uint64_t device, inode, size;
  int64_t changed[2], modified[2];
  uint64_t offset, bytes;
  bool operator==(const Key&) const = default;

  uint64_t digest() const {
    uint64_t sum = 0;
    for (uint64_t word : {device, inode, size, static_cast<uint64_t>(changed[0]), static_cast<uint64_t>(changed[1]), offset, bytes})
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

  uint64_t take(uint64_t bytes, uint64_t all) {
    uint64_t now = used.load();
    do {
      if (bytes > all - kIndexBytes || now > all - kIndexBytes - bytes) return 0;
    } while (!used.compare_exchange_weak(now, now + bytes));
    return kIndexBytes + now;
  }
};

int64_t CodeStore::make(uint64_t bytes) {
  if (bytes < 2 * kIndexBytes) return -EINVAL;
  const int64_t fd = raw(SYS_memfd_create, arg("tine-code"), MFD_CLOEXEC);
  if (is_error(fd)) return fd;
  if (const int64_t sized = raw(SYS_ftruncate, static_cast<uint64_t>(fd), bytes); is_error(sized)) {
    raw(SYS_close, static_cast<uint64_t>(fd));
    return sized;
  }
  return fd;
}

uint64_t CodeStore::bytes_of(int fd) {
  struct stat file;
  if (fd < 0 || raw(SYS_fstat, static_cast<uint64_t>(fd), arg(&file)) || file.st_size < static_cast<int64_t>(2 * kIndexBytes)) return 0;
  return static_cast<uint64_t>(file.st_size) & ~(kPage - 1);
}

uint64_t CodeStore::find(int fd, uint64_t offset, uint64_t bytes, HostAddr mapped) {
  static_assert(sizeof(Index) <= kIndexBytes);
  if (!memory_ || bytes > kLargest) return 0;
  struct stat file;
  timespec now;
  if (raw(SYS_fstat, static_cast<uint64_t>(fd), arg(&file)) || !S_ISREG(file.st_mode)) return 0;
  // Behind a file's last page there is SIGBUS.
  if (offset + bytes > ((static_cast<uint64_t>(file.st_size) + kPage - 1) & ~(kPage - 1))) return 0;
  raw(SYS_clock_gettime, CLOCK_REALTIME, arg(&now));
  if (std::max(file.st_ctim.tv_sec, file.st_mtim.tv_sec) + kSettled > now.tv_sec) return 0;
  const Key key{file.st_dev, file.st_ino, static_cast<uint64_t>(file.st_size), {file.st_ctim.tv_sec, file.st_ctim.tv_nsec},
                {file.st_mtim.tv_sec, file.st_mtim.tv_nsec}, offset, bytes};
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
    const uint64_t at = index.take(bytes, bytes_);
    if (!at || !copy_checked(memory_ + at, mapped.ptr(), bytes)) {
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

void CodeStore::drop(uint64_t at, uint64_t bytes) { raw(SYS_madvise, arg(memory_ + at), bytes, MADV_DONTNEED); }

}  // namespace tine
