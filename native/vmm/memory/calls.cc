// The memory system calls: arguments in, AddressSpace asked, result out.
#include <linux/membarrier.h>
#include <linux/mempolicy.h>

#include <cerrno>

#include "memory/address_space.h"
#include "memory/guest_copy.h"
#include "memory/write_key.h"
#include "process/thread.h"
#include "syscall/call.h"
#include "syscall/handlers.h"

namespace tine {
namespace {
AddressSpace& space(Call& c) { return *c.thread.process->space; }
constexpr uint64_t kKnownProt = PROT_READ | PROT_WRITE | PROT_EXEC;
constexpr uint64_t kProtSem = 8, kProtGrowsDown = 0x01000000, kProtGrowsUp = 0x02000000;
}  // namespace

int64_t sys_mmap(Call& c) {
  if (c.a[5] & (kPage - 1)) return -EINVAL;
  MapRequest q;
  q.address = c.a[0];
  q.bytes = c.a[1];
  q.prot = static_cast<uint32_t>(c.a[2] & kKnownProt);
  q.flags = static_cast<int>(c.a[3]);
  q.fd = q.flags & MAP_ANONYMOUS ? -1 : c.fd(4);
  q.offset = q.flags & MAP_ANONYMOUS ? 0 : c.a[5];
  if (!(q.flags & MAP_ANONYMOUS) && c.thread.process->owns(q.fd)) return -EBADF;
  // READ_IMPLIES_EXEC, as the kernel applies it.
  if ((c.thread.process->personality & 0x0400000) && (q.prot & PROT_READ)) q.prot |= PROT_EXEC;
  q.by_loader = space(c).call_sites.original(guest_ip(c.thread)) - space(c).loader_start < space(c).loader_end - space(c).loader_start;
  Process& p = *c.thread.process;
  if ((q.flags & MAP_ANONYMOUS) || !(q.flags & MAP_DENYWRITE) || !space(c).stores_code()) return space(c).map(c.thread, q);
  // What is mapped and what is found in the store must be one file.
  q.keeps_fd = !p.shares_files;
  if (p.thread_count.load() == 1) return space(c).map(c.thread, q);
  const ExclusiveDescriptors exclusive(p.descriptor_gate);
  return space(c).map(c.thread, q);
}

int64_t sys_munmap(Call& c) { return space(c).unmap(c.a[0], c.a[1]); }

int64_t sys_mprotect(Call& c) {
  uint64_t prot = c.a[2];
  if (prot & ~(kKnownProt | kProtSem | kProtGrowsDown | kProtGrowsUp)) return -EINVAL;
  if ((prot & kProtGrowsDown) && (prot & kProtGrowsUp)) return -EINVAL;
  return space(c).protect(c.thread, c.a[0], c.a[1], static_cast<uint32_t>(prot & kKnownProt), prot & kProtGrowsDown, prot & kProtGrowsUp);
}

int64_t sys_pkey_mprotect(Call& c) {
  // Without protection keys only key -1 exists.
  if (static_cast<int>(c.a[3]) != -1) return -EINVAL;
  return sys_mprotect(c);
}

int64_t sys_mremap(Call& c) { return space(c).remap(c.thread, c.a[0], c.a[1], c.a[2], static_cast<int>(c.a[3]), c.a[4]); }
int64_t sys_brk(Call& c) { return space(c).set_break(c.thread, c.a[0]); }
int64_t sys_madvise(Call& c) { return space(c).advise(c.a[0], c.a[1], static_cast<int>(c.a[2])); }

// Ranges the host answers for by itself: mapped or ENOMEM, with the mirrored mapping as truth. What the guest does not know
// is a hole in them.
static int64_t pass_range(Call& c, long number, uint64_t third) {
  if (c.a[0] && !guest_range_ok(c.a[0], 0)) return -ENOMEM;
  if (c.a[1] && !guest_range_ok(c.a[0], c.a[1])) return -ENOMEM;
  if (space(c).has_hidden(c.a[0], c.a[1])) return -ENOMEM;
  return host_call(c.thread, number, hp(c.ptr(0)), c.a[1], third);
}

static int64_t lock_range(Call& c, long number, uint64_t third, bool on) {
  const uint64_t start = c.a[0] & ~(kPage - 1), bytes = (c.a[1] + c.a[0] - start + kPage - 1) & ~(kPage - 1);
  if (start + bytes < start) return -EINVAL;
  const int64_t result = pass_range(c, number, third);
  return result ? result : space(c).lock_pages(c.a[0], c.a[1], on);
}

// Locking brings in what is writable on the host by writing to it.
int64_t sys_mlock(Call& c) {
  const OpenWriteKey key;
  return lock_range(c, SYS_mlock, 0, true);
}
int64_t sys_mlock2(Call& c) {
  if (static_cast<uint32_t>(c.a[2]) & ~static_cast<uint32_t>(MLOCK_ONFAULT)) return -EINVAL;
  const OpenWriteKey key;
  return lock_range(c, SYS_mlock2, c.a[2], true);
}
int64_t sys_munlock(Call& c) { return lock_range(c, SYS_munlock, 0, false); }
int64_t sys_mincore(Call& c) {
  if (c.a[0] & (kPage - 1)) return -EINVAL;
  return pass_range(c, SYS_mincore, hp(c.ptr(2)));
}
int64_t sys_msync(Call& c) {
  constexpr uint64_t kKnown = MS_ASYNC | MS_INVALIDATE | MS_SYNC;
  const uint64_t flags = static_cast<uint32_t>(c.a[2]);
  if (flags & ~kKnown || c.a[0] & (kPage - 1) || (flags & MS_ASYNC && flags & MS_SYNC)) return -EINVAL;
  return pass_range(c, SYS_msync, c.a[2]);
}

// Whether RLIMIT_MEMLOCK does not hold for this process: asked of the kernel, which alone knows whose privileges count.
static bool may_lock_beyond(uint64_t limit) {
  if (limit >= kGuestEnd) return true;
  const uint64_t bytes = (limit & ~(kPage - 1)) + kPage;
  const int64_t probe = raw(SYS_mmap, 0, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, ~0ull, 0);
  if (is_error(probe)) return false;
  const int64_t locked = raw(SYS_mlock2, probe, bytes, MLOCK_ONFAULT);
  raw(SYS_munmap, probe, bytes);
  return !is_error(locked);
}

int64_t sys_mlockall(Call& c) {
  constexpr uint64_t kCurrent = 1, kFuture = 2, kOnFault = 4;
  uint64_t flags = c.a[0];
  if (!flags || (flags & ~(kCurrent | kFuture | kOnFault)) || flags == kOnFault) return -EINVAL;
  // Locking "all" on the host would lock the monitor too: the guest's mappings are locked one by one.
  rlimit64 limit{};
  raw(SYS_prlimit64, 0, RLIMIT_MEMLOCK, 0, arg(&limit));
  AddressSpace& s = space(c);
  if (!may_lock_beyond(limit.rlim_cur)) {
    if (limit.rlim_cur == 0) return -EPERM;
    if ((flags & kCurrent) && s.mapped_bytes() > limit.rlim_cur) return -ENOMEM;
  }
  const OpenWriteKey key;
  if (flags & kCurrent)
    s.for_each([&](Vma& vma) {
      if (vma.flags & (kVmaVdso | kVmaVvar) || !vma.prot) return;
      if (!is_error(raw(SYS_mlock2, to_host({vma.start}).v, vma.bytes(), flags & kOnFault ? 1 : 0))) vma.flags |= kVmaLocked;
    });
  using Future = AddressSpace::LockFuture;
  s.lock_future = !(flags & kFuture) ? Future::kNo : flags & kOnFault ? Future::kOnFault : Future::kAtOnce;
  return 0;
}

int64_t sys_munlockall(Call& c) {
  AddressSpace& s = space(c);
  s.lock_future = AddressSpace::LockFuture::kNo;
  s.for_each([](Vma& vma) {
    if (!(vma.flags & kVmaLocked)) return;
    raw(SYS_munlock, to_host({vma.start}).v, vma.bytes());
    vma.flags &= ~kVmaLocked;
  });
  return 0;
}

// What the monitor registered for its own sake (AddressSpace::write_code) is nothing that the guest did.
int64_t sys_membarrier(Call& c) {
  constexpr int kGetRegistrations = 1 << 9;  // MEMBARRIER_CMD_GET_REGISTRATIONS, newer than the C library's header
  AddressSpace& s = space(c);
  const int command = static_cast<int>(c.a[0]);
  constexpr uint64_t kPrivate = MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED;
  constexpr uint64_t kSyncCore = MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE;
  if (command == MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE && !c.a[1] && !(s.membarriers & kSyncCore)) return -EPERM;
  if (command == MEMBARRIER_CMD_PRIVATE_EXPEDITED && !c.a[1] && !s.membarriers) return -EPERM;
  const int64_t result = host_call(c.thread, SYS_membarrier, c.a[0], c.a[1], c.a[2]);
  if (is_error(result)) return result;
  // Each private registration is the plain one as well, for GET_REGISTRATIONS.
  if (command == kPrivate) s.membarriers |= kPrivate;
  if (command == kSyncCore) s.membarriers |= kSyncCore | kPrivate;
  return command == kGetRegistrations ? result & ~static_cast<int64_t>((kPrivate | kSyncCore) & ~s.membarriers) : result;
}

// Which page of the file lies where is the host mapping's affair alone: the guest's protections stay.
int64_t sys_remap_file_pages(Call& c) {
  if (!guest_range_ok(c.a[0], c.a[1])) return -EINVAL;
  return raw(SYS_remap_file_pages, hp(c.ptr(0)), c.a[1], c.a[2], c.a[3], c.a[4]);
}

int64_t sys_mbind(Call& c) {
  if (c.a[1] && !guest_range_ok(c.a[0], c.a[1])) {
    if ((c.a[0] & (kPage - 1)) == 0 && c.a[0] + c.a[1] < c.a[0]) return -EINVAL;
    // What else may be wrong comes first: an empty range has it looked at.
    const int64_t result = host_call(c.thread, SYS_mbind, hp({c.a[0] & (kPage - 1)}), 0, c.a[2], hp(c.ptr(3)), c.a[4], c.a[5]);
    return result ? result : -EFAULT;
  }
  return host_call(c.thread, SYS_mbind, hp(c.ptr(0)), c.a[1], c.a[2], hp(c.ptr(3)), c.a[4], c.a[5]);
}

int64_t sys_process_madvise(Call&) {
  // Acts on another monitor, whose tables this one does not hold.
  return -EPERM;
}

int64_t sys_shmat(Call& c) { return space(c).attach_sysv(c.thread, c.fd(0), c.a[1], static_cast<int>(c.a[2])); }
int64_t sys_shmdt(Call& c) { return space(c).detach_sysv(c.a[0]); }

}  // namespace tine
