// Starting the process that serves.
#pragma once

#include <string>
#include <vector>

#include "files.h"
#include "flags.h"
#include "node.h"

namespace tine::launcher {

// The arguments the daemon and `delete` get.
std::vector<std::string> daemon_arguments(const Flags& flags, const std::string& socket_path);

// Starts the daemon on `listener`, with stderr on the bundle's log, and returns
// when it serves. Fails, leaving no process and no socket behind, when it does
// not within ten seconds.
void start_daemon(const Flags& flags, const Node& node, const std::string& bundle,
                  const std::string& socket_path, UniqueFd listener);

}  // namespace tine::launcher
