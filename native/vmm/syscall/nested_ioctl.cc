#include "syscall/nested_ioctl.h"

#include <errno.h>
#include <linux/blkpg.h>
#include <linux/fs.h>
#include <linux/fsverity.h>
#include <linux/loop.h>
#include <net/if.h>
#include <net/route.h>
#include <stddef.h>
#include <sys/socket.h>

#include "memory/guest_copy.h"
#include "syscall/descriptors.h"

namespace tine {
namespace {

int64_t make(Call& call, const void* argument) {
  return host_call(call.thread, SYS_ioctl, call.a[0], static_cast<uint32_t>(call.a[1]), arg(argument));
}

// A pointer field inside a copied structure.
template <class T>
void translate(T*& pointer) { pointer = to_host({reinterpret_cast<uint64_t>(pointer)}).template ptr<T>(); }
void translate(__u64& pointer) { pointer = hp({pointer}); }

}  // namespace

int64_t ioctl_clone_range(Call& call) {
  file_clone_range range;
  if (!get(range, call.ptr(2))) return -EFAULT;
  if (is_hidden(call.thread, range.src_fd)) return -EBADF;
  return make(call, &range);
}

// The answers are in the same structure, one a destination.
int64_t ioctl_deduplicate(Call& call) {
  file_dedupe_range head;
  if (!get(head, call.ptr(2))) return -EFAULT;
  size_t bytes = sizeof head + head.dest_count * sizeof(file_dedupe_range_info);
  if (bytes > kPage) return -ENOMEM;  // as fs/ioctl.c
  alignas(file_dedupe_range) uint8_t copy[kPage];
  if (!copy_in(copy, call.ptr(2), bytes)) return -EFAULT;
  auto* range = reinterpret_cast<file_dedupe_range*>(copy);
  range->dest_count = head.dest_count;
  for (uint16_t i = 0; i < head.dest_count; ++i)
    if (is_hidden(call.thread, range->info[i].dest_fd)) range->info[i].dest_fd = -1;
  int64_t result = make(call, range);
  if (result < 0) return result;
  for (uint16_t i = 0; i < head.dest_count; ++i) {
    GuestAddr place = call.ptr(2) + sizeof head + i * sizeof(file_dedupe_range_info);
    if (!put(place + offsetof(file_dedupe_range_info, bytes_deduped), range->info[i].bytes_deduped) ||
        !put(place + offsetof(file_dedupe_range_info, status), range->info[i].status))
      return -EFAULT;
  }
  return result;
}

int64_t ioctl_enable_verity(Call& call) {
  fsverity_enable_arg argument;
  if (!get(argument, call.ptr(2))) return -EFAULT;
  translate(argument.salt_ptr);
  translate(argument.sig_ptr);
  return make(call, &argument);
}

int64_t ioctl_read_verity(Call& call) {
  fsverity_read_metadata_arg argument;
  if (!get(argument, call.ptr(2))) return -EFAULT;
  translate(argument.buf_ptr);
  return make(call, &argument);
}

// IPv4 takes struct rtentry with the name of a device; IPv6 a flat structure.
int64_t ioctl_route(Call& call) {
  int domain = 0;
  uint32_t length = sizeof domain;
  int64_t known = raw(SYS_getsockopt, call.a[0], SOL_SOCKET, SO_DOMAIN, arg(&domain), arg(&length));
  if (known < 0) return known == -EBADF ? -EBADF : -ENOTTY;
  if (domain != AF_INET) return make(call, to_host(call.ptr(2)).ptr<void>());
  rtentry route;
  if (!get(route, call.ptr(2))) return -EFAULT;
  translate(route.rt_dev);
  return make(call, &route);
}

int64_t ioctl_interfaces(Call& call) {
  ifconf list;
  if (!get(list, call.ptr(2))) return -EFAULT;
  translate(list.ifc_ifcu.ifcu_buf);
  int64_t result = make(call, &list);
  if (result < 0) return result;
  return put(call.ptr(2), list.ifc_len) ? result : -EFAULT;
}

// struct ifreq whose data is a pointer to flat memory.
int64_t ioctl_interface_data(Call& call) {
  ifreq request;
  if (!get(request, call.ptr(2))) return -EFAULT;
  translate(request.ifr_ifru.ifru_data);
  return make(call, &request);
}

int64_t ioctl_partition(Call& call) {
  blkpg_ioctl_arg argument;
  if (!get(argument, call.ptr(2))) return -EFAULT;
  translate(argument.data);
  return make(call, &argument);
}

int64_t ioctl_loop_configure(Call& call) {
  loop_config configuration;
  if (!get(configuration, call.ptr(2))) return -EFAULT;
  if (is_hidden(call.thread, static_cast<int>(configuration.fd))) return -EBADF;
  return make(call, &configuration);
}

}  // namespace tine
