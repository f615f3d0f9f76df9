// The monitor's heap (host/alloc.cc), behind operator new and delete.
#pragma once
#include <cstddef>

#include "host/lock.h"

namespace tine {

// Held by the forking thread across a fork, so that the child's copy is whole.
Lock& heap_lock();
void* heap_allocate(size_t bytes);
void heap_release(void* memory);

}  // namespace tine
