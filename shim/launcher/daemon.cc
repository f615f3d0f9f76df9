#include "daemon.h"

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <string_view>
#include <sys/wait.h>
#include <unistd.h>

#include "node.h"

namespace tine::launcher {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds kStartTime{10000};

// What the daemon finds at which number.
enum Descriptor { kListener = 3, kReadiness = 4, kDescriptorCount = 5 };

// A number's text in a file of /proc, or `otherwise`.
long number_in(const char* path, long otherwise) {
  const std::optional<std::string> text = read_file(path, 64);
  return text ? strtol(text->c_str(), nullptr, 10) : otherwise;
}

// One above containerd's, so that the kernel takes a shim before it. It may
// refuse (no CAP_SYS_RESOURCE): a shim is not worth less for it.
void raise_oom_score(pid_t containerd) {
  const std::string path = "/proc/" + std::to_string(containerd) + "/oom_score_adj";
  const long score = number_in(path.c_str(), 0);
  if (score >= 1000) {
    return;
  }
  const UniqueFd fd(open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC));
  if (fd) {
    write_all(fd.get(), std::to_string(score + 1));
  }
}

// The bundle's log is a fifo containerd reads. Non-blocking both to open (the
// reader may be gone) and to write (a slow one must not stop the daemon).
UniqueFd open_log(const std::string& bundle) {
  return UniqueFd(open((bundle + "/log").c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC));
}

void reset_signals() {
  for (int number = 1; number < NSIG; ++number) {
    signal(number, SIG_DFL);
  }
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
}

// Puts `sources` at 0, 1, 2, … and closes everything else. The sources are
// first moved out of the way, since one's target may be another's place.
bool place_descriptors(std::array<int, kDescriptorCount> sources) {
  for (int& source : sources) {
    source = fcntl(source, F_DUPFD_CLOEXEC, kDescriptorCount);
    if (source < 0) {
      return false;
    }
  }
  for (int target = 0; target < kDescriptorCount; ++target) {
    if (dup2(sources[static_cast<std::size_t>(target)], target) < 0) {
      return false;
    }
  }
  return close_range(kDescriptorCount, ~0U, 0) == 0;
}

[[noreturn]] void become_daemon(const Node& node, const std::vector<std::string>& arguments,
                                const std::array<int, kDescriptorCount>& descriptors,
                                pid_t containerd) {
  int report = descriptors[kReadiness];
  setsid();
  reset_signals();
  raise_oom_score(containerd);
  // A bundle that is the working directory of a shared daemon could not be
  // removed without the daemon losing it.
  if (chdir("/") == 0 && place_descriptors(descriptors)) {
    report = kReadiness;
    execute(node, arguments);
  }
  write_all(report, node.interpreter + ": " + strerror(errno));
  _exit(127);
}

std::string how_it_ended(int status) {
  if (WIFEXITED(status)) {
    return "ended with status " + std::to_string(WEXITSTATUS(status));
  }
  return "was killed by signal " + std::to_string(WTERMSIG(status));
}

// What came down the readiness pipe: one byte, the text of a failure, or
// nothing when the daemon ended or (`late`) the time was over.
std::string wait_for_word(int readiness, bool& late) {
  const Clock::time_point deadline = Clock::now() + kStartTime;
  for (;;) {
    const auto left = std::chrono::duration_cast<milliseconds>(deadline - Clock::now()).count();
    pollfd entry{readiness, POLLIN, 0};
    const int ready = left > 0 ? poll(&entry, 1, static_cast<int>(left)) : 0;
    if (ready < 0 && errno == EINTR) {
      continue;
    }
    if (ready <= 0) {
      late = true;
      return {};
    }
    // A report is written in one piece of at most PIPE_BUF bytes.
    std::array<char, 4096> buffer;
    const ssize_t count = read(readiness, buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) {
      continue;
    }
    return std::string(buffer.data(), count > 0 ? static_cast<std::size_t>(count) : 0);
  }
}

}  // namespace

std::vector<std::string> daemon_arguments(const Flags& flags, const std::string& socket_path) {
  std::vector<std::string> arguments = {
      "--namespace", flags.namespace_name, "--address", flags.address,
      "--publish-binary", flags.publish_binary, "--socket", socket_path,
      "--id", flags.id};
  if (flags.debug) {
    arguments.push_back("--debug");
  }
  return arguments;
}

void start_daemon(const Flags& flags, const Node& node, const std::string& bundle,
                  const std::string& socket_path, UniqueFd listener) {
  std::vector<std::string> arguments = {"--require",
                                        node.library + "/shim/launcher/early-failure.cjs",
                                        node.library + "/linked/daemon.cjs"};
  for (std::string& argument : daemon_arguments(flags, socket_path)) {
    arguments.push_back(std::move(argument));
  }

  const UniqueFd null(open("/dev/null", O_RDWR | O_CLOEXEC));
  int pipe_ends[2];
  if (!null || pipe2(pipe_ends, O_CLOEXEC) != 0) {
    unlink(socket_path.c_str());
    fail_errno("preparing the daemon's descriptors");
  }
  const UniqueFd readiness(pipe_ends[0]);
  UniqueFd readiness_end(pipe_ends[1]);
  const UniqueFd log = open_log(bundle);

  const pid_t containerd = getppid();
  const pid_t daemon = fork();
  if (daemon < 0) {
    unlink(socket_path.c_str());
    fail_errno("fork");
  }
  if (daemon == 0) {
    become_daemon(node, arguments,
                  {null.get(), null.get(), log ? log.get() : null.get(), listener.get(),
                   readiness_end.get()},
                  containerd);
  }
  readiness_end.reset();

  bool late = false;
  const std::string word = wait_for_word(readiness.get(), late);
  if (word.size() == 1) {
    return;
  }
  // Its name first: while somebody listens there, no other launcher takes it.
  unlink(socket_path.c_str());
  kill(-daemon, SIGKILL);
  kill(daemon, SIGKILL);
  int status = 0;
  waitpid(daemon, &status, 0);
  if (late) {
    fail("the daemon was not ready within 10 seconds");
  }
  fail(word.empty() ? "the daemon " + how_it_ended(status) + " before it was ready"
                    : "the daemon did not start: " + word);
}

}  // namespace tine::launcher
