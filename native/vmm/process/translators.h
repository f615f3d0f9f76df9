// Programs that run files the processor cannot: the kernel's binfmt_misc, for a process whose execs the kernel does
// not see. The table is text, one registration after another as /proc/sys/fs/binfmt_misc/NAME shows it, in a memory
// file of the monitor's own that survives exec. A registration that begins with `descriptor N` was opened by whoever
// made the table.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "process/thread.h"

namespace tine {

// What a file is handed to (Documentation/admin-guide/binfmt-misc.rst).
struct Translator {
  std::string interpreter;      // its path, which becomes argv[0]
  int fd = -1;                  // open since it was registered (F), the monitor's own; -1: opened by path
  bool preserve_argv0 = false;  // P
  bool open_binary = false;     // O, and C, which means O too
};

constexpr int kFormatBytes = 256;  // BINPRM_BUF_SIZE: what of a file decides

// At the start: takes over the table that a runtime made (`fd`), else the host's registrations; -errno for a table
// that is none. Without registrations there is no table.
int64_t take_translators(Process& process, int fd);
int64_t take_host_translators(Process& process);
// In the monitor's next image: they are where they were.
void inherit_translators(Process& process, int count);

// Which one wants a file that begins with `head` and was named `name`. False: none.
bool find_translator(const Process& process, std::string_view head, std::string_view name, Translator& found);

}  // namespace tine
