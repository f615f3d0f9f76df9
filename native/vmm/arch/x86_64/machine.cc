// Makes a vCPU that runs Linux user code: descriptor tables, control registers, MSRs, CPUID.
#include "arch/x86_64/machine.h"

#include <cpuid.h>
#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>

#include "arch/arch.h"
#include "host/raw.h"
#include "kvm/vcpu.h"

extern "C" const uint8_t tine_stub[], tine_stub_end[], tine_exception_stubs[], tine_exception_stubs_end[];

namespace tine {
namespace {

constexpr uint64_t va(uint64_t page) { return kKernelVirtual + page * kPage; }

// Segment descriptors, SDM 3A 3.4.5: type, S, DPL, P, L, D/B, G packed for a flat segment.
constexpr uint64_t descriptor(uint64_t type, uint64_t dpl, bool code64, bool size32) {
  return 0x000f'0000'0000'ffffull | (type << 40) | (1ull << 44) | (dpl << 45) | (1ull << 47) |
         (static_cast<uint64_t>(code64) << 53) | (static_cast<uint64_t>(size32) << 54) | (1ull << 55);
}


// In C++ some headers give kvm_cpuid2 and kvm_msrs a flexible array that counts in sizeof, which is part of the request
// number: the structures are laid out and the requests made by hand.
constexpr uint64_t kGetSupportedCpuid = _IOWR(KVMIO, 0x05, uint64_t), kSetCpuid2 = _IOW(KVMIO, 0x90, uint64_t),
                   kGetCpuid2 = _IOWR(KVMIO, 0x91, uint64_t), kSetMsrs = _IOW(KVMIO, 0x89, uint64_t);
struct CpuidBuffer {
  uint32_t count = 0, padding = 0;
  kvm_cpuid_entry2 entries[256];
};
// What KVM says of the processor. A program that is executed next need not ask again.
struct Processor {
  uint64_t enabled_xcr0 = 0;
  bool known = false, exits_are_dear = false;
  CpuidBuffer cpuid;
};
Processor processor;
CpuidBuffer& cpuid_table = processor.cpuid;
uint64_t& enabled_xcr0 = processor.enabled_xcr0;

uint64_t host_xcr0() {
  uint32_t low, high;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (static_cast<uint64_t>(high) << 32) | low;
}

const kvm_cpuid_entry2* find_leaf(uint32_t function, uint32_t index) {
  for (uint32_t i = 0; i < cpuid_table.count; i++)
    if (cpuid_table.entries[i].function == function && cpuid_table.entries[i].index == index) return &cpuid_table.entries[i];
  return nullptr;
}

constexpr uint32_t bit_HYPERVISOR = 1u << 31, bit_VMX = 1u << 5, bit_SVM = 1u << 2;

// Whether KVM here can be VMX or SVM: where it is not, inside a machine of somebody else's, it is PVM. `features`: leaf 1, ecx.
bool has_virtualization(uint32_t features) {
  if (features & bit_VMX) return true;
  const kvm_cpuid_entry2* vendor = find_leaf(0, 0);
  if (vendor && vendor->ebx == signature_INTEL_ebx) return false;
  uint32_t a, b, c, d;
  __cpuid(0x80000001, a, b, c, d);
  return c & bit_SVM;
}

int64_t load_cpuid(int kvm_fd) {
  if (processor.known) return 0;
  cpuid_table.count = 256;
  int64_t result = raw(SYS_ioctl, kvm_fd, kGetSupportedCpuid, arg(&cpuid_table));
  if (is_error(result)) return result;
  uint64_t supported = 7;
  if (const kvm_cpuid_entry2* leaf = find_leaf(0xd, 0)) supported = (static_cast<uint64_t>(leaf->edx) << 32) | leaf->eax;
  // AMX (17, 18) wants a permission per process, MPX (3, 4) and PKRU (9) have no kernel side here.
  enabled_xcr0 = supported & host_xcr0() & ~((3ull << 17) | (3ull << 3) | (1ull << 9));
  for (uint32_t i = 0; i < cpuid_table.count; i++) {
    kvm_cpuid_entry2& entry = cpuid_table.entries[i];
    if (entry.function == 1) {
      uint32_t a, b, c, d;
      __cpuid(1, a, b, c, d);
      processor.exits_are_dear = (c & bit_HYPERVISOR) && !has_virtualization(c);
      entry.ebx = (entry.ebx & 0x0000ffff) | (b & 0xffff0000);
      entry.ecx |= 1u << 27;  // OSXSAVE
    }
    if (entry.function == 7 && entry.index == 0) {
      // No protection keys (pkey_alloc answers ENOSPC), no shadow stacks, no AMX, no MPX, no TSX.
      entry.ecx &= ~((1u << 3) | (1u << 4) | (1u << 7));
      entry.edx &= ~((1u << 20) | (1u << 22) | (1u << 24) | (1u << 25));
      entry.ebx &= ~((1u << 14) | (1u << 4) | (1u << 11));
    }
    if (entry.function == 0x80000001) {
      uint32_t a, b, c, d;
      __cpuid(0x80000001, a, b, c, d);
      entry.ecx |= c & bit_ABM;
    }
    // KVM leaves the processor's name to whoever makes the machine.
    if (entry.function >= 0x80000002 && entry.function <= 0x80000004)
      __cpuid(entry.function, entry.eax, entry.ebx, entry.ecx, entry.edx);
  }
  processor.known = true;
  return 0;
}

kvm_segment segment(uint16_t selector, uint8_t type, uint8_t dpl, bool code64) {
  kvm_segment s{};
  s.limit = 0xffffffff;
  s.selector = selector;
  s.type = type;
  s.present = 1;
  s.dpl = dpl;
  s.db = code64 ? 0 : 1;
  s.s = 1;
  s.l = code64;
  s.g = 1;
  return s;
}

}  // namespace

kvm_segment user_code_segment() { return segment(USER_CS, 0xb, 3, true); }
kvm_segment user_data_segment() { return segment(USER_DS, 0x3, 3, false); }

bool arch_exits_are_dear() { return processor.exits_are_dear; }
int64_t arch_ask_processor(int kvm_fd) { return load_cpuid(kvm_fd); }
std::span<const uint8_t> arch_processor() {
  return {reinterpret_cast<const uint8_t*>(&processor), offsetof(Processor, cpuid.entries) + cpuid_table.count * sizeof *cpuid_table.entries};
}
void arch_take_processor(std::span<const uint8_t> known) { std::memcpy(&processor, known.data(), std::min(known.size(), sizeof processor)); }

uint64_t x86_enabled_xcr0() { return enabled_xcr0; }

KernelPage arch_kernel_page(uint64_t index) {
  if (index < kSharedCpuPages) return {false, index == kExceptionPage};
  return {false, false};
}

namespace {

// The page tables of one vCPU: the root that all share, but for what stands at kSelfVirtual.
GuestPhys own_root(const Vcpu& vcpu, uint8_t* block, uint64_t block_offset, GuestPhys root) {
  auto table = [&](uint64_t page) { return reinterpret_cast<uint64_t*>(block + page * kPage); };
  auto phys = [&](uint64_t page) { return GuestPhys{block_offset + page * kPage}; };
  std::memset(block + kSelfTables * kPage, 0, 3 * kPage);
  table(kSelfTables)[0] = table_entry(phys(kSelfTables + 1));
  table(kSelfTables + 1)[0] = table_entry(phys(kSelfTables + 2));
  table(kSelfTables + 2)[0] = kernel_entry(phys(kStubPage), true, true);
  table(kSelfTables + 2)[1] = kernel_entry(phys(kPostPage), true, false);
  table(kSelfTables + 2)[2] = kernel_entry({kWaitersPage * kPage}, true, false);
  auto* shared = reinterpret_cast<uint64_t*>(block - block_offset + root.v);
  const uint64_t self = table_entry(phys(kSelfTables));
  if (vcpu.index == 0) {
    shared[kSelfRootIndex] = self;
    return root;
  }
  // Whoever adds an entry to the shared root now adds it to this one too (memory/page_tables.cc).
  uint64_t* own = table(kOwnRootPage);
  for (uint64_t i = 0; i < 512; i++)
    __atomic_store_n(&own[i], i == kSelfRootIndex ? self : __atomic_load_n(&shared[i], __ATOMIC_ACQUIRE), __ATOMIC_RELEASE);
  return phys(kOwnRootPage);
}

}  // namespace

void arch_prepare_shared(uint8_t* shared) {
  std::memcpy(shared + kExceptionPage * kPage, tine_exception_stubs, tine_exception_stubs_end - tine_exception_stubs);
  // IDT gates, SDM 3A 6.14.1: 64-bit interrupt gates; int3 and into may come from user mode.
  auto* idt = reinterpret_cast<uint64_t*>(shared + kDescriptorPage * kPage + kIdtOffset);
  for (uint64_t vector = 0; vector < 32; vector++) {
    uint64_t target = va(kExceptionPage) + vector * 16;
    uint64_t dpl = vector == X86_TRAP_BP || vector == X86_TRAP_OF ? 3 : 0;
    idt[vector * 2] = (target & 0xffff) | (static_cast<uint64_t>(KERNEL_CS) << 16) | (0xeull << 40) | (dpl << 45) |
                      (1ull << 47) | ((target & 0xffff0000) << 32);
    idt[vector * 2 + 1] = target >> 32;
  }
}

namespace {

// What cpuid answers in the machine, as KVM says once the control registers are set, on which some bits depend.
void put_cpuid_answers(Vcpu& vcpu, uint8_t* stub) {
  static CpuidAnswer answers[kMostCpuidAnswers + 1];
  static uint32_t count = 0;
  if (!count) {
    CpuidBuffer buffer;
    buffer.count = sizeof buffer.entries / sizeof *buffer.entries;
    if (!is_error(raw(SYS_ioctl, vcpu.fd, kGetCpuid2, arg(&buffer)))) {
      for (uint32_t i = 0; i < buffer.count && count < kMostCpuidAnswers; i++) {
        const kvm_cpuid_entry2& e = buffer.entries[i];
        const uint32_t index = e.flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX ? e.index : kCpuidAny;
        answers[count++] = {e.function, index, e.eax, e.ebx, e.ecx, e.edx};
      }
    }
    answers[count++].index = kCpuidEnd;
  }
  std::memcpy(stub + kCpuidTable, answers, count * sizeof *answers);
}

}  // namespace

int64_t arch_prepare_vcpu(Vcpu& vcpu, uint8_t* block, uint64_t block_offset, GuestPhys root) {
  int kvm_fd = current().process->kvm_fd;
  if (int64_t result = load_cpuid(kvm_fd)) return result;
  int64_t result = raw(SYS_ioctl, vcpu.fd, kSetCpuid2, arg(&cpuid_table));
  if (is_error(result)) return result;

  uint64_t block_va = kKernelVirtual + block_offset;
  uint64_t tss_va = block_va + kTssOffset;
  std::memset(block, 0, kPage);
  std::memcpy(block + kStubPage * kPage, tine_stub, static_cast<size_t>(tine_stub_end - tine_stub));
  std::memset(block + kPostPage * kPage, 0, kPage);
  // TSS, SDM 3A 7.7: rsp0 and the offset of the I/O permission map, which opens the exit port alone.
  uint64_t rsp0 = block_va + 2 * kPage;
  std::memcpy(block + kTssOffset + 4, &rsp0, 8);
  uint16_t io_map = kTssBytes;
  std::memcpy(block + kTssOffset + 102, &io_map, 2);
  std::memset(block + kTssOffset + kTssBytes, 0xff, kIoBitmapBytes);
  block[kTssOffset + kTssBytes + kExitPort / 8] = static_cast<uint8_t>(~(1u << (kExitPort % 8)));
  uint32_t tss_limit = kTssBytes + kIoBitmapBytes - 1;

  auto* gdt = reinterpret_cast<uint64_t*>(block + kGdtOffset);
  gdt[KERNEL_CS / 8] = descriptor(0xb, 0, true, false);
  gdt[KERNEL_DS / 8] = descriptor(0x3, 0, false, true);
  gdt[USER32_CS / 8] = descriptor(0xb, 3, false, true);
  gdt[USER_DS / 8] = descriptor(0x3, 3, false, true);
  gdt[USER_CS / 8] = descriptor(0xb, 3, true, false);
  gdt[TSS_SELECTOR / 8] = (tss_limit & 0xffff) | ((tss_va & 0xffffff) << 16) | (0xbull << 40) | (1ull << 47) |
                          (((tss_va >> 24) & 0xff) << 56);
  gdt[TSS_SELECTOR / 8 + 1] = tss_va >> 32;

  kvm_sregs& s = vcpu.run->s.regs.sregs;
  result = raw(SYS_ioctl, vcpu.fd, KVM_GET_SREGS, arg(&s));
  if (is_error(result)) return result;
  s.cs = user_code_segment();
  s.ss = s.ds = s.es = s.fs = s.gs = user_data_segment();
  // Linux loads null selectors into the data segments of a new program.
  for (kvm_segment* data : {&s.ds, &s.es, &s.fs, &s.gs}) *data = kvm_segment{.base = 0, .limit = 0xffffffff, .selector = 0, .type = 3, .present = 0, .dpl = 3, .db = 1, .s = 1, .l = 0, .g = 1, .avl = 0, .unusable = 1, .padding = 0};
  s.tr = kvm_segment{};
  s.tr.base = tss_va;
  s.tr.limit = tss_limit;
  s.tr.selector = TSS_SELECTOR;
  s.tr.type = 0xb;
  s.tr.present = 1;
  s.ldt = kvm_segment{};
  s.ldt.type = 2;
  s.ldt.unusable = 1;
  s.gdt.base = block_va + kGdtOffset;
  s.gdt.limit = kGdtEntries * 8 - 1;
  s.idt.base = va(kDescriptorPage) + kIdtOffset;
  s.idt.limit = 32 * 16 - 1;
  s.cr3 = own_root(vcpu, block, block_offset, root).v;
  s.cr0 = CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_PG;
  s.cr4 = CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE;
  const kvm_cpuid_entry2* seven = find_leaf(7, 0);
  if (seven && (seven->ebx & 1)) s.cr4 |= CR4_FSGSBASE;
  if (seven && (seven->ecx & 4)) s.cr4 |= CR4_UMIP;
  s.efer = EFER_SCE | EFER_LME | EFER_LMA | EFER_NX;
  result = raw(SYS_ioctl, vcpu.fd, KVM_SET_SREGS, arg(&s));
  if (is_error(result)) return result;

  kvm_xcrs xcrs{};
  xcrs.nr_xcrs = 1;
  xcrs.xcrs[0].value = enabled_xcr0;
  result = raw(SYS_ioctl, vcpu.fd, KVM_SET_XCRS, arg(&xcrs));
  if (is_error(result)) return result;

  struct {
    uint32_t count = 4, padding = 0;
    kvm_msr_entry entries[4];
  } msrs{};
  msrs.count = 4;
  msrs.entries[0] = {MSR_STAR, 0, (static_cast<uint64_t>(USER32_CS) << 48) | (static_cast<uint64_t>(KERNEL_CS) << 32)};
  msrs.entries[1] = {MSR_LSTAR, 0, kSelfVirtual};
  msrs.entries[2] = {MSR_CSTAR, 0, kSelfVirtual};
  msrs.entries[3] = {MSR_SYSCALL_MASK, 0, X86_EFLAGS_TF | X86_EFLAGS_DF | X86_EFLAGS_AC | X86_EFLAGS_NT};
  result = raw(SYS_ioctl, vcpu.fd, kSetMsrs, arg(&msrs));
  if (is_error(result)) return result;
  if (result != 4) return -EIO;

  put_cpuid_answers(vcpu, block + kStubPage * kPage);

  // The guest's time-stamp counter is the host's: the vDSO's clocks depend on it.
  uint64_t no_offset = 0;
  kvm_device_attr offset{};
  offset.group = KVM_VCPU_TSC_CTRL;
  offset.attr = KVM_VCPU_TSC_OFFSET;
  offset.addr = arg(&no_offset);
  raw(SYS_ioctl, vcpu.fd, KVM_SET_DEVICE_ATTR, arg(&offset));

  vcpu.run->s.regs.regs = kvm_regs{};
  vcpu.run->s.regs.regs.rflags = X86_EFLAGS_FIXED | X86_EFLAGS_IF;
  vcpu.run->kvm_valid_regs = KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS;
  vcpu.run->kvm_dirty_regs = KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS;
  return 0;
}

}  // namespace tine
