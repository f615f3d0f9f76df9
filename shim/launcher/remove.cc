#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <ctime>
#include <fcntl.h>
#include <optional>
#include <string>
#include <string_view>
#include <unistd.h>
#include <vector>

#include "actions.h"
#include "daemon.h"
#include "files.h"
#include "node.h"
#include "protobuf.h"
#include "settings.h"
#include "socket.h"

namespace tine::launcher {
namespace {

// The socket that `start` wrote down; empty where it did not.
std::string recorded_socket(const std::string& bundle) {
  constexpr std::string_view kScheme = "unix://";
  const std::string recorded = read_file(bundle + "/address", 4096).value_or("");
  return recorded.starts_with(kScheme) ? recorded.substr(kScheme.size()) : std::string();
}

// The same; else the one `start` would use now. Empty when the bundle tells
// neither: there is then no daemon to ask.
std::string known_socket(const Flags& flags, const std::string& bundle) {
  if (std::string recorded = recorded_socket(bundle); !recorded.empty()) {
    return recorded;
  }
  std::string why;
  const std::optional<std::string> group =
      group_key(grouping_of(load_configuration(std::string())), bundle, flags.id, why);
  return group ? socket_path(kSocketDirectory, flags.address, flags.namespace_name, *group)
               : std::string();
}

std::string absolute(const std::string& path) {
  if (path.starts_with('/')) {
    return path;
  }
  char* const directory = getcwd(nullptr, 0);
  if (directory == nullptr) {
    fail_errno("the working directory");
  }
  std::string whole(directory);
  free(directory);
  return path.empty() || path == "." ? whole : whole + "/" + path;
}

// The runtime writes this file before it makes anything of a container, and
// removes it after it has taken everything back.
bool nothing_left(const std::string& bundle) {
  return access((bundle + "/jail.json").c_str(), F_OK) != 0 && errno == ENOENT;
}

// containerd waits for this action on every deletion, and nearly always the
// daemon has left nothing to do: not worth a start of Node.
int answer_killed() {
  constexpr std::uint32_t kKilled = 128 + SIGKILL;
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  const std::string answer =
      encode_delete_response(kKilled, static_cast<std::uint64_t>(now.tv_sec),
                             static_cast<std::uint32_t>(now.tv_nsec));
  return write_all(STDOUT_FILENO, answer) ? 0 : 1;
}

}  // namespace

int remove(const Flags& flags) {
  const std::string bundle = absolute(flags.bundle);
  const bool done = nothing_left(bundle);
  // A daemon leaves something only if it is killed.
  constexpr std::chrono::milliseconds kDying{500};
  if (const std::string socket = recorded_socket(bundle); !socket.empty()) {
    remove_if_dead(socket, done ? std::chrono::milliseconds{0} : kDying);
  }
  if (done) {
    return answer_killed();
  }
  // A container is cleaned up whatever the configuration has become.
  const Node node = find_node(node_of(load_configuration_if_readable()));
  std::vector<std::string> arguments = {node.library + "/linked/delete.cjs"};
  for (std::string& argument : daemon_arguments(flags, known_socket(flags, bundle))) {
    arguments.push_back(std::move(argument));
  }
  arguments.insert(arguments.end(), {"--bundle", bundle});
  const UniqueFd null(open("/dev/null", O_RDONLY | O_CLOEXEC));
  if (null) {
    dup2(null.get(), STDIN_FILENO);
  }
  execute(node, arguments);
  fail_errno(node.interpreter);
}

}  // namespace tine::launcher
