// The daemon's socket: its name, and who serves it.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "files.h"

namespace tine::launcher {

// Where containerd's own shims put their sockets.
inline constexpr char kSocketDirectory[] = "/run/containerd/s";

// The socket of one daemon, named as containerd's shims name theirs.
std::string socket_path(std::string_view directory, std::string_view containerd_address,
                        std::string_view namespace_name, std::string_view group);

// Either an invalid descriptor: a daemon serves `path` and promised to stay;
// or a listening socket, bound there just now with mode 0600, for the caller to
// have served. Fails when neither can be had.
UniqueFd claim_socket(const std::string& path);

// Removes a socket that nobody serves: what a daemon that was killed leaves. Whoever
// answers has `patience` to go: the kernel closes a killed process's descriptors one by
// one, and containerd knows of the first before the last.
void remove_if_dead(const std::string& path, std::chrono::milliseconds patience);

}  // namespace tine::launcher
