#include "files.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>

namespace tine::launcher {

void UniqueFd::reset() {
  if (fd_ >= 0) {
    close(fd_);
    fd_ = -1;
  }
}

void fail(std::string_view message) {
  std::string line = "containerd-shim-tine-v2: ";
  line += message;
  line += '\n';
  write_all(STDERR_FILENO, line);
  _exit(1);
}

void fail_errno(std::string_view message) {
  const char* why = strerror(errno);
  std::string line(message);
  line += ": ";
  line += why;
  fail(line);
}

std::optional<std::string> read_all(int fd, std::size_t limit) {
  std::string bytes;
  char buffer[4096];
  for (;;) {
    const ssize_t count = read(fd, buffer, sizeof buffer);
    if (count == 0) {
      return bytes;
    }
    if (count < 0) {
      if (errno == EINTR) {
        continue;
      }
      return std::nullopt;
    }
    bytes.append(buffer, static_cast<std::size_t>(count));
    if (bytes.size() > limit) {
      errno = EFBIG;
      return std::nullopt;
    }
  }
}

std::optional<std::string> read_file(const std::string& path, std::size_t limit) {
  const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  return fd ? read_all(fd.get(), limit) : std::nullopt;
}

bool write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = write(fd, bytes.data(), bytes.size());
    if (count < 0) {
      if (errno == EINTR) {
        continue;
      }
      return false;
    }
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
  return true;
}

bool write_atomically(const std::string& directory, std::string_view name, std::string_view bytes) {
  const std::string target = directory + "/" + std::string(name);
  const std::string temporary = directory + "/." + std::string(name) + "." + std::to_string(getpid());
  UniqueFd fd(open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644));
  if (!fd) {
    return false;
  }
  if (!write_all(fd.get(), bytes) || rename(temporary.c_str(), target.c_str()) != 0) {
    const int why = errno;
    unlink(temporary.c_str());
    errno = why;
    return false;
  }
  return true;
}

}  // namespace tine::launcher
