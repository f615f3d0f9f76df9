// Small pieces of text work without stdio: the monitor's threads share one C library state.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace tine {

inline void add_number(std::string& out, uint64_t value, unsigned base = 10, unsigned width = 0, char fill = '0') {
  char digits[65];
  unsigned count = 0;
  do {
    digits[count++] = "0123456789abcdef"[value % base];
    value /= base;
  } while (value);
  for (unsigned n = count; n < width; n++) out += fill;
  while (count) out += digits[--count];
}

// Takes a number off the front of `text`. False, and `text` unchanged, where there is none.
inline bool take_number(std::string_view& text, uint64_t& value, unsigned base = 10) {
  size_t used = 0;
  uint64_t sum = 0;
  for (; used < text.size(); used++) {
    const char c = text[used];
    const unsigned digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10u : 99u;
    if (digit >= base) break;
    sum = sum * base + digit;
  }
  if (used == 0) return false;
  text.remove_prefix(used);
  value = sum;
  return true;
}

inline bool take(std::string_view& text, char c) {
  if (text.empty() || text[0] != c) return false;
  text.remove_prefix(1);
  return true;
}

// The text up to the next `separator`, which is dropped; all of it where there is none.
inline std::string_view take_until(std::string_view& text, char separator) {
  const size_t at = text.find(separator);
  std::string_view piece = text.substr(0, at);
  text.remove_prefix(at == std::string_view::npos ? text.size() : at + 1);
  return piece;
}

inline void skip(std::string_view& text, char c) {
  while (take(text, c)) {
  }
}

// The whole text as a decimal number, or -1.
inline int64_t whole_number(std::string_view text) {
  uint64_t value = 0;
  if (text.size() > 18 || !take_number(text, value) || !text.empty()) return -1;
  return static_cast<int64_t>(value);
}

}  // namespace tine
