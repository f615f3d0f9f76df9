// Random system calls with arguments meant to hurt the monitor: its own addresses, its own descriptors, numbers
// at the edges, structures full of all three. Usage: system_calls FIRST_SEED SEEDS CALLS [TRACE]
//
// Each seed runs in a child of its own, as nobody, with little time; what the calls answer and how the child
// ends does not matter. Only calls that would reach other processes or the machine are left out.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { kLastNumber = 470, kArena = 1 << 16, kNobody = 65534 };

static uint64_t state;
static uint64_t next(void) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return state;
}
static uint64_t below(uint64_t limit) { return next() % limit; }

static unsigned char* arena;

static int left_out(long number) {
  switch (number) {
    case SYS_exit:
    case SYS_exit_group:
    case SYS_kill:
    case SYS_tkill:
    case SYS_tgkill:
    case SYS_rt_sigqueueinfo:
    case SYS_rt_tgsigqueueinfo:
    case SYS_pidfd_send_signal:
    case SYS_fork:
    case SYS_vfork:
    case SYS_clone:
    case SYS_clone3:
    case SYS_reboot:
    case SYS_pause:
    case SYS_setsid:
    case SYS_sync:
    case SYS_syncfs:
    case SYS_prlimit64:
    case SYS_setpriority:
    case SYS_sched_setattr:
    case SYS_sched_setscheduler:
    case SYS_ioprio_set:
    case SYS_process_mrelease:
    case SYS_rt_sigprocmask:
    case SYS_alarm:
    case SYS_setitimer:
      return 1;
    default:
      return 0;
  }
}

static uint64_t address(void) {
  switch (below(10)) {
    case 0: return below(4096);
    case 1: return 0x7f0000000000ull + (below(1ull << 40) & ~0xfull);  // where a monitor lives on the host
    case 2: return 0x3e0000000000ull + below(3ull << 40);              // what faces it
    case 3: return 0xffff800000000000ull + below(1ull << 46);
    case 4: return 0x400000000000ull + below(1ull << 33);
    case 5: return next();
    default: return (uint64_t)arena + below(kArena);
  }
}

static uint64_t number(void) {
  static const uint64_t edges[] = {0, 1, 2, 7, 8, 16, 24, 64, 1023, 1024, 1025, 4096, 65536, INT32_MAX, UINT32_MAX, INT64_MAX, UINT64_MAX};
  return below(3) ? edges[below(sizeof edges / sizeof *edges)] : below(64) ? below(1 << 12) : next();
}

static uint64_t descriptor(void) {
  switch (below(6)) {
    case 0: return (uint64_t)AT_FDCWD;
    case 1: return 1020 + below(80);  // the monitor's block
    case 2: return (uint64_t)(int64_t)-1;
    default: return 3 + below(12);
  }
}

static uint64_t any(void) {
  switch (below(4)) {
    case 0: return descriptor();
    case 1: return number();
    default: return address();
  }
}

// The arena is what pointers point to: pointers again, small numbers, names.
static void fill_arena(void) {
  static const char* const names[] = {"/proc/self/exe", "/proc/self/fd/1026", "/proc/self/mem", "/dev/fd/1024", ".", "/proc/self/maps",
                                      "/proc/self/fd", "file", "/proc/self/task", "/proc/1/exe", ""};
  for (int i = 0; i < kArena / 8; ++i) {
    uint64_t value = any();
    memcpy(arena + i * 8, &value, 8);
  }
  for (int i = 0; i < 64; ++i) {
    const char* name = names[below(sizeof names / sizeof *names)];
    memcpy(arena + (below(kArena - 64) & ~7ull), name, strlen(name) + 1);
  }
}

static void prepare_child(void) {
  struct rlimit files = {1 << 20, 1 << 20}, cpu = {4, 4}, none = {0, 0}, space = {8ull << 30, 8ull << 30};
  alarm(3);
  setrlimit(RLIMIT_FSIZE, &files);
  setrlimit(RLIMIT_CPU, &cpu);
  setrlimit(RLIMIT_CORE, &none);
  setrlimit(RLIMIT_AS, &space);
  if (geteuid() == 0 && (setgroups(0, NULL) || setresgid(kNobody, kNobody, kNobody) || setresuid(kNobody, kNobody, kNobody)))
    _exit(2);
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  int quiet = open("/dev/null", O_RDWR);
  dup2(quiet, 0);
  dup2(quiet, 1);
  dup2(quiet, 2);
  if (open("/proc/self/fd", O_RDONLY | O_DIRECTORY) < 0 || syscall(SYS_memfd_create, "fuzz", 0) < 0) _exit(2);
  int pair[2];
  if (pipe(pair) || syscall(SYS_socketpair, 1, 1, 0, pair)) _exit(2);
  syscall(SYS_epoll_create1, 0);
  arena = mmap(NULL, kArena, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void run_child(uint64_t seed, long calls, int trace) {
  prepare_child();
  state = seed * 0x9e3779b97f4a7c15ull + 1;
  for (long i = 0; i < calls; ++i) {
    if (i % 16 == 0) fill_arena();
    long call = (long)below(kLastNumber);
    if (left_out(call)) continue;
    uint64_t a[6];
    for (int k = 0; k < 6; ++k) a[k] = any();
    // The first arguments are what they should be often enough for the rest to be looked at.
    if (below(2)) a[0] = descriptor();
    if (below(2)) a[1] = (uint64_t)arena + (below(kArena) & ~7ull);
    if (below(2)) a[2] = below(64);
    if (trace >= 0)
      dprintf(trace, "%ld %lx %lx %lx %lx %lx %lx\n", call, a[0], a[1], a[2], a[3], a[4], a[5]);
    syscall(call, a[0], a[1], a[2], a[3], a[4], a[5]);
  }
  _exit(0);
}

int main(int argc, char** argv) {
  if (argc < 4) return 2;
  uint64_t first = strtoull(argv[1], NULL, 10);
  long seeds = atol(argv[2]), calls = atol(argv[3]);
  int trace = argc > 4 ? fcntl(2, F_DUPFD, 500) : -1;
  for (long i = 0; i < seeds; ++i) {
    pid_t child = fork();
    if (child < 0) return 1;
    if (child == 0) run_child(first + (uint64_t)i, calls, trace);
    // A child that has stopped itself, or blocked its alarm, is ended from here.
    struct timespec pause = {0, 10 * 1000 * 1000};
    int status, waited = 0;
    while (waitpid(child, &status, WNOHANG) == 0) {
      nanosleep(&pause, NULL);
      if (++waited == 500) kill(child, SIGKILL);
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == 2) return 1;
  }
  puts("done");
  return 0;
}
