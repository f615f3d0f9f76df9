// One guest system call on its way through the monitor.
#pragma once
#include <cstdint>

#include "host/raw.h"
#include "memory/address.h"

namespace tine {

struct Thread;

struct Call {
  Thread& thread;
  uint32_t number;   // the guest architecture's number
  uint64_t a[6];     // arguments as the guest passed them
  GuestAddr ptr(int i) const { return {a[i]}; }
  int fd(int i) const { return static_cast<int>(a[i]); }
};

// What a handler answers: a value, -errno, or one of these.
// The host call was interrupted by a signal that has a guest handler, before it had any effect; the run
// loop delivers the signal and then restarts the call or answers EINTR (the kernel's ERESTARTSYS).
constexpr int64_t kRestart = -512;
// The guest's registers are already as they must be (sigreturn, exec): write no result.
constexpr int64_t kRegistersSet = -513;

using Handler = int64_t (*)(Call&);

// Makes a host system call on behalf of the guest thread, which may block. A signal that arrives before the
// kernel is entered, or that interrupts a restartable call, gives kRestart and the call had no effect
// (technique: the signal handler looks at the interrupted instruction pointer). EINTR comes back as -EINTR
// where the kernel would not restart. `Args` are host values: translate pointers with to_host() first.
int64_t host_call(Thread& thread, long nr, uint64_t a = 0, uint64_t b = 0, uint64_t c = 0, uint64_t d = 0,
                  uint64_t e = 0, uint64_t f = 0);

// Guest pointer -> value to hand the host kernel.
inline uint64_t hp(GuestAddr g) { return to_host(g).v; }

// Serves one call: table lookup, guest seccomp, dispatch. Defined in syscall/dispatch.cc.
int64_t serve(Call& call);

}  // namespace tine
