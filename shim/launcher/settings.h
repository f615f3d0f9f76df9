// What the launcher itself takes from tine.toml.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace tine::launcher {

enum class Grouping {
  kNamespace,  // the annotated group, else one daemon for the namespace
  kPod,        // the annotated group, else the container's own
  kContainer,  // always the container's own
};

// The text of a key in a section of a tine.toml, or empty. Not a parser: lines
// it does not know are left to the daemon, which checks the file. `line`
// receives where the value stands.
std::string find_setting(std::string_view toml, std::string_view section, std::string_view key,
                         int& line);

// The configuration file: the first there is of `config_path`, $TINE_CONFIG
// and /etc/tine/tine.toml.
struct Configuration {
  std::string path;
  std::string text;  // empty where there is none
};

// Fails when a file that somebody named cannot be read.
Configuration load_configuration(const std::string& config_path);

// The same for who has to go on without: then it says nothing.
Configuration load_configuration_if_readable();

// TINE_SHIM_GROUP, else `group` of section [shim]. Fails on a bad value.
Grouping grouping_of(const Configuration& configuration);

// `path` of section [node]; empty where it says nothing.
std::string node_of(const Configuration& configuration);

// The group a container belongs to; nullopt with the reason in `why` when the
// bundle's config.json cannot be read as a JSON object.
std::optional<std::string> group_key(Grouping grouping, const std::string& bundle,
                                     const std::string& id, std::string& why);

}  // namespace tine::launcher
