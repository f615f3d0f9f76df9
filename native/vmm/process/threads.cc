#include "process/threads.h"

#include <linux/futex.h>
#include <signal.h>
#include <sys/mman.h>

#include <new>

#include "host/alloc.h"
#include "kvm/answers.h"
#include "host/raw.h"
#include "host/report.h"
#include "kvm/vcpu.h"
#include "memory/address_space.h"
#include "memory/guest_copy.h"

namespace tine {
namespace {

// All monitor stacks ever made, in use or free. A block is free when nobody listed it and its host thread is gone.
struct Block {
  Block* next;
  uint32_t alive;
  bool used;
  bool ownerless;  // of a task in another process: nobody here waits for its end
  uint8_t* base;
};
Block* blocks = nullptr;
Lock blocks_lock;

uint8_t* map_block() {
  int64_t memory = raw(SYS_mmap, 0, 2 * kMonitorStack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, ~0ull, 0);
  if (is_error(memory)) return nullptr;
  uint64_t start = static_cast<uint64_t>(memory);
  uint64_t base = (start + kMonitorStack - 1) & ~(kMonitorStack - 1);
  if (base > start) raw(SYS_munmap, start, base - start);
  raw(SYS_munmap, base + kMonitorStack, start + kMonitorStack - base);
  return reinterpret_cast<uint8_t*>(base);
}

Block* block_of(Thread* thread) {
  for (Block* b = blocks; b; b = b->next)
    if (b->base == thread->stack_block) return b;
  return nullptr;
}

}  // namespace

bool is_left_stack(uint32_t number) {
  // Blocks are only ever added, and each in one piece.
  for (Block* b = __atomic_load_n(&blocks, __ATOMIC_ACQUIRE); b; b = b->next)
    if (stack_number(arg(b->base)) == number) return __atomic_load_n(&b->alive, __ATOMIC_ACQUIRE) == 0;
  return false;
}

void die_of_broken_state(const char* why) {
  report("%s", why);
  raw(SYS_kill, static_cast<uint64_t>(raw(SYS_getpid)), SIGKILL);
  raw(SYS_exit_group, 128 + SIGKILL);
  __builtin_unreachable();
}

void release_locks_of(Thread& gone, Process& process) {
  const uint32_t number = stack_number(arg(gone.stack_block));
  for (Lock* lock : {&process.space->lock, &process.handlers->lock, &process.threads_lock, &blocks_lock, &heap_lock()}) lock->release_of(number);
  process.space->vm.release_lock_of(number);
}

Thread* new_thread_block() {
  Guard guard(blocks_lock);
  Block* found = nullptr;
  for (Block* b = blocks; b && !found; b = b->next)
    if (!b->used && __atomic_load_n(&b->alive, __ATOMIC_ACQUIRE) == 0) found = b;
  if (!found) {
    uint8_t* base = map_block();
    if (!base) return nullptr;
    found = new Block{blocks, 0, false, false, base};
    __atomic_store_n(&blocks, found, __ATOMIC_RELEASE);
  }
  found->used = true;
  found->ownerless = false;
  found->alive = 1;
  auto* thread = new (found->base) Thread();
  thread->stack_block = found->base;
  return thread;
}

void release_thread_block(Thread* thread) {
  Guard guard(blocks_lock);
  if (Block* b = block_of(thread)) {
    b->used = false;
    b->alive = 0;
  }
}

void disown_thread_block(Thread* thread) {
  Guard guard(blocks_lock);
  if (Block* b = block_of(thread)) b->ownerless = true;
}

Thread* ended_ownerless_thread() {
  Guard guard(blocks_lock);
  for (Block* b = blocks; b; b = b->next)
    if (b->used && b->ownerless && __atomic_load_n(&b->alive, __ATOMIC_ACQUIRE) == 0) {
      b->ownerless = false;
      return reinterpret_cast<Thread*>(b->base);
    }
  return nullptr;
}

bool has_thread_blocks(const Process* process) {
  Guard guard(blocks_lock);
  for (Block* b = blocks; b; b = b->next)
    if (b->used && reinterpret_cast<Thread*>(b->base)->process == process) return true;
  return false;
}

uint32_t* alive_word(Thread* thread) {
  Guard guard(blocks_lock);
  Block* b = block_of(thread);
  return b ? &b->alive : nullptr;
}

void abandon_thread_block(Thread* thread) {
  Guard guard(blocks_lock);
  if (Block* b = block_of(thread)) b->used = false;
}

void forget_other_threads(Thread& survivor) {
  for (Block* b = blocks; b; b = b->next) {
    if (b->base == survivor.stack_block) continue;
    b->used = false;
    b->alive = 0;
  }
  survivor.next = nullptr;
  survivor.process->threads = &survivor;
  survivor.process->thread_count.store(1);
}

void inherit_process_state(Process& child, const Process& parent) {
  child.own() = parent.own();
  child.kvm_fd = parent.kvm_fd;
  child.self_fd = parent.self_fd;
  child.exe_fd = parent.exe_fd;
  child.log_fd = parent.log_fd;
  child.stack_limit = parent.stack_limit;
  child.nofile_limit = parent.nofile_limit;
  child.host_nofile.set = parent.host_nofile.set;
  child.as_limit = parent.as_limit;
  child.data_limit = parent.data_limit;
  child.core_limit = parent.core_limit;
  child.exe_path = parent.exe_path;
  for (int i = 0; i < parent.auxv_words; i++) child.auxv[i] = parent.auxv[i];
  child.auxv_words = parent.auxv_words;
  child.container_seccomp = parent.container_seccomp;
  child.jailed = parent.jailed;
  child.personality = parent.personality;
  child.dumpable = parent.dumpable;
  child.host_filter = parent.host_filter;
  child.fork_strategy = parent.fork_strategy;
  child.translated = parent.translated;
  child.translators = parent.translators;
  child.exitless = parent.exitless;
  child.huge_pages = parent.huge_pages;
  child.cores = parent.cores;
  child.vdso_layout = parent.vdso_layout;
  child.loader_sites = parent.loader_sites;
  child.proc_fd = parent.proc_fd;
  child.code_store_fd = parent.code_store_fd;
  child.may_be_mapped = parent.may_be_mapped;
  child.load_fd = parent.load_fd;
  child.memory_files.store(parent.memory_files.load());
  child.text_files.store(parent.text_files.load());
}

void list_thread(Thread& thread) {
  Process& p = *thread.process;
  Guard guard(p.threads_lock);
  thread.next = p.threads;
  p.threads = &thread;
}

void unlist_thread(Thread& thread) {
  Process& p = *thread.process;
  {
    Guard guard(p.threads_lock);
    for (Thread** at = &p.threads; *at; at = &(*at)->next)
      if (*at == &thread) {
        *at = thread.next;
        break;
      }
  }
  abandon_thread_block(&thread);
}

void clear_child_tid(Thread& thread) {
  take_notes(thread);
  if (!thread.clear_child_tid.v) return;
  uint32_t zero = 0;
  if (put(thread.clear_child_tid, zero))
    raw(SYS_futex, to_host(thread.clear_child_tid).v, FUTEX_WAKE, 1, 0, 0, 0);
  thread.clear_child_tid = {0};
}

namespace {

// kernel/futex/core.c, handle_futex_death(): the owner is gone, wake one waiter.
void release_futex(Thread& thread, GuestAddr word, bool priority_inheritance, bool pending) {
  if (word.v & 3) return;
  uint32_t value;
  if (!get(value, word)) return;
  auto* host = to_host(word).ptr<uint32_t>();
  for (;;) {
    if (pending && !priority_inheritance && (value & FUTEX_TID_MASK) == 0) {
      raw(SYS_futex, arg(host), FUTEX_WAKE, 1, 0, 0, 0);
      return;
    }
    if ((value & FUTEX_TID_MASK) != static_cast<uint32_t>(thread.tid)) return;
    uint32_t dead = (value & FUTEX_WAITERS) | FUTEX_OWNER_DIED;
    if (__atomic_compare_exchange_n(host, &value, dead, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) break;
  }
  if (!priority_inheritance && (value & FUTEX_WAITERS)) raw(SYS_futex, arg(host), FUTEX_WAKE, 1, 0, 0, 0);
}

struct RobustHead {
  uint64_t next, offset, pending;
};

}  // namespace

void leave_robust_list(Thread& thread) {
  take_notes(thread);
  GuestAddr head_at = thread.robust_list;
  thread.robust_list = {0};
  RobustHead head;
  if (!head_at.v || !get(head, head_at)) return;
  constexpr int kLimit = 2048;  // ROBUST_LIST_LIMIT
  uint64_t entry = head.next;
  for (int i = 0; i < kLimit && (entry & ~1ull) != head_at.v; i++) {
    uint64_t next;
    bool read = get(next, {entry & ~1ull});
    if (entry != head.pending) release_futex(thread, {(entry & ~1ull) + head.offset}, entry & 1, false);
    if (!read) break;
    entry = next;
  }
  if (head.pending) release_futex(thread, {(head.pending & ~1ull) + head.offset}, head.pending & 1, true);
}

void leave_robust_lists(Process& process) {
  for (Thread* t = process.threads; t; t = t->next) leave_robust_list(*t);
}

void lock_for_fork(Thread& thread) {
  Process& p = *thread.process;
  p.space->lock.lock();
  p.space->vm.lock_for_fork();
  p.handlers->lock.lock();
  p.threads_lock.lock();
  blocks_lock.lock();
  p.host_nofile.lock.lock();
  heap_lock().lock();
}

void unlock_after_fork(Thread& thread) {
  Process& p = *thread.process;
  heap_lock().unlock();
  p.host_nofile.lock.unlock();
  blocks_lock.unlock();
  p.space->vm.unlock_after_fork();
  p.space->lock.unlock();
  p.threads_lock.unlock();
  p.handlers->lock.unlock();
}

}  // namespace tine
