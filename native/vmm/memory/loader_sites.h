// What is known of a dynamic loader's code before it runs (memory/call_sites.h): programs that execute others hand it on
// (process/exec_state.h).
#pragma once
#include <cstdint>
#include <vector>

namespace tine {

struct LoaderSites {
  uint64_t digest = 0;          // of its code
  std::vector<uint32_t> sites;  // arch_pack_site
};

}  // namespace tine
