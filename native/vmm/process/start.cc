// The monitor's beginning: fresh (a container's process, `tine do`) or as the next image of a guest's exec.
#include "process/start.h"

#include <fcntl.h>
#include <linux/limits.h>
#include <sys/auxv.h>
#include <sys/personality.h>
#include <sys/prctl.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cctype>
#include <cstring>
#include <vector>

#include "arch/arch.h"
#include "fork/board.h"
#include "fork/fork.h"
#include "host/raw.h"
#include "host/report.h"
#include "kvm/vcpu.h"
#include "memory/address_space.h"
#include "memory/write_key.h"
#include "process/descriptors.h"
#include "process/exec_state.h"
#include "process/image.h"
#include "process/threads.h"
#include "process/translators.h"
#include "procfs/procfs.h"
#include "seccomp/seccomp.h"
#include "signal/signal.h"
#include "syscall/counters.h"

extern "C" [[noreturn]] void tine_switch_stack(void* stack_top, void (*run)(void*), void* argument);

namespace tine {
namespace {

constexpr int kCannotStart = 125;  // as docker and runc: the runtime itself failed
constexpr int64_t kOverflowUser = 65534;  // what getuid says in a namespace without a mapping
constexpr rlim64_t kHostStack = 8ull << 20;

struct Beginning {
  const Options* options;
  char** argv;
  char** envp;
  Thread* thread;
};

bool executed = false;  // this is no first program

[[noreturn]] void fail(int status, const char* what, int64_t error) {
  report("%s: %s", what, strerrordesc_np(static_cast<int>(-error)));
  // After an exec there is no program that it could be told to, nor one that could have had this status.
  if (executed) raw(SYS_kill, static_cast<uint64_t>(raw(SYS_getpid)), SIGKILL);
  raw(SYS_exit_group, static_cast<uint64_t>(status));
  __builtin_unreachable();
}

void host_limit(int resource, rlimit64& limit) { raw(SYS_prlimit64, 0, static_cast<uint64_t>(resource), 0, arg(&limit)); }

// Dispositions the kernel handed over: what was ignored stays ignored.
void take_signals(Thread& t) {
  SignalHandlers& handlers = *t.process->handlers;
  struct {
    uint64_t handler, flags, restorer, mask;
  } action;
  for (int number = 1; number <= kSignals; number++)
    if (raw(SYS_rt_sigaction, static_cast<uint64_t>(number), 0, arg(&action), 8) == 0 && action.handler == 1)
      handlers.action[number - 1].handler = 1;
  install_monitor_handlers();
}

// The limit is the guest's, whose memory the monitor counts; the monitor's own is as wide as it may be.
rlimit64 taken_from_host(int resource) {
  rlimit64 limit{};
  host_limit(resource, limit);
  for (const rlim64_t most : {static_cast<rlim64_t>(RLIM64_INFINITY), limit.rlim_max}) {
    const rlimit64 own{most, most};
    if (raw(SYS_prlimit64, 0, static_cast<uint64_t>(resource), arg(&own), 0) == 0) break;
  }
  return limit;
}

bool is_limited(int resource) {
  rlimit64 limit{};
  host_limit(resource, limit);
  return limit.rlim_cur != RLIM64_INFINITY;
}

void take_limits(Process& p, const Options& o) {
  host_limit(RLIMIT_STACK, p.stack_limit);
  host_limit(RLIMIT_NOFILE, p.nofile_limit);
  p.host_nofile.set = p.nofile_limit;
  p.as_limit = taken_from_host(RLIMIT_AS);
  p.data_limit = taken_from_host(RLIMIT_DATA);
  host_limit(RLIMIT_CORE, p.core_limit);
  rlimit64 no_core{};
  raw(SYS_prlimit64, 0, RLIMIT_CORE, arg(&no_core), 0);
  if (o.has_stack) p.stack_limit = o.stack;
  if (o.has_as) p.as_limit = o.as;
  if (o.has_data) p.data_limit = o.data;
  if (o.has_nofile) {
    rlimit64 host{};
    host_limit(RLIMIT_NOFILE, host);
    p.nofile_limit = o.nofile;
    host.rlim_cur = std::min(o.nofile.rlim_cur, host.rlim_max);
    set_host_descriptor_limit(p, host);
  }
}

// The monitor must land in its own zone at every exec, whatever stack limit the guest has.
void fix_host_stack_limit() {
  rlimit64 stack{};
  host_limit(RLIMIT_STACK, stack);
  if (stack.rlim_cur == kHostStack) return;
  stack.rlim_cur = std::min(kHostStack, stack.rlim_max);
  raw(SYS_prlimit64, 0, RLIMIT_STACK, arg(&stack), 0);
}

// The PATH search of execvp: EACCES is remembered, the search goes on.
int64_t find_in_path(Thread& t, const char* name, char** envp, Image& image, std::string& found) {
  found = name;
  if (std::strchr(name, '/')) return find_image(t, AT_FDCWD, name, 0, image);
  const char* path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
  for (char** e = envp; *e; e++)
    if (std::strncmp(*e, "PATH=", 5) == 0) path = *e + 5;
  int64_t result = -ENOENT;
  for (const char* at = path; at;) {
    const char* end = std::strchr(at, ':');
    size_t length = end ? static_cast<size_t>(end - at) : std::strlen(at);
    std::string candidate;
    candidate.append(length ? at : ".", length ? length : 1).append("/").append(name);
    int64_t tried = find_image(t, AT_FDCWD, candidate.c_str(), 0, image);
    if (tried == 0) return 0;
    // Its interpreter may be what is missing.
    if (found == name && raw(SYS_faccessat, static_cast<uint64_t>(AT_FDCWD), arg(candidate.c_str()), X_OK) == 0) found = candidate;
    if (tried == -EACCES) result = -EACCES;
    else if (tried != -ENOENT && tried != -ENOTDIR) return tried;
    at = end ? end + 1 : nullptr;
  }
  return result;
}

// A container's first program, found before, cannot be executed: runc's words and status, so that logs read the same.
[[noreturn]] void refuse_as_runc(const std::string& program, int error) {
  std::string reason = strerrordesc_np(error);
  reason[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(reason[0])));
  const std::string line = "exec " + program + ": " + reason + "\n";
  raw(SYS_write, 2, arg(line.data()), line.size());
  raw(SYS_exit_group, 1);
  __builtin_unreachable();
}

// The number in an AT_EXECFN that begins with `prefix`; -1 where it does not.
int descriptor_of_start(const char* prefix) {
  const char* name = reinterpret_cast<const char*>(getauxval(AT_EXECFN));
  size_t length = std::strlen(prefix);
  if (!name || std::strncmp(name, prefix, length) != 0) return -1;
  int number = 0;
  for (const char* p = name + length; *p; p++) {
    if (*p < '0' || *p > '9') return -1;
    number = number * 10 + (*p - '0');
  }
  return number;
}

// What execveat on the block's first place leaves there; -1: a fresh start.
int exec_descriptor() { return descriptor_of_start("/dev/fd/"); }

void own_or_fail(Process& p, int fd, OwnPlace place, int& kept) {
  int64_t owned = own_descriptor(p, fd, place, false);
  if (is_error(owned)) fail(kCannotStart, "descriptor block", owned);
  kept = static_cast<int>(owned);
}

void take_descriptors(Process& p, const Options& o) {
  if (!make_room_for_descriptors(p)) fail(kCannotStart, "RLIMIT_NOFILE leaves no room for the monitor", -EMFILE);
  // Started by a descriptor (a container's process): that one moves, so that the guest does not find it.
  int64_t self = descriptor_of_start("/proc/self/fd/");
  if (self < 0) self = raw(SYS_openat, static_cast<uint64_t>(AT_FDCWD), arg("/proc/self/exe"), O_RDONLY | O_CLOEXEC);
  if (is_error(self)) fail(kCannotStart, "cannot open /proc/self/exe (is /proc mounted?)", self);
  own_or_fail(p, static_cast<int>(self), kSelfPlace, p.self_fd);
  int64_t kvm = o.kvm_fd;
  if (kvm < 0) kvm = raw(SYS_openat, static_cast<uint64_t>(AT_FDCWD), arg("/dev/kvm"), O_RDWR | O_CLOEXEC);
  if (is_error(kvm)) fail(kCannotStart, "cannot open /dev/kvm (load kvm_intel or kvm_amd, allow nested virtualisation, or add yourself to group kvm)", kvm);
  own_or_fail(p, static_cast<int>(kvm), kKvmPlace, p.kvm_fd);
  int64_t log = o.log_fd;
  if (log < 0) log = raw(SYS_fcntl, 2, F_DUPFD_CLOEXEC, 0);
  if (!is_error(log)) {
    own_or_fail(p, static_cast<int>(log), kLogPlace, p.log_fd);
    set_log_descriptor(p.log_fd);
  }
  // Where the monitor's own memory is limited all the same, the store would take most of it.
  if (o.code_store && !is_limited(RLIMIT_AS) && !is_limited(RLIMIT_DATA)) {
    const int64_t store = CodeStore::make(o.code_store);
    if (!is_error(store)) own_or_fail(p, static_cast<int>(store), kCodeStorePlace, p.code_store_fd);
  }
  procfs_start(p);
}

void make_machine(Thread& t) {
  Process& p = *t.process;
  p.space = new AddressSpace;
  p.space->huge_runs = p.huge_pages;
  write_key();
  if (int64_t result = arch_ask_processor(p.kvm_fd)) fail(kCannotStart, "KVM does not tell its processor", result);
  if (!p.space->create(p.code_store_fd)) fail(kCannotStart, "page tables", -ENOMEM);
  p.space->show_on_board();
  p.space->prepare_kernel_half();
  if (int64_t result = p.space->create_machine(p)) fail(kCannotStart, "cannot create a virtual machine", result);
  int64_t error;
  t.vcpu = p.space->vm.acquire(p, error);
  if (!t.vcpu) fail(kCannotStart, "cannot create a virtual CPU", error);
  if ((error = first_run_in_helper(*t.vcpu, kPatience))) fail(kCannotStart, "the pids limit leaves no room to begin", error);
}

void load_and_run(Thread& t, Image& image, const Arguments& arguments) {
  Process& p = *t.process;
  if (!p.space) make_machine(t);
  if (int64_t result = load_image(t, image, arguments)) {
    // Past the point of no return Linux kills with SIGSEGV.
    report("cannot load %s: %s", image.name.c_str(), strerrordesc_np(static_cast<int>(-result)));
    die_by_signal(t, SIGSEGV);
  }
  if (image.interpreter_fd >= 0) {
    raw(SYS_close, static_cast<uint64_t>(image.interpreter_fd));
    p.own().remove(image.interpreter_fd);
    image.interpreter_fd = -1;
  }
  if (image.binary_fd >= 0) {
    raw(SYS_close, static_cast<uint64_t>(image.binary_fd));
    p.own().remove(image.binary_fd);
    image.binary_fd = -1;
  }
  image.fd = -1;  // stays open as the process's exe_fd
  uint64_t cpus[16] = {};
  int64_t bytes = raw(SYS_sched_getaffinity, 0, sizeof cpus, arg(cpus));
  int count = 0;
  for (int64_t i = 0; i < bytes / 8; i++) count += __builtin_popcountll(cpus[i]);
  p.cores = count;
  if (p.exitless != static_cast<int>(Exitless::kOff) && p.proc_fd >= 0) {
    const int64_t load = raw(SYS_openat, static_cast<uint64_t>(p.proc_fd), arg("loadavg"), O_RDONLY | O_CLOEXEC);
    if (!is_error(load)) p.load_fd = static_cast<int>(own_descriptor(p, static_cast<int>(load), kVcpuPlace, true));
  }
  board.asked = static_cast<uint32_t>(p.fork_strategy);
  board.translated = p.translated;
  board.calls = arg(call_counts);
  board.ticks_khz = arch_ticks_khz(*t.vcpu);
  wipe_counts_on_fork();
  set_guest_mask(t, t.mask);
  run_thread(t);
}

void begin_fresh(Thread& t, const Options& o, char** argv, char** envp) {
  Process& p = *t.process;
  p.jailed = o.jailed;
  p.fork_strategy = o.fork_strategy;
  p.exitless = o.exitless;
  p.huge_pages = o.huge_pages;
  p.may_be_mapped = raw(SYS_getuid) == kOverflowUser;
  take_limits(p, o);
  take_descriptors(p, o);
  fix_host_stack_limit();
  if (o.probe) {
    install_monitor_handlers();
    make_machine(t);
    probe_machine(t);
  }
  int64_t translators = o.translators_fd >= 0 ? take_translators(p, o.translators_fd) : o.jailed ? 0 : take_host_translators(p);
  if (translators) fail(kCannotStart, "translators", translators);
  p.personality = static_cast<uint32_t>(raw(SYS_personality, 0xffffffff));
  if (o.root) {
    if (int64_t result = raw(SYS_chroot, arg(o.root))) fail(kCannotStart, "--root", result);
    if (int64_t result = raw(SYS_chdir, arg("/"))) fail(kCannotStart, "--root", result);
  }
  if (o.directory)
    if (int64_t result = raw(SYS_chdir, arg(o.directory))) fail(kCannotStart, "--cwd", result);
  raw(SYS_rt_sigprocmask, SIG_BLOCK, 0, arg(&t.mask), 8);
  take_signals(t);
  t.no_new_privs = raw(SYS_prctl, PR_GET_NO_NEW_PRIVS) == 1;
  if (o.seccomp_fd >= 0) {
    if (int64_t result = seccomp_load_container(t, o.seccomp_fd)) fail(kCannotStart, "seccomp profile", result);
    raw(SYS_close, static_cast<uint64_t>(o.seccomp_fd));
  }
  if (o.jailed) {
    if (int64_t result = seccomp_install_host_filter()) fail(kCannotStart, "host seccomp filter", result);
    p.host_filter = true;
  }
  if (o.start_fd >= 0) {
    make_machine(t);
    wait_for_start(t, o.start_fd);
  }
  Image image;
  std::string found;
  if (int64_t result = find_in_path(t, argv[0], envp, image, found)) {
    if (o.jailed) refuse_as_runc(found, static_cast<int>(-result));
    report("%s: %s", argv[0], strerrordesc_np(static_cast<int>(-result)));
    raw(SYS_exit_group, result == -ENOENT || result == -ENOTDIR ? 127 : 126);
  }
  Arguments arguments;
  for (char** a = argv; *a; a++) arguments.argv.push_back(*a);
  put_prefix(image, arguments.argv, [](const char* word) { return word; });
  for (char** e = envp; *e; e++) arguments.envp.push_back(*e);
  own_or_fail(p, image.fd, kExePlace, p.exe_fd);
  image.fd = p.exe_fd;
  if (image.interpreter_fd >= 0) own_or_fail(p, image.interpreter_fd, kInterpreterPlace, image.interpreter_fd);
  if (image.binary_fd >= 0) own_or_fail(p, image.binary_fd, kBinaryPlace, image.binary_fd);
  p.translated = image.translated;
  load_and_run(t, image, arguments);
}

bool begin_after_exec(Thread& t, int self, char** argv, char** envp) {
  Process& p = *t.process;
  int base = self - kSelfPlace;
  ExecState state;
  if (!load_exec_state(base + kStatePlace, t, state)) return false;
  p.own().base = base;
  p.self_fd = self;
  p.kvm_fd = base + kKvmPlace;
  p.exe_fd = base + kExePlace;
  p.log_fd = base + kLogPlace;
  set_log_descriptor(p.log_fd);
  for (int fd : {p.self_fd, p.kvm_fd, p.exe_fd, p.log_fd}) p.own().add(fd);
  if (state.code_store) p.own().add(p.code_store_fd = base + kCodeStorePlace);
  procfs_start(p);
  install_monitor_handlers();
  Image image;
  image.name = state.name;
  image.comm = state.comm;
  image.fd = p.exe_fd;
  if (state.has_interpreter) {
    image.interpreter_fd = base + kInterpreterPlace;
    p.own().add(image.interpreter_fd);
  }
  if (state.has_binary) {
    image.binary_fd = base + kBinaryPlace;
    p.own().add(image.binary_fd);
  }
  image.preserves_argv0 = state.preserves_argv0;
  Arguments arguments;
  for (char** a = argv; *a; a++) arguments.argv.push_back(*a);
  for (char** e = envp; *e; e++) arguments.envp.push_back(*e);
  load_and_run(t, image, arguments);
  return true;
}

void begin(void* raw_beginning) {
  Beginning b = *static_cast<Beginning*>(raw_beginning);
  Thread& t = *b.thread;
  t.process = new Process;
  Process& p = *t.process;
  p.handlers = new SignalHandlers;
  p.threads = &t;
  p.pid = static_cast<int>(raw(SYS_getpid));
  t.tid = p.pid;
  raw(SYS_set_tid_address, arg(alive_word(&t)));
  if (b.options) begin_fresh(t, *b.options, b.argv, b.envp);
  begin_after_exec(t, exec_descriptor(), b.argv, b.envp);
  fail(kCannotStart, "the state of an exec is missing", -EINVAL);
}

[[noreturn]] void on_own_stack(const Options* options, char** argv, char** envp) {
  Thread* thread = new_thread_block();
  if (!thread) fail(kCannotStart, "stack", -ENOMEM);
  static Beginning beginning;
  beginning = {options, argv, envp, thread};
  tine_switch_stack(thread->stack_block + kMonitorStack - 64, begin, &beginning);
}

}  // namespace

void start_fresh(const Options& options, char** program, char** envp) { on_own_stack(&options, program, envp); }

bool is_exec_image() {
  const int fd = exec_descriptor();
  return fd >= 0 && is_exec_state(fd - kSelfPlace + kStatePlace);
}

void start_after_exec(char** argv, char** envp) {
  executed = true;
  on_own_stack(nullptr, argv, envp);
}

// RLIMIT_STACK, the legacy layout or a large vm.mmap_rnd_bits can put the monitor where guests live: then it starts
// once more without randomization.
void ensure_placement(char** argv, char** envp) {
  uint64_t here = reinterpret_cast<uint64_t>(&ensure_placement), stack = reinterpret_cast<uint64_t>(argv);
  if (here >= kMonitorZoneStart && stack >= kMonitorZoneStart) return;
  uint64_t now = static_cast<uint64_t>(raw(SYS_personality, 0xffffffff));
  if ((now & ADDR_NO_RANDOMIZE) && !(now & ADDR_COMPAT_LAYOUT)) {
    report("the kernel places the monitor at 0x%lx, outside its zone", static_cast<unsigned long>(here));
    raw(SYS_exit_group, kCannotStart);
  }
  rlimit64 limit{};
  host_limit(RLIMIT_STACK, limit);
  fix_host_stack_limit();
  raw(SYS_personality, (now | ADDR_NO_RANDOMIZE) & ~static_cast<uint64_t>(ADDR_COMPAT_LAYOUT));
  int again = exec_descriptor();
  if (again >= 0) raw(SYS_execveat, static_cast<uint64_t>(again), arg(""), arg(argv), arg(envp), AT_EMPTY_PATH);
  // What the guest's limit was is told, since it is another now.
  char told[64];
  std::snprintf(told, sizeof told, "--rlimit-stack=%lu:%lu", static_cast<unsigned long>(limit.rlim_cur), static_cast<unsigned long>(limit.rlim_max));
  std::vector<char*> words{argv[0], told};
  for (char** word = argv + 1; *word; word++) words.push_back(*word);
  words.push_back(nullptr);
  raw(SYS_execve, arg("/proc/self/exe"), arg(words.data()), arg(envp));
  report("cannot start again in the right place");
  raw(SYS_exit_group, kCannotStart);
}

}  // namespace tine
