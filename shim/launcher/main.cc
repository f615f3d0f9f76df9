// containerd-shim-tine-v2: finds or starts the daemon that serves a container.

#include <span>
#include <string>

#include "actions.h"
#include "files.h"
#include "flags.h"

int main(int argc, char** argv) {
  using namespace tine::launcher;
  Flags flags;
  const std::span<char* const> arguments(argv, static_cast<std::size_t>(argc));
  if (const std::string mistake = parse_flags(arguments.subspan(1), flags); !mistake.empty()) {
    fail(mistake);
  }
  if (flags.help) {
    return help();
  }
  if (flags.version) {
    return version();
  }
  if (flags.info) {
    return info();
  }
  if (argc == 1) {
    fail("containerd runs this, with flags and an action: see containerd-shim-tine-v2 -help");
  }
  if (flags.namespace_name.empty()) {
    fail("the namespace must not be empty");
  }
  if (flags.id.empty()) {
    fail("the container's id must not be empty");
  }
  if (flags.action == "start") {
    return start(flags);
  }
  if (flags.action == "delete") {
    return remove(flags);
  }
  fail("the action must be start or delete, not \"" + flags.action + "\"");
}
