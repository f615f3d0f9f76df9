// Declares `int64_t sys_NAME(Call&)` for every emulated call of table.def.
#pragma once
#include "syscall/call.h"

namespace tine {

#define PASS(x86, arm, name, spec, note)
#define EMULATED(x86, arm, name, note) int64_t sys_##name(Call& call);
#define REFUSED(x86, arm, name, error, note)
#include "syscall/table.def"
#undef PASS
#undef EMULATED
#undef REFUSED

}  // namespace tine
