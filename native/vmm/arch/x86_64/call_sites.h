// Between call_sites.cc and loader_code.cc.
#pragma once
#include <span>

#include "arch/arch.h"

namespace tine {

// Fills in how the instruction at `code[at]` (`site.back` is behind it) is to be changed. `loads`: the five bytes before it
// are the load of `number`.
bool plan_call_site(CallSite& site, std::span<const uint8_t> code, uint64_t at, bool loads, uint32_t number);

}  // namespace tine
