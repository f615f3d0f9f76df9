#include "socket.h"

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <optional>
#include <poll.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <thread>
#include <unistd.h>

#include "protobuf.h"
#include "sha256.h"

namespace tine::launcher {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

// How long a daemon may take to say whether it stays, and how long one that is
// leaving may take to go.
constexpr milliseconds kAnswerTime{2000};
constexpr milliseconds kLeavingTime{5000};
constexpr milliseconds kLeavingPause{10};

constexpr std::size_t kFrameHeader = 10;
constexpr std::uint32_t kMaximumAnswer = 1 << 16;
constexpr unsigned kUnavailable = 14;

// containerd's own limit; the kernel's is 107 and a zero.
constexpr std::size_t kLongestPath = 106;

sockaddr_un address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() > kLongestPath) {
    fail(path + ": longer than a socket's name may be (106 bytes)");
  }
  memcpy(address.sun_path, path.data(), path.size());
  return address;
}

void make_directories(const std::string& path) {
  for (std::size_t slash = path.find('/', 1); slash != std::string::npos;
       slash = path.find('/', slash + 1)) {
    mkdir(path.substr(0, slash).c_str(), 0711);
  }
}

enum class Answer { kStays, kLeaves };

bool wait_readable(int fd, Clock::time_point deadline) {
  const auto left = std::chrono::duration_cast<milliseconds>(deadline - Clock::now()).count();
  pollfd entry{fd, POLLIN, 0};
  return left > 0 && poll(&entry, 1, static_cast<int>(left)) > 0;
}

// Reads exactly `size` bytes; nullopt when the connection ends before. Sets
// `late` when the time was over first.
std::optional<std::string> receive(int fd, std::size_t size, Clock::time_point deadline, bool& late) {
  std::string bytes;
  while (bytes.size() < size) {
    if (!wait_readable(fd, deadline)) {
      late = true;
      return std::nullopt;
    }
    std::array<char, 4096> buffer;
    const std::size_t wanted = std::min(buffer.size(), size - bytes.size());
    const ssize_t count = recv(fd, buffer.data(), wanted, 0);
    if (count <= 0) {
      return std::nullopt;
    }
    bytes.append(buffer.data(), static_cast<std::size_t>(count));
  }
  return bytes;
}

std::uint32_t big_endian(std::string_view bytes) {
  std::uint32_t value = 0;
  for (const char byte : bytes.substr(0, 4)) {
    value = value << 8 | static_cast<unsigned char>(byte);
  }
  return value;
}

// Asks the daemon at the other end of `connection` to stay; README.md has the
// protocol. A daemon that does not know the call, or is too busy to answer it,
// counts as staying: being connectable is all containerd itself asks for.
Answer ask_to_stay(int connection) {
  const std::string request = encode_request("tine.shim.v1.Launcher", "Hold");
  std::string frame{'\0', '\0', '\0', static_cast<char>(request.size()), '\0',
                    '\0', '\0', '\1', '\1', '\0'};
  frame += request;
  if (send(connection, frame.data(), frame.size(), MSG_NOSIGNAL) !=
      static_cast<ssize_t>(frame.size())) {
    return Answer::kLeaves;
  }
  const Clock::time_point deadline = Clock::now() + kAnswerTime;
  bool late = false;
  const std::optional<std::string> header = receive(connection, kFrameHeader, deadline, late);
  if (!header) {
    return late ? Answer::kStays : Answer::kLeaves;
  }
  const std::uint32_t length = big_endian(*header);
  if (length > kMaximumAnswer) {
    return Answer::kStays;
  }
  const std::optional<std::string> payload = receive(connection, length, deadline, late);
  if (!payload) {
    return late ? Answer::kStays : Answer::kLeaves;
  }
  return response_code(*payload) == kUnavailable ? Answer::kLeaves : Answer::kStays;
}

// Connects; an invalid descriptor with errno set when nobody listens.
UniqueFd connect_to(const sockaddr_un& address) {
  UniqueFd connection(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!connection) {
    fail_errno("socket");
  }
  // A full backlog makes connect() wait, and a stopped daemon for ever.
  const timeval limit{2, 0};
  setsockopt(connection.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  if (connect(connection.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 &&
      errno != EAGAIN) {
    return UniqueFd();
  }
  return connection;
}

bool bind_private(int fd, const sockaddr_un& address) {
  const mode_t previous = umask(0177);
  const int result = bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address);
  const int why = errno;
  umask(previous);
  errno = why;
  return result == 0;
}

std::string directory_of(const std::string& path) { return path.substr(0, path.rfind('/')); }

// Between finding a dead socket and binding anew no other launcher may do the
// same, or it would remove the new one. Leaves no file behind.
bool lock_directory(int directory) {
  while (flock(directory, LOCK_EX) != 0) {
    if (errno != EINTR) {
      return false;
    }
  }
  return true;
}

}  // namespace

std::string socket_path(std::string_view directory, std::string_view containerd_address,
                        std::string_view namespace_name, std::string_view group) {
  std::string name(containerd_address);
  for (const std::string_view part : {namespace_name, group}) {
    if (!part.empty()) {
      name += '/';
      name += part;
    }
  }
  return std::string(directory) + "/" + sha256_hex(name);
}

UniqueFd claim_socket(const std::string& path) {
  const sockaddr_un address = address_of(path);
  make_directories(path);
  const std::string directory = directory_of(path);
  const UniqueFd lock(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!lock) {
    fail_errno(directory);
  }
  const Clock::time_point deadline = Clock::now() + kLeavingTime;
  for (;;) {
    if (!lock_directory(lock.get())) {
      fail_errno(directory + ": flock");
    }
    UniqueFd listener(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!listener) {
      fail_errno("socket");
    }
    if (!bind_private(listener.get(), address)) {
      if (errno != EADDRINUSE) {
        fail_errno(path + ": bind");
      }
      const UniqueFd connection = connect_to(address);
      if (connection) {
        flock(lock.get(), LOCK_UN);
        if (ask_to_stay(connection.get()) == Answer::kStays) {
          return UniqueFd();
        }
        if (Clock::now() > deadline) {
          fail(path + ": the daemon there is leaving but does not go");
        }
        std::this_thread::sleep_for(kLeavingPause);
        continue;
      }
      if (errno != ECONNREFUSED && errno != ENOENT) {
        fail_errno(path + ": connect");
      }
      unlink(path.c_str());
      if (!bind_private(listener.get(), address)) {
        fail_errno(path + ": bind");
      }
    }
    if (listen(listener.get(), SOMAXCONN) != 0) {
      const int why = errno;
      unlink(path.c_str());
      errno = why;
      fail_errno(path + ": listen");
    }
    return listener;
  }
}

void remove_if_dead(const std::string& path, std::chrono::milliseconds patience) {
  // What a bundle says may be damaged, and the container is cleaned up all the same.
  if (path.size() > kLongestPath) {
    return;
  }
  const sockaddr_un address = address_of(path);
  if (patience.count() > 0) {
    if (const UniqueFd connection = connect_to(address)) {
      pollfd closed{connection.get(), POLLRDHUP, 0};
      poll(&closed, 1, static_cast<int>(patience.count()));
    }
  }
  const UniqueFd lock(open(directory_of(path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (lock && lock_directory(lock.get()) && !connect_to(address) && errno == ECONNREFUSED) {
    unlink(path.c_str());
  }
}

}  // namespace tine::launcher
