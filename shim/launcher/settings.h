// How containers are gathered into daemons.
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

// The value of `group` in section [shim] of a tine.toml, or empty. Not a
// parser: lines it does not know are left to the daemon, which checks the
// file. `line` receives where the value stands.
std::string find_shim_group(std::string_view toml, int& line);

// The configured grouping: TINE_SHIM_GROUP, else the first file there is of
// `config_path`, $TINE_CONFIG and /etc/tine/tine.toml. Fails on a bad value.
Grouping load_grouping(const std::string& config_path);

// The group a container belongs to; nullopt with the reason in `why` when the
// bundle's config.json cannot be read as a JSON object.
std::optional<std::string> group_key(Grouping grouping, const std::string& bundle,
                                     const std::string& id, std::string& why);

}  // namespace tine::launcher
