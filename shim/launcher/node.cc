#include "node.h"

#include <climits>
#include <cstdlib>
#include <optional>
#include <unistd.h>

#include "files.h"

namespace tine::launcher {
namespace {

std::string executable_directory() {
  char path[PATH_MAX];
  const ssize_t length = readlink("/proc/self/exe", path, sizeof path);
  if (length < 0) {
    fail_errno("/proc/self/exe");
  }
  const std::string_view whole(path, static_cast<std::size_t>(length));
  return std::string(whole.substr(0, whole.rfind('/')));
}

std::string from_environment(const char* name) {
  const char* const value = getenv(name);
  return value == nullptr ? std::string() : std::string(value);
}

}  // namespace

Node find_node(const std::string& configured) {
  Node node{from_environment("TINE_NODE"), from_environment("TINE_JS")};
  const std::string directory = executable_directory();
  if (node.library.empty()) {
    node.library = directory + "/../js";
  }
  if (node.interpreter.empty()) {
    node.interpreter = configured;
  }
  if (node.interpreter.empty()) {
    const std::string recorded = read_file(directory + "/node-path", PATH_MAX).value_or("");
    node.interpreter = recorded.substr(0, recorded.find('\n'));
    // The interpreter of the build may have been removed since.
    if (node.interpreter.empty() || access(node.interpreter.c_str(), X_OK) != 0) {
      node.interpreter = "node";
    }
  }
  return node;
}

void execute(const Node& node, const std::vector<std::string>& arguments) {
  // Reading a CA bundle doubles Node 20's start time; we open no TLS connection.
  unsetenv("NODE_EXTRA_CA_CERTS");
  unsetenv("NODE_OPTIONS");
  std::vector<char*> argv = {const_cast<char*>(node.interpreter.c_str()),
                             const_cast<char*>("--no-warnings")};
  for (const std::string& argument : arguments) {
    argv.push_back(const_cast<char*>(argument.c_str()));
  }
  argv.push_back(nullptr);
  execvp(argv[0], argv.data());
}

}  // namespace tine::launcher
