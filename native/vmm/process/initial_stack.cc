#include "process/initial_stack.h"

#include <elf.h>
#include <sys/auxv.h>

#include <cerrno>
#include <cstring>

#include "arch/arch.h"
#include "host/raw.h"
#include "memory/address_space.h"
#include "memory/guest_copy.h"
#include "signal/signal.h"

namespace tine {

int64_t write_initial_stack(Thread& t, const StackPlan& plan, const Arguments& arguments) {
  Process& process = *t.process;
  AddressSpace& space = *process.space;
  // Strings from the top down, as Linux lays them out: file name, environment, arguments, each run in order, so that
  // arguments and environment are neighbours (programs that set their title write over both).
  uint64_t at = plan.top - 8;
  std::string name(plan.name);
  at -= name.size() + 1;
  uint64_t name_at = at;
  if (!copy_out({name_at}, name.c_str(), name.size() + 1)) return -EFAULT;
  uint64_t strings = 0;
  for (const char* s : arguments.argv) strings += std::strlen(s) + 1;
  uint64_t argument_bytes = strings;
  for (const char* s : arguments.envp) strings += std::strlen(s) + 1;
  at -= strings;
  space.arg_start = at;
  space.arg_end = space.env_start = at + argument_bytes;
  space.env_end = at + strings;
  std::vector<uint64_t> words;
  words.push_back(arguments.argv.size());
  uint64_t cursor = at;
  for (const auto* list : {&arguments.argv, &arguments.envp}) {
    for (const char* s : *list) {
      size_t bytes = std::strlen(s) + 1;
      if (!copy_out({cursor}, s, bytes)) return -EFAULT;
      words.push_back(cursor);
      cursor += bytes;
    }
    words.push_back(0);
  }
  const char* platform = arch_platform();
  at = (at & ~15ull) - 16;
  uint64_t platform_at = at;
  if (!copy_out({at}, platform, std::strlen(platform) + 1)) return -EFAULT;
  at -= 16;
  uint64_t random_at = at;
  uint64_t random[2] = {random_number(), random_number()};
  if (!copy_out({at}, random, sizeof random)) return -EFAULT;
  at &= ~15ull;

  std::vector<uint64_t> aux;
  auto put_aux = [&](uint64_t type, uint64_t value) {
    aux.push_back(type);
    aux.push_back(value);
  };
  if (plan.vdso) put_aux(AT_SYSINFO_EHDR, plan.vdso);
  put_aux(AT_MINSIGSTKSZ, arch_signal_stack_minimum());
  put_aux(AT_HWCAP, arch_hardware_capabilities(AT_HWCAP, getauxval(AT_HWCAP)));
  put_aux(AT_PAGESZ, kPage);
  put_aux(AT_CLKTCK, 100);
  put_aux(AT_PHDR, plan.program->program_headers);
  put_aux(AT_PHENT, sizeof(Elf64_Phdr));
  put_aux(AT_PHNUM, plan.program->header_count);
  put_aux(AT_BASE, plan.interpreter ? plan.interpreter->base : 0);
  put_aux(AT_FLAGS, plan.preserves_argv0 ? 1 : 0);  // AT_FLAGS_PRESERVE_ARGV0
  put_aux(AT_ENTRY, plan.program->entry);
  put_aux(AT_UID, static_cast<uint64_t>(raw(SYS_getuid)));
  put_aux(AT_EUID, static_cast<uint64_t>(raw(SYS_geteuid)));
  put_aux(AT_GID, static_cast<uint64_t>(raw(SYS_getgid)));
  put_aux(AT_EGID, static_cast<uint64_t>(raw(SYS_getegid)));
  put_aux(AT_SECURE, 0);
  put_aux(AT_RANDOM, random_at);
  put_aux(AT_HWCAP2, arch_hardware_capabilities(AT_HWCAP2, getauxval(AT_HWCAP2)));
  put_aux(AT_EXECFN, name_at);
  put_aux(AT_PLATFORM, platform_at);
  if (plan.binary_fd >= 0) put_aux(AT_EXECFD, static_cast<uint64_t>(plan.binary_fd));
  put_aux(AT_NULL, 0);

  uint64_t total = (words.size() + aux.size()) * 8;
  at = (at - total) & ~15ull;
  if (!copy_out({at}, words.data(), words.size() * 8) || !copy_out({at + words.size() * 8}, aux.data(), aux.size() * 8)) return -EFAULT;
  space.auxv_address = at + words.size() * 8;
  process.auxv_words = static_cast<int>(aux.size());
  std::memcpy(process.auxv, aux.data(), aux.size() * 8);
  return static_cast<int64_t>(at);
}

}  // namespace tine
