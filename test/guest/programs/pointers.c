// Bad pointers, everywhere a call takes one: EFAULT, and the process goes on.
#include "check.h"
#include <poll.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/timerfd.h>

static long numbers[6];
static long at(int number, long a, long b, long c, long d, long e, long f) { return syscall(number, a, b, c, d, e, f); }

int main(void) {
    enter_directory();
    int file = open("file", O_RDWR | O_CREAT, 0600), pair[2], epoll = epoll_create1(0), timer = timerfd_create(CLOCK_MONOTONIC, 0);
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0 && write(pair[1], "waiting", 7) == 7 && write(file, "contents", 8) == 8);
    int directory = open("/", O_RDONLY | O_DIRECTORY);
    MUST(mkdir("mnt", 0700) == 0);
    numbers[0] = 0;
    // P marks where the bad pointer goes.
    enum { P = 0x50505050 };
    const struct { const char *name; int number; long arguments[6]; } calls[] = {
        {"pread64", SYS_pread64, {file, P, 8, 0}},
        {"write", SYS_write, {pair[0], P, 8}},
        {"stat", SYS_stat, {P, (long)numbers}},
        {"stat result", SYS_stat, {(long)"/", P}},
        {"fstat", SYS_fstat, {file, P}},
        {"newfstatat", SYS_newfstatat, {AT_FDCWD, (long)"/", P, 0}},
        {"statx", SYS_statx, {AT_FDCWD, (long)"/", 0, 0xfff, P}},
        {"poll", SYS_poll, {P, 1, 0}},
        {"ppoll set", SYS_ppoll, {P, 1, 0, 0, 8}},
        {"select", SYS_select, {64, P, 0, 0, 0}},
        {"select time", SYS_select, {0, 0, 0, 0, P}},
        {"pselect6 mask", SYS_pselect6, {0, 0, 0, 0, 0, P}},
        {"rt_sigaction new", SYS_rt_sigaction, {SIGUSR1, P, 0, 8}},
        {"rt_sigaction old", SYS_rt_sigaction, {SIGUSR1, 0, P, 8}},
        {"rt_sigprocmask", SYS_rt_sigprocmask, {SIG_BLOCK, 0, P, 8}},
        {"rt_sigpending", SYS_rt_sigpending, {P, 8}},
        {"rt_sigtimedwait", SYS_rt_sigtimedwait, {P, 0, 0, 8}},
        {"rt_sigsuspend", SYS_rt_sigsuspend, {P, 8}},
        {"rt_sigqueueinfo", SYS_rt_sigqueueinfo, {0x3fffff, SIGUSR1, P}},
        {"sigaltstack", SYS_sigaltstack, {P, 0}},
        {"pipe2", SYS_pipe2, {P, 0}},
        {"nanosleep", SYS_nanosleep, {P, 0}},
        {"clock_gettime", SYS_clock_gettime, {CLOCK_MONOTONIC, P}},
        {"clock_getres", SYS_clock_getres, {CLOCK_MONOTONIC, P}},
        {"clock_nanosleep", SYS_clock_nanosleep, {CLOCK_MONOTONIC, 0, P, 0}},
        {"gettimeofday", SYS_gettimeofday, {P, 0}},
        {"getitimer", SYS_getitimer, {0, P}},
        {"setitimer", SYS_setitimer, {0, P, 0}},
        {"timer_create", SYS_timer_create, {CLOCK_MONOTONIC, 0, P}},
        {"timer_create event", SYS_timer_create, {CLOCK_MONOTONIC, P, (long)numbers}},
        {"timerfd_settime", SYS_timerfd_settime, {timer, 0, P, 0}},
        {"timerfd_gettime", SYS_timerfd_gettime, {timer, P}},
        {"getrlimit", SYS_getrlimit, {RLIMIT_CORE, P}},
        {"setrlimit", SYS_setrlimit, {RLIMIT_CORE, P}},
        {"prlimit64", SYS_prlimit64, {0, RLIMIT_CORE, 0, P}},
        {"getrusage", SYS_getrusage, {0, P}},
        {"sysinfo", SYS_sysinfo, {P}},
        {"times", SYS_times, {P}},
        {"uname", SYS_uname, {P}},
        {"getcwd", SYS_getcwd, {P, 100}},
        {"chdir", SYS_chdir, {P}},
        {"openat", SYS_openat, {AT_FDCWD, P, 0}},
        {"mkdir", SYS_mkdir, {P, 0700}},
        {"rename old", SYS_rename, {P, (long)"x"}},
        {"rename new", SYS_rename, {(long)"file", P}},
        {"link", SYS_link, {(long)"file", P}},
        {"symlink", SYS_symlink, {P, (long)"x"}},
        {"unlink", SYS_unlink, {P}},
        {"readlink", SYS_readlink, {P, (long)numbers, 8}},
        {"readlink result", SYS_readlink, {(long)"/proc/self/exe", P, 8}},
        {"chmod", SYS_chmod, {P, 0700}},
        {"access", SYS_access, {P, 0}},
        {"truncate", SYS_truncate, {P, 0}},
        {"utimensat", SYS_utimensat, {AT_FDCWD, (long)"file", P, 0}},
        {"statfs", SYS_statfs, {(long)"/", P}},
        {"getdents64", SYS_getdents64, {directory, P, 1000}},
        {"getxattr name", SYS_getxattr, {(long)"file", P, 0, 0}},
        {"setxattr value", SYS_setxattr, {(long)"file", (long)"user.x", P, 5, 0}},
        {"mount", SYS_mount, {P, (long)"mnt", (long)"tmpfs", 0, 0}},
        {"bind", SYS_bind, {pair[0], P, 16}},
        {"connect", SYS_connect, {pair[0], P, 16}},
        {"sendto", SYS_sendto, {pair[0], P, 10, 0, 0, 0}},
        {"recvfrom", SYS_recvfrom, {pair[0], P, 4, MSG_PEEK, 0, 0}},
        {"sendmsg", SYS_sendmsg, {pair[0], P, 0}},
        {"recvmsg", SYS_recvmsg, {pair[0], P, 0}},
        {"sendmmsg", SYS_sendmmsg, {pair[0], P, 1, 0}},
        {"recvmmsg", SYS_recvmmsg, {pair[0], P, 1, 0, 0}},
        {"getsockname", SYS_getsockname, {pair[0], P, P}},
        {"getsockopt", SYS_getsockopt, {pair[0], SOL_SOCKET, SO_TYPE, P, P}},
        {"setsockopt", SYS_setsockopt, {pair[0], SOL_SOCKET, SO_SNDBUF, P, 4}},
        {"socketpair", SYS_socketpair, {AF_UNIX, SOCK_STREAM, 0, P}},
        {"epoll_ctl", SYS_epoll_ctl, {epoll, EPOLL_CTL_ADD, pair[0], P}},
        {"futex", SYS_futex, {P, 0, 0, 0}},
        {"futex time", SYS_futex, {(long)numbers, 0, 0, P}},
        {"sched_setaffinity", SYS_sched_setaffinity, {0, 8, P}},
        {"sched_getaffinity", SYS_sched_getaffinity, {0, 128, P}},
        {"sched_rr_get_interval", SYS_sched_rr_get_interval, {0, P}},
        {"getrandom", SYS_getrandom, {P, 8, 0}},
        {"memfd_create", SYS_memfd_create, {P, 0}},
        {"getresuid", SYS_getresuid, {P, P, P}},
        {"capget", SYS_capget, {P, P}},
        {"arch_prctl", SYS_arch_prctl, {0x1003, P}},
        {"prctl PR_GET_NAME", SYS_prctl, {16, P}},
        {"prctl PR_GET_PDEATHSIG", SYS_prctl, {2, P}},
        {"inotify_add_watch", SYS_inotify_add_watch, {inotify_init(), P, 1}},
        {"signalfd4", SYS_signalfd4, {-1, P, 8, 0}},
        {"name_to_handle_at", SYS_name_to_handle_at, {AT_FDCWD, (long)"/", P, (long)numbers, 0}},
        {"sendfile", SYS_sendfile, {pair[0], file, P, 4}},
        {"splice", SYS_splice, {file, P, pair[0], 0, 4, 0}},
        {"copy_file_range", SYS_copy_file_range, {file, P, file, 0, 4, 0}},
        {"fcntl F_GETLK", SYS_fcntl, {file, F_GETLK, P}},
        {"ioctl FIONREAD", SYS_ioctl, {pair[0], 0x541b, P}},
        {"clone3", SYS_clone3, {P, 88}},
        {"get_robust_list", SYS_get_robust_list, {0, P, P}},
        {"execve", SYS_execve, {P, 0, 0}},
        {"mincore", SYS_mincore, {(long)&numbers & ~4095, 4096, P}},
        {"io_setup", SYS_io_setup, {1, P}},
        {"mq_open", SYS_mq_open, {P, 0, 0, 0}},
        {"getpeername length", SYS_getpeername, {pair[0], (long)numbers, P}},
    };
    char *none = map_pages(1, PROT_NONE);
    const struct { const char *name; long value; } bad[] = {
        {"low", 0x1008}, {"PROT_NONE", (long)none}, {"kernel", (long)0xffffffff81000000}, {"non-canonical", 0x0123456789abcde8}, {"last", -8}, {"hole", 0x7fff00000000}};
    for (size_t i = 0; i < COUNT(calls); i++) {
        int wrong = 0, error = 0;
        long got = 0;
        const char *which = "";
        for (size_t j = 0; j < COUNT(bad); j++) {
            long a[6];
            for (int k = 0; k < 6; k++) a[k] = calls[i].arguments[k] == P ? bad[j].value : calls[i].arguments[k];
            errno = 0;
            long result = at(calls[i].number, a[0], a[1], a[2], a[3], a[4], a[5]);
            if (result != -1 || errno != EFAULT) {
                wrong++, got = result, error = errno, which = bad[j].name;
            }
        }
        check_report(calls[i].name, wrong == 0, "%d of %zu kinds, last %s: returned %ld, errno %d (%s)", wrong, COUNT(bad), which, got, error, strerror(error));
    }
    return check_done();
}
