// No key is used on arm64: where permission overlays exist, so do second-stage tables, which need no help.
#include "arch/arch.h"

namespace tine {

int arch_new_write_key() { return -1; }
void arch_open_write_key(int, bool) {}

}  // namespace tine
