// What the rest of the monitor calls: judging a guest call, serving seccomp(2), and starting up.
#pragma once
#include <cstdint>

#include "seccomp/chain.h"
#include "syscall/call.h"

namespace tine {

// The call is not made and its result is 0 (a filter's SECCOMP_RET_ERRNO may carry errno 0).
constexpr int64_t kSeccompZero = -514;

// Judges a guest call before it is served. 0: go on. kSeccompZero: answer 0. kRegistersSet: a SIGSYS is
// on its way and no result is written. Else -errno to answer. Does not return where the filter kills.
int64_t seccomp_check(Call& call);

// Whether the thread's filters let a call pass whatever its arguments are and wherever it is made.
bool seccomp_always_allows(const Thread& thread, uint32_t number);

// seccomp(2).
int64_t seccomp_call(Call& call);
// prctl(2) with PR_SET_SECCOMP, PR_GET_SECCOMP, PR_SET_NO_NEW_PRIVS or PR_GET_NO_NEW_PRIVS in a[0].
int64_t seccomp_prctl(Call& call);

// Reads the container's program (raw struct sock_filter[]) from `fd` and makes it the thread's oldest
// filter, as runc's filter is for what it starts. 0 or -errno.
int64_t seccomp_load_container(Thread& thread, int fd);

// Installs the filter on the monitor itself, for every thread of it and all that it starts. Sets
// no_new_privs. Once per container: it is inherited by fork and host exec. 0 or -errno.
int64_t seccomp_install_host_filter();
std::vector<sock_filter> seccomp_host_program();  // what it installs

}  // namespace tine
