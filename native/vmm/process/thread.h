// The state of a guest thread and of a guest process, all of it in plain structures in one place: a fork
// copies it by copying memory, and a later capture can serialise it.
#pragma once
#include <signal.h>
#include <sys/resource.h>

#include <atomic>
#include <cstdint>
#include <string>

#include "host/lock.h"
#include "kvm/runner.h"
#include "memory/address.h"
#include "memory/loader_sites.h"
#include "syscall/descriptor_gate.h"
#include "syscall/futex_waiters.h"

namespace tine {

class AddressSpace;
class Vcpu;
struct SeccompChain;
struct Thread;

constexpr int kSignals = 64;
using SignalSet = uint64_t;  // bit n-1 is signal n, as the kernel's sigset_t
constexpr SignalSet signal_bit(int number) { return 1ull << (number - 1); }

// Guest's sigaction as the kernel's struct kernel_sigaction (handler, flags, restorer, mask).
struct GuestAction {
  uint64_t handler;  // 0 SIG_DFL, 1 SIG_IGN, else guest address
  uint64_t flags;
  uint64_t restorer;
  SignalSet mask;
};

// Shared by the threads of a process (CLONE_SIGHAND).
struct SignalHandlers {
  Lock lock;
  std::atomic<int> references{1};
  GuestAction action[kSignals] = {};
};

// The monitor's own descriptors: high numbers that the guest cannot name (process/descriptors.h).
struct OwnedDescriptors {
  static constexpr int kSpan = 4096;
  int base = 0;
  uint64_t bits[kSpan / 64] = {};
  bool owns(int fd) const {
    unsigned i = static_cast<unsigned>(fd) - static_cast<unsigned>(base);
    return i < kSpan && ((__atomic_load_n(&bits[i / 64], __ATOMIC_RELAXED) >> (i % 64)) & 1);
  }
  void add(int fd) {
    unsigned i = static_cast<unsigned>(fd - base);
    if (i < kSpan) __atomic_fetch_or(&bits[i / 64], 1ull << (i % 64), __ATOMIC_RELAXED);
  }
  void remove(int fd) {
    unsigned i = static_cast<unsigned>(fd - base);
    if (i < kSpan) __atomic_fetch_and(&bits[i / 64], ~(1ull << (i % 64)), __ATOMIC_RELAXED);
  }
  // One past the last number the monitor may hold.
  int end() const { return base + kSpan; }
};

// Where the host's vDSO lies: its code at AT_SYSINFO_EHDR, its data below.
struct VdsoLayout {
  uint64_t code_bytes = 0;  // 0: not looked for yet
  uint32_t count = 0;
  struct {
    uint64_t below, bytes;  // from the code's start
  } data[4] = {};
};

// The host's RLIMIT_NOFILE of this process as the monitor last left it: where it is found different, another process has
// changed it. `begun` and `ended` count the times it is wider for a moment (RoomForDescriptors): the first of several threads
// makes it so, and the last makes it what it was.
struct HostDescriptorLimit {
  rlimit64 set{};
  mutable Lock lock;
  mutable rlimit64 kept{};    // while it may be wider: what it is otherwise
  mutable bool wide = false;
  mutable std::atomic<uint32_t> begun{0}, ended{0};
};

// One guest process. Everything here is per process even where memory is shared (vfork).
struct Process {
  AddressSpace* space = nullptr;
  SignalHandlers* handlers = nullptr;
  OwnedDescriptors own_blocks[2];     // the second is in use while the block moves
  std::atomic<int> own_block{0};
  int kvm_fd = -1, self_fd = -1, exe_fd = -1, log_fd = -1;
  std::atomic<int> thread_count{1};
  int pid = 0;
  rlimit64 stack_limit{}, nofile_limit{}, as_limit{}, data_limit{}, core_limit{};  // the guest's own view
  HostDescriptorLimit host_nofile;    // the host's, as the monitor last left it
  std::string exe_path;               // as the guest's /proc/self/exe would read at exec time
  uint64_t auxv[64] = {};             // what the guest was given, for /proc/self/auxv
  int auxv_words = 0;
  SeccompChain* container_seccomp = nullptr;  // the profile of the container
  bool jailed = false;
  bool shares_memory = false;         // a vfork or CLONE_VM child that has not yet gone its own way
  // Where a vfork child made calls: it may be killed at any moment, so that its parent changes these places.
  struct MetSite {
    uint64_t back;
    uint32_t number;
  };
  static constexpr uint32_t kMetSites = 8;
  MetSite met_sites[kMetSites] = {};
  uint32_t met = 0;
  uint32_t personality = 0;
  int dumpable = 1;
  FdGate descriptor_gate;             // a forked child resets it
  Lock threads_lock;
  Thread* threads = nullptr;          // linked by Thread::next
  bool host_filter = false;           // the filter on the monitor is installed
  int fork_strategy = 0;              // what was asked for: Strategy, fork/fork.h
  bool translated = false;            // runs under a translator: what its memory is like decides about fork
  int translators = 0;                // descriptors of process/translators.h, the table among them
  LoaderSites loader_sites;
  VdsoLayout vdso_layout;             // on the host
  int exitless = 0;                   // Exitless, kvm/runner.h
  bool huge_pages = true;             // large anonymous mappings ask for them by themselves
  int cores = 1;                      // CPUs it may run on
  int proc_fd = -1;                   // the monitor's own way into procfs (procfs/)
  int load_fd = -1;                   // /proc/loadavg, for kvm/runner.cc
  std::atomic<int> helper{0};         // fork/fork.h, await_helper()
  uint64_t helper_user = 0, helper_system = 0;  // µs of CPU time that helpers used
  int code_store_fd = -1;             // memory/code_store.h
  bool may_be_mapped = false;         // in a user namespace whose mapping may still come (kvm/answers.h)
  bool shares_files = false;          // another process has the same descriptors (CLONE_FILES)
  std::atomic<bool> memory_files{false};  // has opened /proc/PID/mem or pagemap (procfs/memory_file.cc)
  std::atomic<bool> text_files{false};    // has opened a text that stands in for one of procfs (procfs/refresh.cc)

  OwnedDescriptors& own() { return own_blocks[own_block.load(std::memory_order_acquire)]; }
  const OwnedDescriptors& own() const { return own_blocks[own_block.load(std::memory_order_acquire)]; }
  // Whether a number is the monitor's, while the block moves too.
  bool owns(int fd) const { return own_blocks[0].owns(fd) || own_blocks[1].owns(fd); }
};

// One guest thread = one host thread; lives at the base of its own monitor stack (see current()).
struct Thread {
  Process* process = nullptr;
  Vcpu* vcpu = nullptr;
  int tid = 0;
  // Signals. `pending` is written by the host signal handler; from then on the host mask blocks everything
  // until the guest frame is built, so one slot is enough.
  volatile int pending = 0;
  siginfo_t pending_info{};
  SignalSet mask = 0;            // what the guest believes is blocked
  SignalSet call_mask = 0;       // mask in force during sigsuspend, ppoll, pselect6, epoll_pwait
  bool call_mask_set = false;
  stack_t alternate_stack{};     // ss_sp is a guest address
  GuestAddr clear_child_tid{0};
  GuestAddr robust_list{0};
  SeccompChain* seccomp = nullptr;  // filters the guest installed, newest first
  int seccomp_mode = 0;
  bool no_new_privs = false;
  uint32_t last_call = 0;
  // What the last exception left for the signal frame (trapno, err, cr2).
  uint64_t trap_number = 0, trap_error = 0, trap_address = 0;
  // The kernel was inside a call and would restart it; otherwise a call that answers kRestart never began.
  volatile bool call_interrupted = false;
  // A fault that comes again and again at one place although it was served.
  uint64_t fault_ip = 0, fault_address = 0;
  uint32_t fault_repeats = 0;
  uint32_t machine_waits = 0;      // kvm/loop.cc, await_kernel_thread()
  // SIGSEGV and SIGBUS sent while the guest blocks them: the host never blocks these two, so they wait here.
  SignalSet held = 0;
  siginfo_t held_info[2]{};
  bool lends_vcpu = false;         // a vfork child has it
  Pairing pairing;                 // calls without exits
  FutexWatch futex_watch;
  bool posted = false;             // the call being served was posted: the registers are still the machine's
  uint8_t* stack_block = nullptr;  // base of the monitor stack, where this structure lies
  Thread* next = nullptr;          // list of the process's threads (process/threads.h)
};

// For a child process that shares its parent's memory: copies what is per process. Descriptors keep their numbers.
void inherit_process_state(Process& child, const Process& parent);

// Each monitor stack is this large and this aligned; the Thread sits at its lowest address, so that a
// signal handler finds it from the stack pointer alone, without thread-local storage.
constexpr uint64_t kMonitorStack = 1 << kMonitorStackBits;

inline Thread& current() {
  uint64_t sp;
#if defined(__x86_64__)
  asm volatile("mov %%rsp, %0" : "=r"(sp));
#else
  asm volatile("mov %0, sp" : "=r"(sp));
#endif
  return *reinterpret_cast<Thread*>(sp & ~(kMonitorStack - 1));
}

}  // namespace tine
