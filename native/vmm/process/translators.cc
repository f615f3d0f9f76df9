#include "process/translators.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>

#include <cerrno>
#include <cstring>

#include "host/raw.h"
#include "process/descriptors.h"

namespace tine {
namespace {

constexpr const char* kHostTable = "/proc/sys/fs/binfmt_misc";
constexpr size_t kLargestTable = 1 << 20;

// One registration, its parts still as the text has them.
struct Registration {
  bool enabled = false;
  int descriptor = -1;
  std::string_view interpreter, flags, extension, magic, mask;
  uint64_t offset = 0;
  bool flag(char letter) const { return flags.find(letter) != flags.npos; }
};

bool take_word(std::string_view line, std::string_view word, std::string_view& rest) {
  if (!line.starts_with(word)) return false;
  rest = line.substr(word.size());
  while (rest.starts_with(' ')) rest.remove_prefix(1);
  return true;
}

uint64_t decimal(std::string_view text) {
  uint64_t value = 0;
  for (char c : text) {
    if (c < '0' || c > '9') break;
    value = value * 10 + static_cast<uint64_t>(c - '0');
  }
  return value;
}

// Takes one registration off the front of `text`. False: there is no more.
bool next_registration(std::string_view& text, Registration& r) {
  r = {};
  bool begun = false;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    std::string_view rest;
    // "descriptor", "enabled" and "disabled" begin the next one.
    const bool head = line == "enabled" || line == "disabled";
    const bool descriptor = take_word(line, "descriptor", rest);
    if (begun && (descriptor || (head && !r.interpreter.empty()))) return true;
    text = end == text.npos ? std::string_view() : text.substr(end + 1);
    if (line.empty()) continue;
    begun = true;
    if (descriptor) r.descriptor = static_cast<int>(decimal(rest));
    else if (head) r.enabled = line == "enabled";
    else if (take_word(line, "interpreter", rest)) r.interpreter = rest;
    else if (take_word(line, "flags:", rest)) r.flags = rest;
    else if (take_word(line, "extension", rest)) r.extension = rest;
    else if (take_word(line, "offset", rest)) r.offset = decimal(rest);
    else if (take_word(line, "magic", rest)) r.magic = rest;
    else if (take_word(line, "mask", rest)) r.mask = rest;
  }
  return begun;
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

// -1 past the end, or where the text is no number.
int hex_byte(std::string_view text, size_t index) {
  if (index * 2 + 1 >= text.size()) return -1;
  const int high = hex_digit(text[index * 2]), low = hex_digit(text[index * 2 + 1]);
  return high < 0 || low < 0 ? -1 : high * 16 + low;
}

// fs/binfmt_misc.c, search_binfmt_handler(); bytes behind the file's end are zero.
bool matches(const Registration& r, std::string_view head, std::string_view name) {
  if (!r.enabled || r.interpreter.empty()) return false;
  if (!r.extension.empty()) {
    const size_t dot = name.rfind('.');
    return dot != name.npos && name.substr(dot) == r.extension;
  }
  const size_t bytes = r.magic.size() / 2;
  if (!bytes || r.offset + bytes > static_cast<size_t>(kFormatBytes)) return false;
  for (size_t i = 0; i < bytes; i++) {
    const int want = hex_byte(r.magic, i), mask = r.mask.empty() ? 0xff : hex_byte(r.mask, i);
    const size_t at = r.offset + i;
    const int have = at < head.size() ? static_cast<uint8_t>(head[at]) : 0;
    if (want < 0 || mask < 0 || ((want ^ have) & mask)) return false;
  }
  return true;
}

bool read_all(int64_t fd, std::string& out) {
  char buffer[4096];
  uint64_t at = 0;
  for (;;) {
    const int64_t got = raw(SYS_pread64, static_cast<uint64_t>(fd), arg(buffer), sizeof buffer, at);
    if (got <= 0) return got == 0;
    out.append(buffer, static_cast<size_t>(got));
    at += static_cast<uint64_t>(got);
    if (out.size() > kLargestTable) return false;
  }
}

// The table becomes the monitor's; descriptors that it names move into their places, in the order it has them.
int64_t adopt(Process& process, const std::string& table) {
  std::string_view text = table;
  int count = 0;
  for (Registration r; next_registration(text, r);) {
    if (r.descriptor < 0) continue;
    if (count == kMostTranslators) return -E2BIG;
    const int64_t owned = own_descriptor(process, r.descriptor, kTranslatorPlace + count++, false);
    if (is_error(owned)) return owned;
  }
  const int64_t memory = raw(SYS_memfd_create, arg("tine-translators"), MFD_CLOEXEC);
  if (is_error(memory)) return memory;
  if (raw(SYS_write, memory, arg(table.data()), table.size()) != static_cast<int64_t>(table.size())) return -ENOMEM;
  const int64_t owned = own_descriptor(process, static_cast<int>(memory), kTranslatorTablePlace, false);
  if (is_error(owned)) return owned;
  process.translators = count + 1;
  return 0;
}

// One file of the host's table. What the kernel holds open for it (F) we open in its stead: here and now the path
// leads to the same file, later the guest may have another root.
void add_host_registration(int directory, const char* name, std::string& table, int& count) {
  const int64_t file = raw(SYS_openat, static_cast<uint64_t>(directory), arg(name), O_RDONLY | O_CLOEXEC);
  if (is_error(file)) return;
  std::string text;
  const bool whole = read_all(file, text);
  raw(SYS_close, file);
  std::string_view rest = text;
  Registration r;
  if (!whole || !next_registration(rest, r) || !r.enabled) return;
  if (r.flag('F') && count < kMostTranslators) {
    const std::string path(r.interpreter);
    const int64_t opened = raw(SYS_openat, static_cast<uint64_t>(AT_FDCWD), arg(path.c_str()), O_RDONLY | O_CLOEXEC);
    if (!is_error(opened)) {
      table += "descriptor " + std::to_string(opened) + "\n";
      count++;
    }
  }
  table += text;
  if (!table.ends_with('\n')) table += '\n';
}

}  // namespace

int64_t take_translators(Process& process, int fd) {
  std::string table;
  const bool whole = read_all(fd, table);
  raw(SYS_close, static_cast<uint64_t>(fd));
  if (!whole) return -EINVAL;
  return table.empty() ? 0 : adopt(process, table);
}

int64_t take_host_translators(Process& process) {
  const int64_t directory = raw(SYS_openat, static_cast<uint64_t>(AT_FDCWD), arg(kHostTable), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (is_error(directory)) return 0;
  std::string table, status;
  int count = 0;
  const int64_t file = raw(SYS_openat, directory, arg("status"), O_RDONLY | O_CLOEXEC);
  const bool enabled = !is_error(file) && read_all(file, status) && status == "enabled\n";
  if (!is_error(file)) raw(SYS_close, file);
  alignas(8) char entries[4096];
  int64_t got = 0;
  while (enabled && (got = raw(SYS_getdents64, directory, arg(entries), sizeof entries)) > 0)
    for (int64_t at = 0; at < got;) {
      const auto* entry = reinterpret_cast<const dirent64*>(entries + at);
      at += entry->d_reclen;
      const std::string_view name = entry->d_name;
      if (entry->d_type != DT_REG || name == "register" || name == "status") continue;
      add_host_registration(static_cast<int>(directory), entry->d_name, table, count);
    }
  raw(SYS_close, directory);
  return table.empty() ? 0 : adopt(process, table);
}

void inherit_translators(Process& process, int count) {
  process.translators = count;
  const int base = process.own().base;
  if (count) process.own().add(base + kTranslatorTablePlace);
  for (int i = 0; i + 1 < count; i++) process.own().add(base + kTranslatorPlace + i);
}

bool find_translator(const Process& process, std::string_view head, std::string_view name, Translator& found) {
  if (!process.translators) return false;
  const int base = process.own().base;
  std::string table;
  if (!read_all(base + kTranslatorTablePlace, table)) return false;
  std::string_view text = table;
  int opened = 0;
  for (Registration r; next_registration(text, r);) {
    const int fd = r.descriptor < 0 ? -1 : base + kTranslatorPlace + opened++;
    if (!matches(r, head, name)) continue;
    found.interpreter = r.interpreter;
    found.fd = fd;
    found.preserve_argv0 = r.flag('P');
    found.open_binary = r.flag('O') || r.flag('C');
    return true;
  }
  return false;
}

}  // namespace tine
