// The command line, in the single-dash form of Go's flag package.
#pragma once

#include <span>
#include <string>

namespace tine::launcher {

struct Flags {
  std::string namespace_name;
  std::string address;
  std::string publish_binary = "containerd";
  std::string id;
  std::string bundle;
  std::string socket;
  bool debug = false;
  bool version = false;
  bool info = false;
  bool help = false;
  std::string action;
};

// What a user may have typed wrong: empty when the flags are in order. As with
// Go, `-flag value`, `-flag=value` and `--flag` are one; the first word that is
// no flag, or what follows `--`, is the action.
std::string parse_flags(std::span<char* const> arguments, Flags& flags);

}  // namespace tine::launcher
