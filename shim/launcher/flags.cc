#include "flags.h"

#include <optional>
#include <string_view>

namespace tine::launcher {
namespace {

std::string* text_flag(Flags& flags, std::string_view name) {
  if (name == "namespace") return &flags.namespace_name;
  if (name == "address") return &flags.address;
  if (name == "publish-binary") return &flags.publish_binary;
  if (name == "id") return &flags.id;
  if (name == "bundle") return &flags.bundle;
  if (name == "socket") return &flags.socket;
  return nullptr;
}

bool* switch_flag(Flags& flags, std::string_view name) {
  if (name == "debug") return &flags.debug;
  if (name == "v") return &flags.version;
  if (name == "info") return &flags.info;
  if (name == "help" || name == "h") return &flags.help;
  return nullptr;
}

// The spellings strconv.ParseBool takes.
std::optional<bool> boolean(std::string_view text) {
  for (const std::string_view yes : {"1", "t", "T", "true", "TRUE", "True"}) {
    if (text == yes) return true;
  }
  for (const std::string_view no : {"0", "f", "F", "false", "FALSE", "False"}) {
    if (text == no) return false;
  }
  return std::nullopt;
}

}  // namespace

std::string parse_flags(std::span<char* const> arguments, Flags& flags) {
  std::size_t index = 0;
  for (; index < arguments.size(); ++index) {
    std::string_view word = arguments[index];
    if (word.size() < 2 || word[0] != '-') {
      break;
    }
    word.remove_prefix(word[1] == '-' ? 2 : 1);
    if (word.empty()) {
      ++index;  // "--" ends the flags.
      break;
    }
    const std::size_t equals = word.find('=');
    const std::string_view name = word.substr(0, equals);
    std::optional<std::string_view> value;
    if (equals != std::string_view::npos) {
      value = word.substr(equals + 1);
    }
    if (bool* const on = switch_flag(flags, name)) {
      const std::optional<bool> parsed = boolean(value.value_or("true"));
      if (!parsed) {
        return "invalid boolean value \"" + std::string(*value) + "\" for -" + std::string(name);
      }
      *on = *parsed;
    } else if (std::string* const text = text_flag(flags, name)) {
      if (!value) {
        if (++index == arguments.size()) {
          return "flag needs an argument: -" + std::string(name);
        }
        value = arguments[index];
      }
      *text = *value;
    } else {
      return "flag provided but not defined: -" + std::string(name);
    }
  }
  if (index < arguments.size()) {
    flags.action = arguments[index];
  }
  return {};
}

}  // namespace tine::launcher
