// System V semaphores' control call, message queue notification, keys: what an argument is depends on a command.
#include <errno.h>
#include <linux/keyctl.h>
#include <linux/sem.h>
#include <signal.h>
#include <sys/uio.h>

#include "memory/guest_copy.h"
#include "syscall/descriptors.h"
#include "syscall/handlers.h"
#include "syscall/iovecs.h"

namespace tine {

int64_t sys_semctl(Call& call) {
  uint64_t value = call.a[3];
  switch (call.a[2] & 0xff) {  // IPC_64 may be set
    case IPC_STAT:
    case IPC_SET:
    case IPC_INFO:
    case SEM_INFO:
    case SEM_STAT:
    case SEM_STAT_ANY:
    case GETALL:
    case SETALL:
      value = hp(call.ptr(3));
      break;
    default:
      break;
  }
  return host_call(call.thread, SYS_semctl, call.a[0], call.a[1], call.a[2], value);
}

// For SIGEV_THREAD the signal number is a netlink socket and the value a pointer to a 32-byte cookie.
int64_t sys_mq_notify(Call& call) {
  if (is_hidden(call.thread, call.fd(0))) return -EBADF;
  if (call.a[1] == 0) return host_call(call.thread, SYS_mq_notify, call.a[0], 0);
  sigevent event;
  if (!get(event, call.ptr(1))) return -EFAULT;
  if (event.sigev_notify == SIGEV_THREAD) {
    if (is_hidden(call.thread, event.sigev_signo)) return -EBADF;
    event.sigev_value.sival_ptr = to_host({reinterpret_cast<uint64_t>(event.sigev_value.sival_ptr)}).ptr<void>();
  }
  return host_call(call.thread, SYS_mq_notify, call.a[0], arg(&event));
}

namespace {

// Bit n: argument n of keyctl is a pointer. Commands that are not here do not exist for the guest.
int key_pointers(uint64_t command) {
  constexpr int k1 = 2, k2 = 4, k3 = 8, k4 = 16;
  switch (command) {
    case KEYCTL_GET_KEYRING_ID:
    case KEYCTL_REVOKE:
    case KEYCTL_CHOWN:
    case KEYCTL_SETPERM:
    case KEYCTL_CLEAR:
    case KEYCTL_LINK:
    case KEYCTL_UNLINK:
    case KEYCTL_NEGATE:
    case KEYCTL_SET_REQKEY_KEYRING:
    case KEYCTL_SET_TIMEOUT:
    case KEYCTL_ASSUME_AUTHORITY:
    case KEYCTL_SESSION_TO_PARENT:
    case KEYCTL_REJECT:
    case KEYCTL_INVALIDATE:
    case KEYCTL_GET_PERSISTENT:
    case KEYCTL_MOVE:
    case KEYCTL_WATCH_KEY: return 0;
    case KEYCTL_JOIN_SESSION_KEYRING:
    case KEYCTL_CAPABILITIES: return k1;
    case KEYCTL_UPDATE:
    case KEYCTL_DESCRIBE:
    case KEYCTL_READ:
    case KEYCTL_INSTANTIATE:
    case KEYCTL_GET_SECURITY: return k2;
    case KEYCTL_SEARCH: return k2 | k3;
    case KEYCTL_RESTRICT_KEYRING: return k2 | k3;
    case KEYCTL_PKEY_QUERY: return k3 | k4;
    default: return -1;  // Diffie-Hellman and public-key operations: parameter blocks with pointers
  }
}

}  // namespace

int64_t sys_keyctl(Call& call) {
  uint64_t command = static_cast<uint32_t>(call.a[0]);
  if (command == KEYCTL_INSTANTIATE_IOV) {
    IoVectors vectors;
    if (int64_t error = take_vectors(call.ptr(2), call.a[3], -EINVAL, vectors)) return error;
    return host_call(call.thread, SYS_keyctl, command, call.a[1], arg(vectors.at), vectors.count, call.a[4]);
  }
  int pointers = key_pointers(command);
  if (pointers < 0) return -EOPNOTSUPP;
  if (command == KEYCTL_WATCH_KEY && is_hidden(call.thread, call.fd(2))) return -EBADF;
  uint64_t host[5];
  for (int i = 0; i < 5; ++i) host[i] = pointers >> i & 1 ? hp(call.ptr(i)) : call.a[i];
  return host_call(call.thread, SYS_keyctl, host[0], host[1], host[2], host[3], host[4]);
}

}  // namespace tine
