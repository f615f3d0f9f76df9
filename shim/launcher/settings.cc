#include "settings.h"

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <span>

#include "files.h"
#include "json_scanner.h"

namespace tine::launcher {
namespace {

constexpr const char* kDefaultPath = "/etc/tine/tine.toml";
constexpr std::size_t kMaximumTomlSize = 1 << 20;
constexpr std::size_t kMaximumConfigSize = 64 << 20;

std::string_view trim(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r";
  const std::size_t first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) {
    return {};
  }
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

// `group = "value"` with one of TOML's two quotes and perhaps a comment behind it.
std::string_view quoted_value(std::string_view text) {
  if (text.empty() || (text[0] != '"' && text[0] != '\'')) {
    return {};
  }
  const std::size_t end = text.find(text[0], 1);
  return end == std::string_view::npos ? std::string_view() : text.substr(1, end - 1);
}

std::optional<Grouping> grouping_named(std::string_view name) {
  if (name == "namespace") return Grouping::kNamespace;
  if (name == "pod") return Grouping::kPod;
  if (name == "container") return Grouping::kContainer;
  return std::nullopt;
}

[[noreturn]] void fail_value(const std::string& where, std::string_view value) {
  fail(where + ": \"" + std::string(value) + "\" is none of namespace, pod, container");
}

}  // namespace

std::string find_setting(std::string_view toml, std::string_view wanted_section,
                         std::string_view wanted_key, int& line) {
  const std::string dotted = std::string(wanted_section) + "." + std::string(wanted_key);
  std::string section;
  line = 0;
  while (!toml.empty()) {
    const std::size_t end = toml.find('\n');
    const std::string_view text = trim(toml.substr(0, end));
    toml.remove_prefix(end == std::string_view::npos ? toml.size() : end + 1);
    ++line;
    if (text.empty() || text[0] == '#') {
      continue;
    }
    if (text[0] == '[') {
      const std::size_t close = text.find(']');
      section = trim(text.substr(1, close == std::string_view::npos ? close : close - 1));
      continue;
    }
    const std::size_t equals = text.find('=');
    if (equals == std::string_view::npos) {
      continue;
    }
    const std::string_view key = trim(text.substr(0, equals));
    if ((section == wanted_section && key == wanted_key) || (section.empty() && key == dotted)) {
      return std::string(quoted_value(trim(text.substr(equals + 1))));
    }
  }
  return {};
}

Configuration load_configuration(const std::string& config_path) {
  const char* const from_environment = getenv("TINE_CONFIG");
  std::string path = config_path;
  if (path.empty() && from_environment != nullptr) {
    path = from_environment;
  }
  const bool chosen = !path.empty();
  if (!chosen) {
    path = kDefaultPath;
  }
  std::optional<std::string> toml = read_file(path, kMaximumTomlSize);
  // Only the default place may be empty.
  if (!toml && (chosen || errno != ENOENT)) {
    fail_errno(path);
  }
  return {std::move(path), std::move(toml).value_or("")};
}

Configuration load_configuration_if_readable() {
  const char* const from_environment = getenv("TINE_CONFIG");
  const bool chosen = from_environment != nullptr && *from_environment != '\0';
  std::string path = chosen ? from_environment : kDefaultPath;
  return {path, read_file(path, kMaximumTomlSize).value_or("")};
}

Grouping grouping_of(const Configuration& configuration) {
  if (const char* const value = getenv("TINE_SHIM_GROUP"); value != nullptr && *value != '\0') {
    const std::optional<Grouping> grouping = grouping_named(value);
    if (!grouping) {
      fail_value("TINE_SHIM_GROUP", value);
    }
    return *grouping;
  }
  int line = 0;
  const std::string value = find_setting(configuration.text, "shim", "group", line);
  if (value.empty()) {
    return Grouping::kNamespace;
  }
  const std::optional<Grouping> grouping = grouping_named(value);
  if (!grouping) {
    fail_value(configuration.path + ":" + std::to_string(line) + ": shim.group", value);
  }
  return *grouping;
}

std::string node_of(const Configuration& configuration) {
  int line = 0;
  return find_setting(configuration.text, "node", "path", line);
}

std::optional<std::string> group_key(Grouping grouping, const std::string& bundle,
                                     const std::string& id, std::string& why) {
  if (grouping == Grouping::kContainer) {
    return id;
  }
  const std::string path = bundle + "/config.json";
  const std::optional<std::string> json = read_file(path, kMaximumConfigSize);
  if (!json) {
    why = path + ": " + strerror(errno);
    return std::nullopt;
  }
  static constexpr std::array<std::string_view, 2> kKeys = {"io.containerd.runc.v2.group",
                                                             "io.kubernetes.cri.sandbox-id"};
  const Annotations annotations = find_annotations(*json, kKeys);
  if (!annotations.valid) {
    why = path + ": not a JSON object";
    return std::nullopt;
  }
  for (const std::optional<std::string>& value : annotations.values) {
    if (value && !value->empty()) {
      return *value;
    }
  }
  return grouping == Grouping::kPod ? id : std::string();
}

}  // namespace tine::launcher
