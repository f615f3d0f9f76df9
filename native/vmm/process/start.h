// How the monitor begins (process/start.cc).
#pragma once
#include <sys/resource.h>

#include <cstdint>

namespace tine {

struct Thread;

// The command line, see main.cc.
struct Options {
  int kvm_fd = -1, log_fd = -1, seccomp_fd = -1, translators_fd = -1, start_fd = -1;
  const char* root = nullptr;
  const char* directory = nullptr;
  bool has_stack = false, has_nofile = false, has_as = false, has_data = false;
  rlimit64 stack{}, nofile{}, as{}, data{};
  int fork_strategy = 0;
  int exitless = 0;  // Exitless, kvm/runner.h
  bool huge_pages = true;
  uint64_t code_store = 64ull << 20;  // bytes, memory/code_store.h
  bool jailed = false;
  bool probe = false;  // no program: say what KVM offers
};

// Prints what `--costs` promises.
void print_costs();
// Waits until the runtime writes a byte into the pipe, and closes it. A signal that would end a program ends this one;
// so does the runtime's end.
void wait_for_start(Thread& thread, int fd);
// Prints what `--probe` promises and ends. The thread has a machine and no program.
[[noreturn]] void probe_machine(Thread& thread);
// Runs a program as a new guest process; ends with its exit status.
[[noreturn]] void start_fresh(const Options& options, char** program, char** envp);
// True where this process image is the monitor executed anew for a guest's exec.
bool is_exec_image();
[[noreturn]] void start_after_exec(char** argv, char** envp);
// Returns when the monitor stands in its own zone of the host's address space; otherwise starts again.
void ensure_placement(char** argv, char** envp);

}  // namespace tine
