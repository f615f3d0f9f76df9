// Descriptors that close themselves, whole-file reads and writes, and the one
// way out on failure.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace tine::launcher {

class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~UniqueFd() { reset(); }

  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  void reset();

 private:
  int fd_ = -1;
};

// Prints "containerd-shim-tine-v2: …" to stderr, which containerd shows to the
// user, and exits with status 1.
[[noreturn]] void fail(std::string_view message);

// The same with ": " and the text of errno behind it.
[[noreturn]] void fail_errno(std::string_view message);

// Everything up to the end of `fd`; nullopt on an error or past `limit` bytes.
std::optional<std::string> read_all(int fd, std::size_t limit);

std::optional<std::string> read_file(const std::string& path, std::size_t limit);

bool write_all(int fd, std::string_view bytes);

// Replaces `directory`/`name` as a whole: a reader sees the old bytes or the new.
bool write_atomically(const std::string& directory, std::string_view name, std::string_view bytes);

}  // namespace tine::launcher
