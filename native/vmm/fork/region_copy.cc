// Region copy: the child has pages of its own for everything private that is resident.
#include "fork/fork.h"

namespace tine {

static bool is_private(const Vma& vma) { return !(vma.flags & (kVmaShared | kVmaVvar)); }

const ForkStrategy kCopyRegions{"region-copy", is_private};

}  // namespace tine
