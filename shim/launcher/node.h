// How to run our JavaScript.
#pragma once

#include <string>
#include <vector>

namespace tine::launcher {

struct Node {
  // The interpreter: a path, or a bare name to be looked for in PATH.
  std::string interpreter;
  // The folder with the compiled JavaScript.
  std::string library;
};

// The interpreter is TINE_NODE, else `configured` (empty: nothing was), else
// what the build recorded beside this executable. TINE_JS, else a place beside
// it, is the library.
Node find_node(const std::string& configured);

// Replaces this process. Returns only on failure, with errno set. Variables
// that would slow Node's start or change what it runs are taken out of the
// environment.
void execute(const Node& node, const std::vector<std::string>& arguments);

}  // namespace tine::launcher
