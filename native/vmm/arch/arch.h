// What differs between architectures, behind one short header. arch/x86_64 and arch/aarch64 implement it.
#pragma once
#include <linux/kvm.h>

#include <cstdint>
#include <span>
#include <vector>

#include "arch/registers.h"
#include "memory/address.h"
#include "process/thread.h"

namespace tine {

class Vm;
class Vcpu;
struct KernelArea;

// ---- page tables --------------------------------------------------------------------------------------
// Leaf entry for a guest page: protections are PROT_READ | PROT_WRITE | PROT_EXEC.
uint64_t page_entry(GuestPhys page, uint32_t prot, bool huge);
uint64_t read_only_entry(uint64_t entry);  // a leaf without the right to write
uint64_t table_entry(GuestPhys table);
bool entry_present(uint64_t entry);
bool entry_is_huge(uint64_t entry);
GuestPhys entry_target(uint64_t entry);
// The i-th 4 KiB leaf of a 2 MiB leaf.
uint64_t split_entry(uint64_t huge, uint64_t i);
// A page of the kernel half.
uint64_t kernel_entry(GuestPhys page, bool user, bool code);

// A present entry has been replaced: where the machine's own caches do not notice, the next entry drops them.
void arch_translation_changed();

// ---- the machine --------------------------------------------------------------------------------------
// Pages that the CPU's own structures need and all vCPUs share; each vCPU has kVcpuPages more (arch/layout.h).
constexpr uint64_t kSharedCpuPages = 4;
// Where those pages appear in guest-virtual space (the kernel's half, outside what a guest can map).
constexpr uint64_t kKernelVirtual = 0xffff'ff80'0000'0000ull;

// Fills the shared pages (descriptor tables, entry stubs). `shared` is their host address.
void arch_prepare_shared(uint8_t* shared);
// What a page of the kernel area is for: `index` counts from its start, shared pages first.
struct KernelPage {
  bool user, code;
};
KernelPage arch_kernel_page(uint64_t index);
// KVM_CREATE_VM's argument.
uint64_t arch_machine_type(int kvm_fd);
// Before each KVM_RUN.
void arch_before_entry(Vcpu& vcpu);
// Sets a fresh vCPU up to enter user mode: control registers, MSRs, CPUID. `block` is the offset of its own
// pages in the kernel area. Returns 0 or -errno.
int64_t arch_prepare_vcpu(Vcpu& vcpu, uint8_t* block_host, uint64_t block_offset, GuestPhys page_table_root);

// ---- exits --------------------------------------------------------------------------------------------
enum class Exit : uint8_t {
  kSystemCall,   // the guest asked for a system call; registers are as after `syscall` / `svc`
  kCallFinished, // the machine was left while a served call was on its way back: the registers hold its result
  kException,    // a fault: see ExceptionInfo
  kInterrupted,  // a host signal
  kHostFault,    // the host could not provide a page (EFAULT)
  kBroken        // anything else: a report and death by SIGSEGV
};
struct ExceptionInfo {
  enum Kind : uint8_t { kPageFault, kSignal } kind;
  GuestAddr address;   // page fault: the address
  uint32_t access;     // PROT_READ, PROT_WRITE or PROT_EXEC
  int signal, code;    // kSignal: what Linux delivers
  uint64_t trap, error;  // for the signal frame
};
// Looks at what KVM_RUN came back with, brings the registers into user form. `run_result` is KVM_RUN's.
Exit arch_classify(Vcpu& vcpu, int64_t run_result, ExceptionInfo& exception);
// For the probe: whether the last call's entry stub ran in user mode, guest code that makes system calls for ever, and
// the name of this kind of KVM.
bool arch_user_stub(Vcpu& vcpu);
std::span<const uint8_t> arch_call_loop();
const char* arch_kvm_kind(bool user_stub);

// ---- calls without exits (kvm/runner.h) -----------------------------------------------------------------
struct PostPage;
PostPage* arch_post_page(Vcpu&);
// After a system call left the machine: whether it did so with the call posted (kvm/runner.h).
bool arch_left_with_post(Vcpu&);
// Whether this machine's stub can post at all.
bool arch_can_post(Vcpu&);
bool arch_call_needs_registers(uint32_t number);
uint64_t arch_ticks();
uint64_t arch_ticks_khz(Vcpu&);  // 0: not known
void arch_pause();

// ---- patched call sites (memory/call_sites.h) ------------------------------------------------------------
constexpr uint64_t kCallSiteBytes = 5, kCallSlotBytes = 32;
constexpr uint64_t kCallSiteReach = 1ull << 30;  // how far from its site a slot may be
struct CallSite {
  uint64_t at = 0;                    // where code changes
  uint64_t slot = 0;                  // where it then goes
  uint64_t back = 0;                  // behind the call's instruction
  uint32_t number = 0;                // what the slot loads, unless it has `moved` instructions
  uint8_t moved = 0;                  // bytes of instructions that moved into the slot
  uint8_t relative = 0;               // where among these is a displacement that counts from its own place; 0: nowhere
  bool identifies = false;            // not a call: the instruction asks what processor this is (x86-64: cpuid)
  uint8_t code[kCallSiteBytes] = {};  // what was there
  uint8_t next[16] = {};              // the instructions that move
};
// Fills `at`, `code` and how the site (`back`) is to be changed. False: it had better stay.
bool arch_plan_call_site(CallSite& site, uint32_t number);
// Whether what leaves the machine is so dear that sites are looked for before a program runs.
bool arch_exits_are_dear();
// Asks KVM what processor it offers: before the first machine, and before the question above. 0 or -errno.
int64_t arch_ask_processor(int kvm_fd);
// The answer, for the monitor's next image, which takes it instead of asking.
std::span<const uint8_t> arch_processor();
void arch_take_processor(std::span<const uint8_t> known);
// The table of kvm/answers.h in a vCPU's post page: `known` has a bit for each of the values.
void arch_put_answers(Vcpu& vcpu, uint32_t known, const uint64_t* values);
void arch_put_answer(Vcpu& vcpu, uint32_t answer, uint64_t value);
void arch_put_action(Vcpu& vcpu, int number, const GuestAction& action);
void arch_drop_answers(Vcpu& vcpu, uint32_t dropped);
enum StubNote : uint32_t { kNotedRobustList = 1, kNotedTidAddress = 2 };
// Takes what the thread set by set_robust_list and set_tid_address without the monitor.
uint32_t arch_take_notes(Vcpu& vcpu, uint64_t& robust_list, uint64_t& clear_child_tid);
void arch_put_mask(Vcpu& vcpu, SignalSet mask);
// The mask, which the thread may have changed without the monitor; `known` if it has not.
SignalSet arch_mask(Vcpu& vcpu, SignalSet known);
// The signals that the thread may block without the monitor.
void arch_put_caught(Vcpu& vcpu, SignalSet caught);
// Where the monitor counts who waits at private futexes (syscall/futex_waiters.h), kFutexWaiters words that all stubs of a machine
// see. nullptr: these stubs do not look. `shared` as for arch_prepare_shared.
constexpr uint64_t kFutexWaiters = kPage / sizeof(uint32_t);
uint32_t* arch_futex_waiters(uint8_t* shared);
// How many rounds the stub watches a futex, from now on; and how many such watches saw it change, since this was last asked.
void arch_put_futex_watch(Vcpu& vcpu, uint32_t rounds);
uint32_t arch_take_futex_changes(Vcpu& vcpu);
// The signals whose actions the thread changed without the monitor, and what they are now.
SignalSet arch_take_actions(Vcpu& vcpu, GuestAction (&actions)[kSignals]);
// How many calls that trapped the stub may answer before it lets the monitor see one.
void arch_let_unseen(Vcpu& vcpu, int calls);
// The sites of a dynamic loader's code, of which `unwind` is the .eh_frame_hdr and what follows it.
std::vector<CallSite> arch_loader_sites(std::span<const uint8_t> code, uint64_t code_start, std::span<const uint8_t> unwind, uint64_t unwind_start);
// A site in four bytes, for one who has the same code again (arch_unpack_site: false where it cannot be).
uint32_t arch_pack_site(const CallSite& site, uint64_t code_start);
bool arch_unpack_site(uint32_t packed, std::span<const uint8_t> code, uint64_t code_start, CallSite& site);
bool arch_call_slot_fits(const CallSite& site, uint64_t slot);
// What the slots of a region have in common, in its first one.
void arch_make_common_slot(uint8_t* code);
void arch_make_call_slot(const CallSite& site, uint64_t common, uint8_t (&code)[kCallSlotBytes]);
void arch_make_call_jump(const CallSite& site, uint8_t (&code)[kCallSiteBytes]);
// An address within the changed code -> where its work is done now (0: nowhere); one within the slot -> the program's own.
uint64_t arch_call_continuation(const CallSite& site, uint64_t ip);
uint64_t arch_call_original(const CallSite& site, uint64_t ip);
uint8_t arch_breakpoint();
// True where an exception came from changed code, and the registers now lead on.
bool arch_leave_changed_code(Thread&, const ExceptionInfo&);
// The instruction after the call that the machine was left with.
uint64_t arch_call_return(Vcpu&);

// ---- memory/write_key.h -----------------------------------------------------------------------------------
int arch_new_write_key();  // -1: none
void arch_open_write_key(int key, bool open);

// ---- registers (user form) ----------------------------------------------------------------------------
uint64_t guest_ip(Thread&);
// The call being served goes back to another place.
void set_guest_return(Thread&, uint64_t ip);
uint64_t guest_sp(Thread&);
// All general registers as text, for a report. Gives the length.
size_t describe_guest_registers(Vcpu&, std::span<char> text);
uint32_t guest_call_number(Vcpu&);
void guest_call_arguments(Vcpu&, uint64_t (&a)[6]);
void set_guest_result(Vcpu&, int64_t result);
// Makes the guest execute its last system call again with number `number`.
void rewind_guest_call(Vcpu&, uint32_t number);
// Registers of a new program: everything zero but entry point and stack.
void start_guest_registers(Vcpu&, GuestAddr entry, GuestAddr stack);
// A clone's child: result 0, its own stack (unless zero) and thread pointer (if `set_tls`).
void child_guest_registers(Vcpu&, GuestAddr stack, bool set_tls, uint64_t tls);

// The whole register state of a vCPU, extended state included, as plain memory: what fork carries over.
struct CpuState;
int64_t save_cpu_state(Vcpu&, CpuState&);
int64_t restore_cpu_state(Vcpu&, const CpuState&);

// Builds Linux's rt_sigframe for `action` on the guest's stack and enters the handler. False: the stack is
// not writable (Linux then kills by SIGSEGV).
bool push_signal_frame(Thread&, const GuestAction& action, const siginfo_t& info, SignalSet saved_mask);
// Undoes it. Fills the mask to restore. False: bad frame.
bool pop_signal_frame(Thread&, SignalSet& mask);
void set_exception_context(Thread&, uint64_t trap, uint64_t error, uint64_t address);

// Changes a copy of the host's vDSO where its code relies on something the machine lacks.
void arch_adapt_vdso(uint8_t* image, uint64_t bytes);
// What of the host's AT_HWCAP or AT_HWCAP2 (`type`) the machine offers too.
uint64_t arch_hardware_capabilities(uint64_t type, uint64_t host);
// What /proc/cpuinfo-minded programs expect in AT_PLATFORM.
const char* arch_platform();

// vsyscall page and other addresses that Linux emulates. True when served.
bool arch_emulate_fault(Thread&, const ExceptionInfo&);

}  // namespace tine
