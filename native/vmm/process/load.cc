// Loads a found image into a fresh address space: layout, ELF files, vDSO, stack, names.
#include <fcntl.h>
#include <linux/prctl.h>
#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "arch/arch.h"
#include "host/raw.h"
#include "kvm/vcpu.h"
#include "memory/address_space.h"
#include "memory/write_key.h"
#include "process/image.h"
#include "process/initial_stack.h"

namespace tine {
namespace {

constexpr uint64_t page_up(uint64_t n) { return (n + kPage - 1) & ~(kPage - 1); }
constexpr uint32_t kNoRandomize = 0x0040000;  // ADDR_NO_RANDOMIZE
constexpr uint64_t kExtentUnit = 32ull << 20;
constexpr uint64_t kStackMapped = 8ull << 20;   // host side, so that the kernel can write where the stack will grow
constexpr uint64_t kStackWarm = 64 << 10;  // of its top, brought in before the program starts
constexpr uint64_t kStackShown = 132ull << 10;  // what a new stack shows in /proc/self/maps
// Pages of the heap come in aligned groups (memory/write_key.h); Linux begins it at any page.
constexpr uint64_t heap_start(uint64_t at) { return (at + kNeighbours * kPage - 1) & ~(kNeighbours * kPage - 1); }
constexpr uint64_t kLargestStackRoom = 16ull << 30;

// prctl(PR_SET_MM_MAP): the kernel's notion of where the program keeps its arguments, so that ps and /proc/PID/cmdline
// read them from guest memory. Where the kernel refuses, they show the monitor's.
void tell_kernel(const AddressSpace& space) {
  auto host = [](uint64_t g) { return to_host({g}).v; };
  prctl_mm_map map{};
  map.start_code = host(space.code_start);
  map.end_code = host(space.code_end);
  map.start_data = host(space.data_start);
  map.end_data = host(space.data_end);
  map.start_brk = map.brk = host(space.brk_start);
  map.start_stack = host(space.stack_top - kPage);
  map.arg_start = host(space.arg_start);
  map.arg_end = host(space.arg_end);
  map.env_start = host(space.env_start);
  map.env_end = host(space.env_end);
  map.exe_fd = ~0u;
  raw(SYS_prctl, PR_SET_MM, PR_SET_MM_MAP, arg(&map), sizeof map, 0);
}

}  // namespace

int64_t load_image(Thread& t, const Image& image, const Arguments& arguments) {
  Process& process = *t.process;
  AddressSpace& space = *process.space;
  bool randomize = !(process.personality & kNoRandomize);

  // Stack at the top, libraries below it in the same extent: each extent is a memory slot, and slots cost at fork.
  uint64_t room = std::clamp<uint64_t>(process.stack_limit.rlim_cur, kStackMapped, kLargestStackRoom);
  uint64_t top = kGuestEnd;
  if (randomize) {
    uint64_t r = random_number();
    top = kGuestEnd - (r & 0x1fff) * kExtentUnit - ((r >> 13) & 0x3ff) * kPage - (r >> 23 & 0xff) * 16;
  }
  space.stack_top = page_up(top);
  space.stack_floor = space.stack_top - kStackMapped;
  space.mmap_top = space.stack_top - page_up(room) - (1ull << 20);
  int64_t mapped = raw(SYS_mmap, to_host({space.stack_floor}).v, kStackMapped, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED | MAP_STACK, ~0ull, 0);
  if (is_error(mapped)) return mapped;

  LoadedElf program, interpreter;
  if (int64_t result = map_elf(t, image.fd, Placement::kProgram, randomize, program)) return result;
  if (image.interpreter_fd >= 0)
    if (int64_t result = map_elf(t, image.interpreter_fd, Placement::kInterpreter, randomize, interpreter)) return result;

  if (image.interpreter_fd >= 0) {
    space.loader_start = interpreter.code_start;
    space.loader_end = interpreter.code_end;
    if (process.exitless != static_cast<int>(Exitless::kOff) && arch_exits_are_dear())
      space.call_sites.change_loader(process.loader_sites, interpreter.code_start, interpreter.code_end - interpreter.code_start, interpreter.unwind,
                                     interpreter.unwind_end - interpreter.unwind);
  }
  space.code_start = program.code_start == ~0ull ? program.base : program.code_start;
  space.code_end = program.code_end;
  space.data_start = program.data_start;
  space.data_end = program.data_end;
  space.brk_start = randomize ? heap_start(page_up(program.end) + (random_number() & 0x3ff) * kPage) : page_up(program.end);
  space.brk_now = space.brk_start;

  uint32_t stack_prot = PROT_READ | PROT_WRITE | (program.executable_stack ? static_cast<uint32_t>(PROT_EXEC) : 0u);
  uint64_t needed = 0;
  for (const auto* list : {&arguments.argv, &arguments.envp})
    for (const char* s : *list) needed += std::strlen(s) + 9;
  uint64_t shown = std::min(page_up(kStackShown + needed), kStackMapped);
  raw(SYS_madvise, to_host({space.stack_top - kStackWarm}).v, kStackWarm, MADV_POPULATE_WRITE);
  space.replace({space.stack_top - shown, space.stack_top, stack_prot, kVmaStack});

  StackPlan plan;
  plan.top = top & ~15ull;
  plan.vdso = space.vdso = map_vdso(t);
  plan.program = &program;
  plan.interpreter = image.interpreter_fd >= 0 ? &interpreter : nullptr;
  plan.name = image.name;
  plan.preserves_argv0 = image.preserves_argv0;
  if (image.binary_fd >= 0) {
    // fs/exec.c, begin_new_exec(): the new program's lowest number, which stays open.
    int64_t given = raw(SYS_fcntl, static_cast<uint64_t>(image.binary_fd), F_DUPFD, 0);
    if (is_error(given)) return given;
    plan.binary_fd = static_cast<int>(given);
  }
  int64_t stack = write_initial_stack(t, plan, arguments);
  if (is_error(stack)) return stack;

  tell_kernel(space);
  char comm[16] = {};
  std::strncpy(comm, image.comm.c_str(), sizeof comm - 1);
  raw(SYS_prctl, PR_SET_NAME, arg(comm));
  start_guest_registers(*t.vcpu, {plan.interpreter ? interpreter.entry : program.entry}, {static_cast<uint64_t>(stack)});
  return 0;
}

}  // namespace tine
