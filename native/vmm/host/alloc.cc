// The monitor's heap: size classes over mapped memory, one lock. The C library's allocator cannot serve here: its
// caches are per thread-local storage, which the monitor's threads share, and its locks do not survive a raw fork.
#include <signal.h>
#include <sys/mman.h>

#include <cstddef>
#include <cstdlib>
#include <new>

#include "host/alloc.h"
#include "host/raw.h"
#include "host/report.h"

namespace tine {
namespace {

constexpr size_t kSmallest = 32, kLargest = 64 << 10, kArena = 1 << 20;
// Where the kernel gives no more memory, or no more mappings, this is left to get out of what is being done.
constexpr size_t kReserve = 128 << 10;
constexpr int kClasses = 12;  // 32 bytes to 64 KiB

struct FreeBlock {
  FreeBlock* next;
};
FreeBlock* free_lists[kClasses];
uint8_t* arena = nullptr;
size_t arena_left = 0;

struct Header {
  size_t bytes;   // whole mapping when larger than kLargest, else the class size
  size_t padding;
};
static_assert(sizeof(Header) == 16);

int class_of(size_t bytes) {
  int c = 0;
  for (size_t size = kSmallest; size < bytes; size <<= 1) c++;
  return c;
}

// A vfork child may be killed between any two steps; then a block is lost at worst.
void in_this_order() { std::atomic_signal_fence(std::memory_order_seq_cst); }

[[noreturn]] void die_without_memory() {
  report("the host has no memory for the monitor");
  raw(SYS_kill, static_cast<uint64_t>(raw(SYS_getpid)), SIGKILL);
  raw(SYS_exit_group, 128 + SIGKILL);
  __builtin_unreachable();
}

void* pages(size_t bytes) {
  int64_t memory = raw(SYS_mmap, 0, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, ~0ull, 0);
  return is_error(memory) ? nullptr : reinterpret_cast<void*>(memory);
}

}  // namespace

Lock& heap_lock() {
  static Lock lock;
  return lock;
}

void* heap_allocate(size_t wanted) {
  size_t bytes = wanted + sizeof(Header);
  if (bytes > kLargest) {
    bytes = (bytes + 4095) & ~static_cast<size_t>(4095);
    auto* header = static_cast<Header*>(pages(bytes));
    if (!header) die_without_memory();
    header->bytes = bytes;
    return header + 1;
  }
  int c = class_of(bytes);
  Guard guard(heap_lock());
  if (FreeBlock* block = free_lists[c]) {
    free_lists[c] = block->next;
    auto* header = reinterpret_cast<Header*>(block);
    header->bytes = kSmallest << c;
    return header + 1;
  }
  size_t size = kSmallest << c;
  if (arena_left < size + kReserve) {
    if (auto* fresh = static_cast<uint8_t*>(pages(kArena))) {
      arena_left = 0;
      in_this_order();
      arena = fresh;
      in_this_order();
      arena_left = kArena;
    } else if (arena_left < size) {
      die_without_memory();
    }
  }
  auto* header = reinterpret_cast<Header*>(arena);
  arena_left -= size;
  in_this_order();
  arena += size;
  header->bytes = size;
  return header + 1;
}

void heap_release(void* memory) {
  if (!memory) return;
  Header* header = static_cast<Header*>(memory) - 1;
  if (header->bytes > kLargest) {
    raw(SYS_munmap, arg(header), header->bytes);
    return;
  }
  int c = class_of(header->bytes);
  Guard guard(heap_lock());
  auto* block = reinterpret_cast<FreeBlock*>(header);
  block->next = free_lists[c];
  in_this_order();
  free_lists[c] = block;
}

}  // namespace tine

void* operator new(size_t bytes) { return tine::heap_allocate(bytes); }
void* operator new[](size_t bytes) { return tine::heap_allocate(bytes); }
void* operator new(size_t bytes, const std::nothrow_t&) noexcept { return tine::heap_allocate(bytes); }
void operator delete(void* memory) noexcept { tine::heap_release(memory); }
void operator delete[](void* memory) noexcept { tine::heap_release(memory); }
void operator delete(void* memory, size_t) noexcept { tine::heap_release(memory); }
void operator delete[](void* memory, size_t) noexcept { tine::heap_release(memory); }
