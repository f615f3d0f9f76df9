#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <unistd.h>

#include "actions.h"
#include "daemon.h"
#include "files.h"
#include "protobuf.h"
#include "settings.h"
#include "socket.h"

namespace tine::launcher {
namespace {

constexpr std::size_t kMaximumInput = 4 << 20;

// containerd 2.3 and later take version 3 of the Task service from a
// BootstrapResult; every version takes version 2 from a plain address.
constexpr std::uint32_t kBootstrapVersion = 3;

std::string read_input() {
  // A person at a terminal has no options to give.
  if (isatty(STDIN_FILENO)) {
    return {};
  }
  std::optional<std::string> input = read_all(STDIN_FILENO, kMaximumInput);
  if (!input) {
    fail_errno("standard input");
  }
  return *std::move(input);
}

// The configuration file that runtime options name, wherever they came from.
std::string configured_path(const std::optional<BootstrapParams>& parameters,
                            const std::string& input) {
  if (parameters) {
    for (const Any& extension : parameters->extensions) {
      if (std::string path = config_path_of(extension); !path.empty()) {
        return path;
      }
    }
    return {};
  }
  const std::optional<Any> options = parse_any(input);
  return options ? config_path_of(*options) : std::string();
}

std::string without_scheme(std::string_view address) {
  constexpr std::string_view kScheme = "unix://";
  if (address.starts_with(kScheme)) {
    address.remove_prefix(kScheme.size());
  }
  return std::string(address);
}

}  // namespace

int start(const Flags& flags) {
  const std::string input = read_input();
  const std::optional<BootstrapParams> parameters = parse_bootstrap_params(input, flags.id);
  if (parameters && !parameters->ttrpc_address.empty()) {
    setenv("TTRPC_ADDRESS", without_scheme(parameters->ttrpc_address).c_str(), 1);
  }

  const std::string bundle = flags.bundle.empty() ? "." : flags.bundle;
  const Configuration configuration = load_configuration(configured_path(parameters, input));
  std::string path = without_scheme(flags.socket);
  if (path.empty()) {
    std::string why;
    const std::optional<std::string> group =
        group_key(grouping_of(configuration), bundle, flags.id, why);
    if (!group) {
      fail(why);
    }
    const bool overridden = parameters && !parameters->socket_dir.empty();
    path = socket_path(overridden ? parameters->socket_dir : kSocketDirectory, flags.address,
                       flags.namespace_name, *group);
  }

  if (UniqueFd listener = claim_socket(path)) {
    start_daemon(flags, find_node(node_of(configuration)), bundle, path, std::move(listener));
  }
  const std::string address = "unix://" + path;
  // containerd 1.x finds the shim again by this file after a restart.
  if (!write_atomically(bundle, "address", address)) {
    fail_errno(bundle + "/address");
  }
  const std::string answer =
      parameters ? encode_bootstrap_result(kBootstrapVersion, address) : address;
  return write_all(STDOUT_FILENO, answer) ? 0 : 1;
}

}  // namespace tine::launcher
