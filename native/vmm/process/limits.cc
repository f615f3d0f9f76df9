// Resource limits that concern the monitor's own needs: the guest's view of them is kept apart from the host's.
#include <sys/resource.h>

#include <algorithm>
#include <cerrno>

#include "host/raw.h"
#include "kvm/answers.h"
#include "memory/guest_copy.h"
#include "process/descriptors.h"
#include "process/thread.h"
#include "syscall/handlers.h"

namespace tine {
namespace {

rlimit64* own_view(Process& p, uint32_t resource) {
  switch (resource) {
    case RLIMIT_STACK: return &p.stack_limit;
    case RLIMIT_NOFILE: return &p.nofile_limit;
    case RLIMIT_AS: return &p.as_limit;
    case RLIMIT_DATA: return &p.data_limit;
    // A core file would be the monitor's, with its own memory, in a folder of the guest: the host's limit stays 0.
    case RLIMIT_CORE: return &p.core_limit;
    default: return nullptr;
  }
}

constexpr uint32_t kCapSysResource = 24;

bool may_raise(Thread& t) {
  struct { uint32_t version; int pid; } header{0x20080522, 0};
  struct { uint32_t effective, permitted, inheritable; } data[2]{};
  (void)t;
  return raw(SYS_capget, arg(&header), arg(data)) == 0 && ((data[0].effective >> kCapSysResource) & 1);
}

int64_t limit(Thread& t, uint32_t resource, const rlimit64* wanted, rlimit64* old) {
  if (resource >= RLIM_NLIMITS) return -EINVAL;
  Process& p = *t.process;
  rlimit64* view = own_view(p, resource);
  if (resource == RLIMIT_NOFILE) adopt_descriptor_limit(p);
  if (!view) return raw(SYS_prlimit64, 0, resource, arg(wanted), arg(old));
  if (old) *old = *view;
  if (!wanted) return 0;
  if (wanted->rlim_cur > wanted->rlim_max) return -EINVAL;
  if (wanted->rlim_max > view->rlim_max && !may_raise(t)) return -EPERM;
  if (resource == RLIMIT_NOFILE) {
    rlimit64 host{};
    raw(SYS_prlimit64, 0, RLIMIT_NOFILE, 0, arg(&host));
    // fs.nr_open bounds the hard limit, as it does natively: the host says so.
    host.rlim_cur = wanted->rlim_cur;
    if (host.rlim_max < wanted->rlim_cur) host.rlim_max = wanted->rlim_max;
    if (int64_t result = set_host_descriptor_limit(p, host)) return result;
  }
  if (resource == RLIMIT_STACK) forget_stack_limit(p);
  *view = *wanted;
  return 0;
}

// Another guest's limit: its monitor finds the change (adopt_descriptor_limit) and must go on having room for
// descriptors of its own, so its hard limit does not fall below what that takes.
int64_t limit_descriptors_of(Call& c) {
  constexpr rlim64_t kLeast = 4096 + OwnedDescriptors::kSpan;
  rlimit64 wanted, now, old;
  if (!get(wanted, c.ptr(2))) return -EFAULT;
  if (int64_t result = host_call(c.thread, SYS_prlimit64, c.a[0], RLIMIT_NOFILE, 0, arg(&now))) return result;
  if (wanted.rlim_cur <= wanted.rlim_max) wanted.rlim_max = std::max(wanted.rlim_max, std::min(now.rlim_max, kLeast));
  if (int64_t result = host_call(c.thread, SYS_prlimit64, c.a[0], RLIMIT_NOFILE, arg(&wanted), arg(&old))) return result;
  return c.a[3] && !put(c.ptr(3), old) ? -EFAULT : 0;
}

}  // namespace

int64_t sys_prlimit64(Call& c) {
  int pid = c.fd(0);
  if (pid && pid != c.thread.process->pid && c.a[1] == RLIMIT_NOFILE && c.a[2]) return limit_descriptors_of(c);
  if (pid && pid != c.thread.process->pid)
    return host_call(c.thread, SYS_prlimit64, c.a[0], c.a[1], hp(c.ptr(2)), hp(c.ptr(3)));
  rlimit64 wanted, old;
  if (c.a[2] && !get(wanted, c.ptr(2))) return -EFAULT;
  int64_t result = limit(c.thread, static_cast<uint32_t>(c.a[1]), c.a[2] ? &wanted : nullptr, &old);
  if (result) return result;
  if (c.a[3] && !put(c.ptr(3), old)) return -EFAULT;
  return 0;
}

int64_t sys_getrlimit(Call& c) {
  rlimit64 old;
  int64_t result = limit(c.thread, static_cast<uint32_t>(c.a[0]), nullptr, &old);
  if (result) return result;
  return put(c.ptr(1), old) ? 0 : -EFAULT;
}

int64_t sys_setrlimit(Call& c) {
  rlimit64 wanted, old;
  if (!get(wanted, c.ptr(1))) return -EFAULT;
  return limit(c.thread, static_cast<uint32_t>(c.a[0]), &wanted, &old);
}

}  // namespace tine
