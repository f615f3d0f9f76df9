// Calls a container may not make, or that Tine refuses: the errno is one that Linux gives.
#include "check.h"
#include <linux/aio_abi.h>
#include <sys/ptrace.h>

/// Either the call is refused in one of the ways Linux refuses it, or it does not matter that it worked.
static void refused(const char *name, long result, int error, const int *allowed, size_t count) {
    bool fine = false;
    for (size_t i = 0; i < count; i++) fine |= result == -1 && error == allowed[i];
    check_report(name, fine, "returned %ld, errno %d (%s)", result, error, strerror(error));
}
#define REFUSED(name, call, ...)                                                                                       \
    do {                                                                                                               \
        const int errors[] = {__VA_ARGS__};                                                                            \
        errno = 0;                                                                                                     \
        long result = (call);                                                                                          \
        int error = errno;                                                                                             \
        refused(name, result, error, errors, COUNT(errors));                                                           \
    } while (0)

int main(void) {
    static char room[65536];
    REFUSED("reboot with bad magic", syscall(SYS_reboot, 1, 2, 3, 0), EINVAL, EPERM);
    REFUSED("init_module", syscall(SYS_init_module, room, 10, ""), EPERM, ENOEXEC, ENOSYS);
    REFUSED("finit_module", syscall(SYS_finit_module, 0, "", 0), EPERM, EINVAL, ENOEXEC, EBADF, ENOSYS, EACCES);
    REFUSED("delete_module", syscall(SYS_delete_module, "none", 0), EPERM, ENOENT, ENOSYS);
    REFUSED("kexec_load", syscall(SYS_kexec_load, 0, 1000, room, 0xffffffff), EPERM, EINVAL, ENOSYS);
    REFUSED("kexec_file_load", syscall(SYS_kexec_file_load, -1, -1, 0, "", 0), EPERM, EBADF, ENOSYS, EINVAL);
    REFUSED("iopl", syscall(SYS_iopl, 4), EPERM, EINVAL, ENOSYS);
    REFUSED("ioperm", syscall(SYS_ioperm, 0x100000, 1, 1), EPERM, EINVAL, ENOSYS);
    REFUSED("swapon", syscall(SYS_swapon, "/nowhere", 0), EPERM, ENOENT);
    REFUSED("acct", syscall(SYS_acct, "/nowhere"), EPERM, ENOENT, ENOSYS);
    REFUSED("bpf", syscall(SYS_bpf, 9999, room, 16), EPERM, EINVAL, ENOSYS);
    REFUSED("perf_event_open", syscall(SYS_perf_event_open, room, 0, -1, -1, 0x999), EPERM, EACCES, EINVAL, ENOSYS, ENOENT);
    REFUSED("userfaultfd", syscall(SYS_userfaultfd, 0x10000), EPERM, EINVAL, ENOSYS);
    REFUSED("io_uring_setup", syscall(SYS_io_uring_setup, 0, room), EPERM, EINVAL, ENOSYS);
    REFUSED("io_uring_enter", syscall(SYS_io_uring_enter, 99, 1, 1, 0, 0, 0), EPERM, EBADF, ENOSYS, EOPNOTSUPP);
    REFUSED("io_uring_register", syscall(SYS_io_uring_register, 99, 0, 0, 0), EPERM, EBADF, ENOSYS, EINVAL);
    REFUSED("ptrace of nobody", ptrace(PTRACE_ATTACH, 0x3ffffff, 0, 0), EPERM, ESRCH, ENOSYS);
    REFUSED("lookup_dcookie", syscall(SYS_lookup_dcookie, 0, room, 10), EPERM, EINVAL, ENOSYS);
    REFUSED("nfsservctl", syscall(SYS_nfsservctl, 0, 0, 0), ENOSYS, EPERM);
    REFUSED("uselib", syscall(SYS_uselib, "/nowhere"), ENOSYS, EPERM, ENOENT);
    REFUSED("vhangup of no terminal", syscall(SYS_quotactl, 0, "/nowhere", 0, 0), EPERM, EINVAL, ENOSYS, ENOENT, ENODEV);
    REFUSED("rseq with a bad size", syscall(334, room, 7, 0, 0), EINVAL, ENOSYS);
    REFUSED("pivot_root", syscall(SYS_pivot_root, "/nowhere", "/nowhere"), EPERM, ENOENT, EINVAL);
    REFUSED("mount of nothing", syscall(SYS_mount, "none", "/nowhere", "tmpfs", 0, 0), EPERM, ENOENT);
    REFUSED("umount2", syscall(SYS_umount2, "/nowhere", 0), EPERM, ENOENT, EINVAL);
    REFUSED("setns of no namespace", syscall(SYS_setns, 0, 0), EINVAL, EPERM, EBADF);
    REFUSED("process_vm_readv of nobody", syscall(SYS_process_vm_readv, 0x3ffffff, &(void *[2]){room, (void *)10}, 1, &(void *[2]){room, (void *)10}, 1, 0), ESRCH, EPERM, EINVAL, ENOSYS);
    REFUSED("kcmp of nobody", syscall(SYS_kcmp, 0x3ffffff, getpid(), 0, 0, 0), ESRCH, EPERM, ENOSYS);
    REFUSED("migrate_pages", syscall(SYS_migrate_pages, 0x3ffffff, 64, room, room), ESRCH, EPERM, EINVAL, ENOSYS);
    REFUSED("move_pages", syscall(SYS_move_pages, 0x3ffffff, 1, room, room, room, 0), ESRCH, EPERM, EINVAL, ENOSYS);
    REFUSED("open_by_handle_at", syscall(SYS_open_by_handle_at, -100, room, 0), EPERM, EINVAL, ESTALE, EOPNOTSUPP);
    REFUSED("keyctl", syscall(SYS_keyctl, 9999, 0, 0, 0, 0), EOPNOTSUPP, EPERM, ENOSYS, EINVAL);
    REFUSED("fanotify_init with bad flags", syscall(SYS_fanotify_init, 0xffff0000, 0), EPERM, EINVAL, ENOSYS);
    REFUSED("settimeofday of nonsense", syscall(SYS_settimeofday, &(long[2]){-1, -1}, 0), EPERM, EINVAL);
    REFUSED("clock_settime of a clock that cannot", syscall(SYS_clock_settime, CLOCK_MONOTONIC, &(long[2]){0, 0}), EPERM, EINVAL);
    REFUSED("create_module", syscall(SYS_create_module, "x", 0), ENOSYS, EPERM);
    REFUSED("tuxcall", syscall(SYS_tuxcall, 0), ENOSYS);
    REFUSED("security", syscall(SYS_security, 0), ENOSYS);
    REFUSED("the first number behind the table", syscall(999), ENOSYS);
    return check_done();
}
