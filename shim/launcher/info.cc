#include <fcntl.h>
#include <optional>
#include <string>
#include <sys/wait.h>
#include <unistd.h>

#include "actions.h"
#include "files.h"
#include "protobuf.h"
#include "version.h"

namespace tine::launcher {
namespace {

constexpr char kFeaturesType[] =
    "types.containerd.io/opencontainers/runtime-spec/1/features/Features";
constexpr std::size_t kMaximumOutput = 1 << 20;

// The jail is runc's, so its features are ours. Empty when runc is not there
// or too old to tell.
std::string runc_features() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) {
    return {};
  }
  const UniqueFd output(ends[0]);
  UniqueFd input(ends[1]);
  const pid_t child = fork();
  if (child == 0) {
    const UniqueFd null(open("/dev/null", O_RDWR | O_CLOEXEC));
    dup2(null.get(), STDIN_FILENO);
    dup2(null.get(), STDERR_FILENO);
    dup2(input.get(), STDOUT_FILENO);
    execlp("runc", "runc", "features", static_cast<char*>(nullptr));
    _exit(127);
  }
  input.reset();
  std::string features = child < 0 ? "" : read_all(output.get(), kMaximumOutput).value_or("");
  int status = 0;
  if (child < 0 || waitpid(child, &status, 0) != child || status != 0) {
    features.clear();
  }
  return features;
}

}  // namespace

int info() {
  std::string options;
  if (!isatty(STDIN_FILENO)) {
    options = read_all(STDIN_FILENO, kMaximumOutput).value_or("");
    if (!parse_any(options)) {
      options.clear();
    }
  }
  const std::string features = runc_features();
  const std::string message = encode_runtime_info(
      kRuntimeName, kVersion, options,
      features.empty() ? std::string() : encode_any(kFeaturesType, features));
  return write_all(STDOUT_FILENO, message) ? 0 : 1;
}

int version() {
  const std::string text =
      std::string("containerd-shim-tine-v2:\n  Runtime: ") + kRuntimeName + "\n  Version: " + kVersion + "\n";
  return write_all(STDOUT_FILENO, text) ? 0 : 1;
}

}  // namespace tine::launcher
