// A program on its way to run: found, judged, loaded (process/image.cc, elf.cc, initial_stack.cc).
#pragma once
#include <string>
#include <vector>

#include "process/thread.h"

namespace tine {

// Result of looking at a program file and, for scripts, at what interprets it. Owns its descriptors.
struct Image {
  int fd = -1;              // the ELF file to run
  int interpreter_fd = -1;  // its PT_INTERP, where it has one
  int binary_fd = -1;       // AT_EXECFD: what a translator is to run, where it wants that open
  std::string name;         // AT_EXECFN
  std::string comm;         // base name of what was asked for
  // What scripts and translators put before the arguments, in the place of argv[0] or before it.
  std::vector<std::string> prefix;
  bool drops_argv0 = false;
  bool preserves_argv0 = false;  // AT_FLAGS says so: the translator finds it behind the path
  bool translated = false;       // made for another processor
  ~Image();
  Image() = default;
  Image(const Image&) = delete;
  Image& operator=(const Image&) = delete;
};

// Argument vectors with what the image puts before them. `make` turns its words into elements.
template <class T, class Make>
void put_prefix(const Image& image, std::vector<T>& argv, Make&& make) {
  if (image.drops_argv0 && !argv.empty()) argv.erase(argv.begin());
  std::vector<T> words;
  for (const std::string& word : image.prefix) words.push_back(make(word.c_str()));
  argv.insert(argv.begin(), words.begin(), words.end());
}

// Opens `path` (relative to `directory`; "" with AT_EMPTY_PATH means the descriptor itself) as execve does, follows
// `#!` lines, checks the format and the ELF interpreter. 0 or -errno as execve answers.
int64_t find_image(Thread& t, int directory, const char* path, int flags, Image& image);

// The argument vectors of a new program, in the monitor's memory.
struct Arguments {
  std::vector<const char*> argv, envp;
};

// Loads the image into the process's fresh address space and sets the thread's registers. 0 or -errno.
int64_t load_image(Thread& t, const Image& image, const Arguments& arguments);

// For load_image: one ELF file mapped.
struct LoadedElf {
  uint64_t entry = 0, base = 0, program_headers = 0, end = 0;
  uint64_t code_start = ~0ull, code_end = 0, data_start = 0, data_end = 0;
  uint64_t unwind = 0, unwind_end = 0;  // .eh_frame_hdr, and the end of its segment
  uint16_t header_count = 0;
  bool executable_stack = false;
};
enum class Placement { kProgram, kInterpreter };
int64_t map_elf(Thread& t, int fd, Placement placement, bool randomize, LoadedElf& elf);
// Maps the host's vDSO data pages and a copy of its code. 0 where the host has none.
uint64_t map_vdso(Thread& t);
uint64_t random_number();

}  // namespace tine
