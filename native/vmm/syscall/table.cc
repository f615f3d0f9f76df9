#include "syscall/table.h"

#include <errno.h>

#include <array>
#include <string>

#include "syscall/handlers.h"

namespace tine {
namespace {

#if defined(__x86_64__)
#define TINE_GUEST_NUMBER(x86, arm) x86
#else
#define TINE_GUEST_NUMBER(x86, arm) arm
#endif

consteval PassSpec parse(const char* text) {
  PassSpec spec;
  int index = 0;
  for (const char* c = text; *c; ++c) {
    uint8_t bit = static_cast<uint8_t>(1u << index);
    switch (*c) {
      case '+': spec.gate = Gate::hold; continue;
      case '~': spec.gate = Gate::wait; continue;
      case '>': spec.makes_descriptor = true; continue;
      case '-': continue;
      case 'i': break;
      case 'a': spec.at_flags = static_cast<int8_t>(index); break;
      case 'f': spec.descriptors |= bit; break;
      case 'd': spec.directories |= bit; break;
      case 's':
      case 'p': spec.pointers |= bit; break;
      case 'l': spec.follows = false; [[fallthrough]];
      case 'S': spec.paths |= bit; break;
      default: __builtin_abort();  // a letter that does not exist: the constant expression fails to compile
    }
    if (++index > 6) __builtin_abort();
  }
  return spec;
}

struct NumberedRow {
  int number;
  CallRow row;
};

constexpr NumberedRow kRows[] = {
#define PASS(x86, arm, name, spec, note) \
  {TINE_GUEST_NUMBER(x86, arm), {#name, CallClass::pass, 0, "", nullptr, parse(spec), note}},
#define EMULATED(x86, arm, name, note) \
  {TINE_GUEST_NUMBER(x86, arm), {#name, CallClass::emulated, 0, "", sys_##name, {}, note}},
#define REFUSED(x86, arm, name, error, note) \
  {TINE_GUEST_NUMBER(x86, arm), {#name, CallClass::refused, error, #error, nullptr, {}, note}},
#include "syscall/table.def"
#undef PASS
#undef EMULATED
#undef REFUSED
};

constexpr std::array<CallRow, kCallLimit> by_number() {
  std::array<CallRow, kCallLimit> table{};
  for (const NumberedRow& row : kRows)
    if (row.number >= 0) table[static_cast<size_t>(row.number)] = row.row;
  return table;
}

constexpr std::array<CallRow, kCallLimit> kTable = by_number();
constexpr CallRow kUnknown{};

const char* class_name(CallClass kind) {
  switch (kind) {
    case CallClass::pass: return "passed";
    case CallClass::emulated: return "emulated";
    case CallClass::refused: return "refused";
    case CallClass::unknown: break;
  }
  return "unknown";
}

void append_quoted(std::string& out, const char* text) {
  out += '"';
  for (; *text; ++text) {
    if (*text == '"' || *text == '\\') out += '\\';
    out += *text;
  }
  out += '"';
}

}  // namespace

const CallRow& call_row(uint32_t number) { return number < kCallLimit ? kTable[number] : kUnknown; }

const char* call_name(uint32_t number) {
  const char* name = call_row(number).name;
  return name ? name : "?";
}

void print_call_table(int fd) {
  std::string out = "[";
  bool first = true;
  for (uint32_t number = 0; number < kCallLimit; ++number) {
    const CallRow& row = kTable[number];
    if (!row.name) continue;
    out += first ? "\n{\"number\":" : ",\n{\"number\":";
    first = false;
    out += std::to_string(number) + ",\"name\":";
    append_quoted(out, row.name);
    out += ",\"class\":";
    append_quoted(out, class_name(row.kind));
    out += ",\"errno\":";
    append_quoted(out, row.error_name);
    out += ",\"note\":";
    append_quoted(out, row.note);
    out += "}";
  }
  out += "\n]\n";
  for (size_t done = 0; done < out.size();) {
    int64_t wrote = raw(SYS_write, static_cast<uint64_t>(fd), arg(out.data() + done), out.size() - done);
    if (wrote == -EINTR) continue;
    if (wrote <= 0) return;
    done += static_cast<size_t>(wrote);
  }
}

}  // namespace tine
