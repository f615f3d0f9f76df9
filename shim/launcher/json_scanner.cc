#include "json_scanner.h"

#include <cstdint>

namespace tine::launcher {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

void append_utf8(std::string& text, std::uint32_t point) {
  if (point < 0x80) {
    text += static_cast<char>(point);
  } else if (point < 0x800) {
    text += static_cast<char>(0xc0 | (point >> 6));
    text += static_cast<char>(0x80 | (point & 0x3f));
  } else if (point < 0x10000) {
    text += static_cast<char>(0xe0 | (point >> 12));
    text += static_cast<char>(0x80 | ((point >> 6) & 0x3f));
    text += static_cast<char>(0x80 | (point & 0x3f));
  } else {
    text += static_cast<char>(0xf0 | (point >> 18));
    text += static_cast<char>(0x80 | ((point >> 12) & 0x3f));
    text += static_cast<char>(0x80 | ((point >> 6) & 0x3f));
    text += static_cast<char>(0x80 | (point & 0x3f));
  }
}

constexpr std::uint32_t kReplacement = 0xfffd;

class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  bool at_end() const { return position_ == text_.size(); }

  void skip_space() {
    while (!at_end() && (peek() == ' ' || peek() == '\t' || peek() == '\n' || peek() == '\r')) {
      ++position_;
    }
  }

  // Takes `c`, after any white space.
  bool take(char c) {
    skip_space();
    if (at_end() || peek() != c) {
      return false;
    }
    ++position_;
    return true;
  }

  bool next_is(char c) {
    skip_space();
    return !at_end() && peek() == c;
  }

  // A string; its text goes to `into` unless that is null.
  bool string(std::string* into) {
    if (!take('"')) {
      return false;
    }
    while (!at_end()) {
      const char c = text_[position_++];
      if (c == '"') {
        return true;
      }
      if (static_cast<unsigned char>(c) < 0x20) {
        return false;
      }
      if (c == '\\') {
        if (!escape(into)) {
          return false;
        }
      } else if (into != nullptr) {
        *into += c;
      }
    }
    return false;
  }

  // Any value, skipped. Containers are kept on a stack of one bit a level.
  bool value() {
    std::vector<bool> in_object;
    for (;;) {
      if (take('{')) {
        if (!take('}')) {
          if (in_object.size() == kMaximumJsonDepth || !key()) {
            return false;
          }
          in_object.push_back(true);
          continue;
        }
      } else if (take('[')) {
        if (!take(']')) {
          if (in_object.size() == kMaximumJsonDepth) {
            return false;
          }
          in_object.push_back(false);
          continue;
        }
      } else if (!scalar()) {
        return false;
      }
      // A value is complete: go on in its container, or leave containers that end with it.
      for (;;) {
        if (in_object.empty()) {
          return true;
        }
        if (take(',')) {
          if (in_object.back() && !key()) {
            return false;
          }
          break;
        }
        if (!take(in_object.back() ? '}' : ']')) {
          return false;
        }
        in_object.pop_back();
      }
    }
  }

 private:
  char peek() const { return text_[position_]; }

  bool key() { return string(nullptr) && take(':'); }

  bool scalar() {
    skip_space();
    if (at_end()) {
      return false;
    }
    if (peek() == '"') {
      return string(nullptr);
    }
    return word("true") || word("false") || word("null") || number();
  }

  bool word(std::string_view expected) {
    if (text_.substr(position_, expected.size()) != expected) {
      return false;
    }
    position_ += expected.size();
    return true;
  }

  bool digits() {
    const std::size_t start = position_;
    while (!at_end() && is_digit(peek())) {
      ++position_;
    }
    return position_ > start;
  }

  bool take_one_of(char first, char second) {
    if (at_end() || (peek() != first && peek() != second)) {
      return false;
    }
    ++position_;
    return true;
  }

  bool number() {
    take_one_of('-', '-');
    if (!take_one_of('0', '0') && !digits()) {
      return false;
    }
    if (take_one_of('.', '.') && !digits()) {
      return false;
    }
    if (take_one_of('e', 'E')) {
      take_one_of('+', '-');
      return digits();
    }
    return true;
  }

  std::optional<std::uint32_t> hexadecimal() {
    if (text_.size() - position_ < 4) {
      return std::nullopt;
    }
    std::uint32_t unit = 0;
    for (int count = 0; count < 4; ++count) {
      const char c = text_[position_++];
      unit <<= 4;
      if (is_digit(c)) {
        unit |= static_cast<std::uint32_t>(c - '0');
      } else if (c >= 'a' && c <= 'f') {
        unit |= static_cast<std::uint32_t>(c - 'a' + 10);
      } else if (c >= 'A' && c <= 'F') {
        unit |= static_cast<std::uint32_t>(c - 'A' + 10);
      } else {
        return std::nullopt;
      }
    }
    return unit;
  }

  // What follows a backslash. A lone surrogate becomes U+FFFD, as in Go.
  bool escape(std::string* into) {
    if (at_end()) {
      return false;
    }
    const char c = text_[position_++];
    if (c == 'u') {
      const std::optional<std::uint32_t> unit = hexadecimal();
      if (!unit) {
        return false;
      }
      std::uint32_t point = *unit;
      if (point >= 0xd800 && point < 0xe000) {
        point = kReplacement;
        const std::size_t after = position_;
        if (*unit < 0xdc00 && word("\\u")) {
          const std::optional<std::uint32_t> low = hexadecimal();
          if (low && *low >= 0xdc00 && *low < 0xe000) {
            point = 0x10000 + ((*unit - 0xd800) << 10) + (*low - 0xdc00);
          } else {
            position_ = after;
          }
        }
      }
      if (into != nullptr) {
        append_utf8(*into, point);
      }
      return true;
    }
    static constexpr std::string_view kLetters = "\"\\/bfnrt";
    static constexpr std::string_view kMeanings = "\"\\/\b\f\n\r\t";
    const std::size_t which = kLetters.find(c);
    if (which == std::string_view::npos) {
      return false;
    }
    if (into != nullptr) {
      *into += kMeanings[which];
    }
    return true;
  }

  std::string_view text_;
  std::size_t position_ = 0;
};

using Keys = std::span<const std::string_view>;

bool annotation_members(Scanner& scanner, Keys keys, Annotations& found) {
  if (scanner.take('}')) {
    return true;
  }
  do {
    std::string key;
    if (!scanner.string(&key) || !scanner.take(':')) {
      return false;
    }
    std::optional<std::string>* wanted = nullptr;
    for (std::size_t index = 0; index < keys.size(); ++index) {
      if (keys[index] == key) {
        wanted = &found.values[index];
      }
    }
    if (wanted != nullptr && scanner.next_is('"')) {
      if (!scanner.string(&wanted->emplace())) {
        return false;
      }
    } else if (!scanner.value()) {
      return false;
    }
  } while (scanner.take(','));
  return scanner.take('}');
}

bool document(Scanner& scanner, Keys keys, Annotations& found) {
  if (!scanner.take('{')) {
    return false;
  }
  if (!scanner.take('}')) {
    do {
      std::string key;
      if (!scanner.string(&key) || !scanner.take(':')) {
        return false;
      }
      if (key == "annotations" && scanner.take('{')) {
        if (!annotation_members(scanner, keys, found)) {
          return false;
        }
      } else if (!scanner.value()) {
        return false;
      }
    } while (scanner.take(','));
    if (!scanner.take('}')) {
      return false;
    }
  }
  scanner.skip_space();
  return scanner.at_end();
}

}  // namespace

Annotations find_annotations(std::string_view json, Keys keys) {
  Annotations found;
  found.values.resize(keys.size());
  Scanner scanner(json);
  found.valid = document(scanner, keys, found);
  if (!found.valid) {
    found.values.assign(keys.size(), std::nullopt);
  }
  return found;
}

}  // namespace tine::launcher
