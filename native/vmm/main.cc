// tine-vmm: the command line.
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "process/start.h"
#include "syscall/table.h"

namespace {

constexpr const char* kUsage =
    "usage: tine-vmm [options] -- PROGRAM [ARGUMENT...]\n"
    "  --kvm-fd=N              descriptor of /dev/kvm (default: opened by name)\n"
    "  --log-fd=N              where the monitor's own reports go (default: standard error)\n"
    "  --seccomp-fd=N          the container's seccomp program (struct sock_filter[])\n"
    "  --translators-fd=N      programs that run files of other processors (default: the host's binfmt_misc)\n"
    "  --start-fd=N            make the machine, then wait for a byte from this pipe\n"
    "  --rlimit-stack=S:H      the guest's own RLIMIT_STACK\n"
    "  --rlimit-nofile=S:H     the guest's own RLIMIT_NOFILE\n"
    "  --rlimit-as=S:H         the guest's own RLIMIT_AS\n"
    "  --rlimit-data=S:H       the guest's own RLIMIT_DATA\n"
    "  --root=DIR --cwd=DIR    change root and working directory first\n"
    "  --fork=STRATEGY         auto, cow, selective-cow or region-copy\n"
    "  --exitless=MODE         calls without leaving the machine: auto, off or on\n"
    "  --huge-pages=MODE       auto: large anonymous mappings ask for them; never: only where the guest asks\n"
    "  --code-store=MIB        memory for copies of programs' code that processes share; 0: none\n"
    "  --jailed                runs as a container's process: confine the monitor itself\n"
    "  --probe                 print what this machine's KVM offers, as JSON\n"
    "  --costs                 print what a system call and the clock cost who runs this, as JSON\n"
    "  --syscalls              print the system-call table, as JSON\n"
    "  --version\n";

[[noreturn]] void usage(const char* problem) {
  std::fprintf(stderr, "tine-vmm: %s\n%s", problem, kUsage);
  std::exit(125);
}

int number(const char* text) {
  char* end;
  long value = std::strtol(text, &end, 10);
  if (end == text || *end || value < 0 || value > 0x7fffffff) usage("not a number");
  return static_cast<int>(value);
}

bool limit(const char* text, rlimit64& out) {
  char* end;
  out.rlim_cur = std::strtoull(text, &end, 10);
  if (end == text || *end != ':') return false;
  const char* hard = end + 1;
  out.rlim_max = std::strtoull(hard, &end, 10);
  return end != hard && !*end;
}

const char* value_of(const char* argument, const char* name) {
  size_t length = std::strlen(name);
  return std::strncmp(argument, name, length) == 0 && argument[length] == '=' ? argument + length + 1 : nullptr;
}

template <int N>
int one_of(const char* word, const char* const (&words)[N], const char* problem) {
  for (int i = 0; i < N; i++)
    if (std::strcmp(word, words[i]) == 0) return i;
  usage(problem);
}

constexpr const char* kStrategies[] = {"auto", "cow", "selective-cow", "region-copy"};
constexpr const char* kExitless[] = {"auto", "off", "on"};  // in the order of tine::Exitless
constexpr const char* kHugePages[] = {"auto", "never"};

}  // namespace

int main(int argc, char** argv, char** envp) {
  if (argc == 2 && !std::strcmp(argv[1], "--costs")) {
    tine::print_costs();
    return 0;
  }
  tine::ensure_placement(argv, envp);
  if (tine::is_exec_image()) tine::start_after_exec(argv, envp);
  tine::Options options;
  int i = 1;
  for (; i < argc; i++) {
    const char* a = argv[i];
    const char* v;
    if (!std::strcmp(a, "--")) {
      i++;
      break;
    }
    if (a[0] != '-') break;
    if ((v = value_of(a, "--kvm-fd"))) options.kvm_fd = number(v);
    else if ((v = value_of(a, "--log-fd"))) options.log_fd = number(v);
    else if ((v = value_of(a, "--seccomp-fd"))) options.seccomp_fd = number(v);
    else if ((v = value_of(a, "--translators-fd"))) options.translators_fd = number(v);
    else if ((v = value_of(a, "--start-fd"))) options.start_fd = number(v);
    else if ((v = value_of(a, "--root"))) options.root = v;
    else if ((v = value_of(a, "--cwd"))) options.directory = v;
    else if ((v = value_of(a, "--fork"))) options.fork_strategy = one_of(v, kStrategies, "--fork: one of auto, cow, selective-cow, region-copy");
    else if ((v = value_of(a, "--exitless"))) options.exitless = one_of(v, kExitless, "--exitless: one of auto, off, on");
    else if ((v = value_of(a, "--huge-pages"))) options.huge_pages = one_of(v, kHugePages, "--huge-pages: auto or never") == 0;
    else if ((v = value_of(a, "--code-store"))) options.code_store = static_cast<uint64_t>(number(v)) << 20;
    else if ((v = value_of(a, "--rlimit-stack"))) options.has_stack = limit(v, options.stack) || (usage("--rlimit-stack wants SOFT:HARD"), true);
    else if ((v = value_of(a, "--rlimit-nofile"))) options.has_nofile = limit(v, options.nofile) || (usage("--rlimit-nofile wants SOFT:HARD"), true);
    else if ((v = value_of(a, "--rlimit-as"))) options.has_as = limit(v, options.as) || (usage("--rlimit-as wants SOFT:HARD"), true);
    else if ((v = value_of(a, "--rlimit-data"))) options.has_data = limit(v, options.data) || (usage("--rlimit-data wants SOFT:HARD"), true);
    else if (!std::strcmp(a, "--jailed")) options.jailed = true;
    else if (!std::strcmp(a, "--probe")) options.probe = true;
    else if (!std::strcmp(a, "--syscalls")) {
      tine::print_call_table(1);
      return 0;
    } else if (!std::strcmp(a, "--version")) {
      std::puts("tine-vmm " TINE_VERSION);
      return 0;
    } else if (!std::strcmp(a, "--help")) {
      std::fputs(kUsage, stdout);
      return 0;
    } else {
      char problem[128];
      std::snprintf(problem, sizeof problem, "unknown option %s", a);
      usage(problem);
    }
  }
  if (options.probe) tine::start_fresh(options, argv + argc, envp);
  if (i >= argc) usage("no program given");
  tine::start_fresh(options, argv + i, envp);
}
