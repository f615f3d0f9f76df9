// Selective copy-on-write: what a translator's JIT owns is copied at once, all else shared. Translated code writes to
// its caches right after a fork, on both sides; copied in bulk that costs no fault a page, in either.
//
// A JIT's memory is known without asking: private anonymous memory that is or was executable can hold nothing but
// code made at run time (kVmaJit, kept up to date as mappings change).
#include "fork/fork.h"

namespace tine {

static bool is_jit(const Vma& vma) { return vma.flags & kVmaJit; }

const ForkStrategy kSelectiveCopyOnWrite{"selective-cow", is_jit};

}  // namespace tine
