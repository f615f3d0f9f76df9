// The monitor has no memory from brk(2): the kernel puts the break of a static-pie program at 2/3 of the address
// space (ELF_ET_DYN_BASE), inside a window, where a guest's pointers would reach it. The C library keeps the first
// thread's control block there. With these in place of its own it takes memory by mmap, which is in the monitor's
// zone (Debian's glibc: csu/libc-tls.c, sysdeps/unix/sysv/linux/dl-early_allocate.c).
#include <cstdint>

extern "C" {

// Not null: the break has been set up, do not ask the kernel for it.
void* __curbrk = reinterpret_cast<void*>(1);

int __brk(void*) { return -1; }
int brk(void*) __attribute__((weak, alias("__brk")));
// No errno: it lives in the very block that is being made.
void* __sbrk(intptr_t) { return reinterpret_cast<void*>(-1); }
void* sbrk(intptr_t) __attribute__((weak, alias("__sbrk")));
}
