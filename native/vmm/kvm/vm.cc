#include "kvm/vm.h"

#include <sys/mman.h>

#include <cerrno>

#include "arch/arch.h"
#include "host/raw.h"
#include "memory/address_space.h"
#include "process/descriptors.h"
#include "process/thread.h"
#include "syscall/descriptor_gate.h"

namespace tine {
namespace {

uint64_t run_bytes = 0;

// Making a machine waits for kernel threads of KVM's own, and a signal that arrives meanwhile interrupts that.
int64_t make(int fd, unsigned long request, uint64_t argument) {
  for (;;) {
    const int64_t made = raw(SYS_ioctl, static_cast<uint64_t>(fd), request, argument);
    if (made != -EINTR) return made;
  }
}

}  // namespace

uint64_t kvm_run_bytes(int kvm_fd) {
  if (!run_bytes) run_bytes = static_cast<uint64_t>(raw(SYS_ioctl, static_cast<uint64_t>(kvm_fd), KVM_GET_VCPU_MMAP_SIZE, 0));
  return run_bytes;
}

int64_t Vm::create(Process& process) {
  RoomForDescriptors room(process);
  int64_t made = make(process.kvm_fd, KVM_CREATE_VM, arch_machine_type(process.kvm_fd));
  if (is_error(made)) return made;
  int64_t owned = own_descriptor(process, static_cast<int>(made), kVmPlace, true);
  if (is_error(owned)) return owned;
  fd = static_cast<int>(owned);
  next_slot_ = 0;
  next_index_ = 0;
  own_roots.store(0);
  parked_ = nullptr;
  return 0;
}

int64_t Vm::add_slot(GuestPhys at, HostAddr memory, uint64_t bytes) {
  kvm_userspace_memory_region region{};
  region.slot = next_slot_++;
  region.guest_phys_addr = at.v;
  region.memory_size = bytes;
  region.userspace_addr = memory.v;
  int64_t result = raw(SYS_ioctl, static_cast<uint64_t>(fd), KVM_SET_USER_MEMORY_REGION, arg(&region));
  return is_error(result) ? result : 0;
}

Vcpu* Vm::acquire(Process& process, int64_t& error) {
  Guard guard(lock_);
  error = 0;
  if (Vcpu* vcpu = parked_) {
    parked_ = vcpu->next_parked;
    vcpu->run->immediate_exit = 0;
    return vcpu;
  }
  int64_t owned = -EEXIST;
  uint32_t index = 0;
  while (owned == -EEXIST) {
    if (next_index_ >= kMaxVcpus) {
      error = -EAGAIN;
      return nullptr;
    }
    // KVM hands out the lowest free number: no guest call may take or free one meanwhile.
    bool threaded = process.thread_count.load() > 1;
    if (threaded) process.descriptor_gate.close();
    RoomForDescriptors room(process);
    int64_t made = -EMFILE;
    // One that could not be made whole keeps its number: KVM cannot destroy a vCPU alone.
    if (next_index_ == 0 || has_room_for_vcpu(process)) made = make(fd, KVM_CREATE_VCPU, index = next_index_++);
    owned = is_error(made) ? made : own_descriptor(process, static_cast<int>(made), kVcpuPlace, true);
    if (threaded) process.descriptor_gate.open();
  }
  if (is_error(owned)) {
    error = owned == -EINVAL ? -EAGAIN : owned;
    return nullptr;
  }
  const uint64_t run_size = kvm_run_bytes(process.kvm_fd);
  const int64_t mapped = raw(SYS_mmap, 0, run_size, PROT_READ | PROT_WRITE, MAP_SHARED, static_cast<uint64_t>(owned), 0);
  auto* vcpu = new Vcpu;
  vcpu->fd = static_cast<int>(owned);
  vcpu->index = index;
  vcpu->run_bytes = run_size;
  error = is_error(mapped) ? mapped : 0;
  if (!error) {
    vcpu->run = reinterpret_cast<kvm_run*>(mapped);
    vcpu->block_offset = (kSharedCpuPages + index * kVcpuPages) * kPage;
    vcpu->block = kernel_area + vcpu->block_offset;
    own_roots.store(index + 1);
    error = arch_prepare_vcpu(*vcpu, vcpu->block, vcpu->block_offset, root);
  }
  if (error) {
    if (vcpu->run) raw(SYS_munmap, arg(vcpu->run), run_size);
    raw(SYS_close, static_cast<uint64_t>(owned));
    process.own().remove(static_cast<int>(owned));
    delete vcpu;
    return nullptr;
  }
  const Lock::Change change(lock_);
  all_.push_back(vcpu);
  return vcpu;
}

void Vm::park(Vcpu* vcpu) {
  Guard guard(lock_);
  vcpu->next_parked = parked_;
  parked_ = vcpu;
}

void Vm::abandon(Process& process, bool close_descriptors) {
  auto drop = [&](int number) {
    if (!close_descriptors) return;  // they stay hidden from the guest
    raw(SYS_close, static_cast<uint64_t>(number));
    process.own().remove(number);
  };
  for (Vcpu* vcpu : all_) {
    raw(SYS_munmap, arg(vcpu->run), vcpu->run_bytes);
    drop(vcpu->fd);
    delete vcpu;
  }
  all_.clear();
  parked_ = nullptr;
  if (fd >= 0) drop(fd);
  fd = -1;
}

void Vm::renumber(int from, int to) {
  for (Vcpu* vcpu : all_)
    if (vcpu->fd == from) vcpu->fd = to;
}

void Vm::lock_for_fork() { lock_.lock(); }
void Vm::unlock_after_fork() { lock_.unlock(); }

}  // namespace tine
