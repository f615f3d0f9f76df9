// The monitor's BPF against the kernel's: random programs, of which the kernel says whether it takes them and what
// they answer. Prints "N programs, M taken" or what differs; also probes a program given as a file:
//   bpf_kernel SEED COUNT
//   bpf_kernel FILE < lines of "number a0 a1 a2 a3 a4 a5" (hexadecimal), a line of what the kernel and the
//   interpreter answer for each: "allow", "errno N" or "signal N"
#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "host/raw.h"
#include "seccomp/bpf.h"

using namespace tine;

namespace {

uint64_t state;
uint32_t random_number() {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return static_cast<uint32_t>(state >> 16);
}

// What a child reports through shared memory.
struct Shared {
  volatile int64_t installed;
  volatile int64_t result;
  volatile int finished;
};

struct Outcome {
  int64_t installed;
  bool killed;
  int64_t result;
};

// Installs the program in a child and makes one call there. The child ends by SIGKILL or by the filter.
Outcome ask_kernel(Shared* shared, const std::vector<sock_filter>& program, const seccomp_data& data) {
  shared->installed = 0;
  shared->finished = 0;
  const pid_t child = fork();
  if (child == 0) {
    signal(SIGSEGV, SIG_DFL);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    sock_fprog header{static_cast<unsigned short>(program.size()), const_cast<sock_filter*>(program.data())};
    shared->installed = raw(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, arg(&header));
    if (shared->installed == 0) {
      shared->result =
          raw(data.nr, data.args[0], data.args[1], data.args[2], data.args[3], data.args[4], data.args[5]);
      shared->finished = 1;
    }
    for (;;) asm volatile("hlt");  // a fault ends the child whatever the filter does
  }
  int status = 0;
  waitpid(child, &status, 0);
  return {shared->installed, !shared->finished && WTERMSIG(status) == SIGSYS, shared->result};
}

uint16_t random_code() {
  static const uint16_t usual[] = {
      BPF_LD | BPF_W | BPF_ABS,   BPF_LD | BPF_IMM,            BPF_LDX | BPF_IMM,          BPF_LD | BPF_MEM,
      BPF_LDX | BPF_MEM,          BPF_ST,                      BPF_STX,                    BPF_ALU | BPF_ADD | BPF_K,
      BPF_ALU | BPF_SUB | BPF_X,  BPF_ALU | BPF_MUL | BPF_K,   BPF_ALU | BPF_DIV | BPF_K,  BPF_ALU | BPF_DIV | BPF_X,
      BPF_ALU | BPF_AND | BPF_X,  BPF_ALU | BPF_OR | BPF_K,    BPF_ALU | BPF_XOR | BPF_X,  BPF_ALU | BPF_LSH | BPF_K,
      BPF_ALU | BPF_LSH | BPF_X,  BPF_ALU | BPF_RSH | BPF_X,   BPF_ALU | BPF_NEG,          BPF_ALU | BPF_RSH | BPF_K,
      BPF_JMP | BPF_JA,           BPF_JMP | BPF_JEQ | BPF_K,   BPF_JMP | BPF_JGT | BPF_X,  BPF_JMP | BPF_JGE | BPF_K,
      BPF_JMP | BPF_JSET | BPF_K, BPF_MISC | BPF_TAX,          BPF_MISC | BPF_TXA,         BPF_LD | BPF_W | BPF_LEN,
      BPF_LDX | BPF_W | BPF_LEN,  BPF_JMP | BPF_JEQ | BPF_X,   BPF_JMP | BPF_JSET | BPF_X, BPF_ALU | BPF_XOR | BPF_K};
  return random_number() % 64 ? usual[random_number() % (sizeof usual / 2)] : static_cast<uint16_t>(random_number());
}

// Calls other than getpid pass, so that the child can report; for getpid the answer is the low bits of A.
std::vector<sock_filter> random_program() {
  std::vector<sock_filter> program = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getpid, 1, 0),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
      BPF_STMT(BPF_ST, 0),
      BPF_STMT(BPF_STX, 1),
  };
  const uint32_t body = random_number() % 24;
  for (uint32_t n = 0; n < body; n++) {
    sock_filter i{random_code(), 0, 0, random_number()};
    const uint32_t left = body - n;
    i.jt = static_cast<uint8_t>(random_number() % (left + (random_number() % 16 == 0)));
    i.jf = static_cast<uint8_t>(random_number() % (left + (random_number() % 16 == 0)));
    switch (random_number() % 4) {
      case 0: i.k %= 64; break;
      case 1: i.k = i.k % 18 * 4; break;
      case 2: i.k %= 18; break;
    }
    if (i.code == (BPF_JMP | BPF_JA)) i.k %= left + 1;
    if ((i.code & 7) == BPF_ST || BPF_MODE(i.code) == BPF_MEM) i.k %= random_number() % 4 ? 4 : 18;
    program.push_back(i);
  }
  program.push_back(BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0x7ff));
  program.push_back(BPF_STMT(BPF_ALU | BPF_OR | BPF_K, SECCOMP_RET_ERRNO));
  program.push_back(BPF_STMT(BPF_RET | BPF_A, 0));
  if (random_number() % 64 == 0) program.pop_back();
  return program;
}

int compare_random(Shared* shared, uint64_t seed, int count) {
  state = seed * 0x9e3779b97f4a7c15ull + 1;
  int taken = 0, always = 0;
  for (int n = 0; n < count; n++) {
    const std::vector<sock_filter> program = random_program();
    seccomp_data data{};
    data.nr = SYS_getpid;
    data.arch = AUDIT_ARCH_X86_64;
    for (auto& argument : data.args) argument = static_cast<uint64_t>(random_number()) << 32 | random_number();
    const int64_t checked = bpf_check(program);
    // The instruction pointer is not the same in the child, so a program that reads it is only checked.
    bool reads_pointer = false;
    for (const auto& i : program)
      reads_pointer |= i.code == (BPF_LD | BPF_W | BPF_ABS) && (i.k == 8 || i.k == 12);
    const Outcome kernel = ask_kernel(shared, program, data);
    if (kernel.installed != checked) {
      printf("program %d: the kernel says %lld, the checker %lld\n", n, static_cast<long long>(kernel.installed),
             static_cast<long long>(checked));
      for (const auto& i : program) printf("  {%#x, %u, %u, %#x}\n", i.code, i.jt, i.jf, i.k);
      return 1;
    }
    if (checked) continue;
    taken++;
    if (bpf_always_allows(program, data.arch, SYS_getppid)) always++;
    if (reads_pointer) continue;
    const uint32_t verdict = bpf_run(program, data);
    // A jump may go round the end that makes an errno of A: then any action may come out.
    const uint32_t action = verdict & SECCOMP_RET_ACTION_FULL;
    if (action == SECCOMP_RET_ALLOW || action == SECCOMP_RET_LOG) continue;
    const bool refused = action == SECCOMP_RET_TRACE || action == SECCOMP_RET_USER_NOTIF;
    const bool killed = action != SECCOMP_RET_ERRNO && !refused;
    const uint32_t data_bits = verdict & SECCOMP_RET_DATA;
    const int64_t expected = -static_cast<int64_t>(refused ? ENOSYS : data_bits < 4095 ? data_bits : 4095);
    if (killed != kernel.killed || (!killed && expected != kernel.result)) {
      printf("program %d: the kernel gives %lld killed %d, the interpreter %#x\n", n,
             static_cast<long long>(kernel.result), kernel.killed, verdict);
      for (const auto& i : program) printf("  {%#x, %u, %u, %#x}\n", i.code, i.jt, i.jf, i.k);
      return 1;
    }
  }
  if (always != taken) {
    printf("%d of %d programs are known to allow getppid\n", always, taken);
    return 1;
  }
  printf("%d programs, %d taken\n", count, taken);
  return taken < count / 10;
}

const char* describe(char* out, size_t size, bool killed, bool allowed, int64_t error) {
  if (killed)
    snprintf(out, size, "kill");
  else if (allowed)
    snprintf(out, size, "allow");
  else
    snprintf(out, size, "errno %lld", static_cast<long long>(error));
  return out;
}

// The call itself must not do anything when it is allowed: the child is killed by its parent's filter first. So
// a second filter, newer than the one in question, turns ALLOW into errno 4000, which no profile here uses.
int probe_file(Shared* shared, const char* path) {
  FILE* file = fopen(path, "rb");
  if (!file) return 2;
  std::vector<sock_filter> program(5000);
  program.resize(fread(program.data(), sizeof(sock_filter), program.size(), file));
  fclose(file);
  if (bpf_check(program)) {
    printf("refused by the checker\n");
    return 1;
  }
  unsigned long long n, a[6];
  while (scanf("%llx %llx %llx %llx %llx %llx %llx", &n, &a[0], &a[1], &a[2], &a[3], &a[4], &a[5]) == 7) {
    seccomp_data data{};
    data.nr = static_cast<int>(n);
    data.arch = AUDIT_ARCH_X86_64;
    for (int i = 0; i < 6; i++) data.args[i] = a[i];
    // RET_ERRNO 4000 where the program allows: as a prefix it cannot be, so every ALLOW in a copy is replaced.
    std::vector<sock_filter> marked = program;
    for (auto& i : marked)
      if (i.code == (BPF_RET | BPF_K) && i.k == SECCOMP_RET_ALLOW) i.k = SECCOMP_RET_ERRNO | 4000;
    const Outcome kernel = ask_kernel(shared, marked, data);
    if (kernel.installed) {
      printf("refused by the kernel: %lld\n", static_cast<long long>(kernel.installed));
      return 1;
    }
    const uint32_t verdict = bpf_run(program, data);
    const uint32_t action = verdict & SECCOMP_RET_ACTION_FULL;
    char first[40], second[40];
    printf("%s, %s\n", describe(first, sizeof first, kernel.killed, kernel.result == -4000, -kernel.result),
           describe(second, sizeof second, action == SECCOMP_RET_KILL_THREAD || action == SECCOMP_RET_KILL_PROCESS,
                    action == SECCOMP_RET_ALLOW, verdict & SECCOMP_RET_DATA));
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  auto* shared = static_cast<Shared*>(
      mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  if (argc == 3) return compare_random(shared, strtoull(argv[1], nullptr, 10), atoi(argv[2]));
  if (argc == 2) return probe_file(shared, argv[1]);
  return 2;
}
