// Random system calls with random arguments, in children that share nothing with this process but its files.
// Only errnos and signals may come of it. The seed is fixed, so that a failure can be had again; argv[1] changes it
// and argv[2] the number of children.
#include "survive.h"
#include <sys/prctl.h>

static uint64_t state;
static uint64_t next(void) {
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return state;
}

/// What would end the test, the machine's time or network, or the other processes rather than this child.
static bool dangerous(long number) {
    switch (number) {
    case SYS_reboot: case SYS_kill: case SYS_tkill: case SYS_tgkill: case SYS_rt_sigqueueinfo: case SYS_rt_tgsigqueueinfo:
    case SYS_pidfd_send_signal: case SYS_sethostname: case SYS_setdomainname: case SYS_settimeofday: case SYS_clock_settime:
    case SYS_adjtimex: case SYS_clock_adjtime: case SYS_swapon: case SYS_swapoff: case SYS_mount: case SYS_umount2:
    case SYS_pivot_root: case SYS_chroot: case SYS_move_mount: case SYS_open_tree: case SYS_fsmount: case SYS_mount_setattr:
    case SYS_unlink: case SYS_unlinkat: case SYS_rmdir: case SYS_rename: case SYS_renameat: case SYS_renameat2: case SYS_chmod:
    case SYS_fchmodat: case SYS_chown: case SYS_lchown: case SYS_fchownat: case SYS_truncate: case SYS_fork: case SYS_vfork:
    case SYS_clone: case SYS_clone3: case SYS_pause: case SYS_rt_sigsuspend: case SYS_prlimit64: case SYS_setpriority:
    case SYS_sched_setscheduler: case SYS_sched_setattr: case SYS_sched_setparam: case SYS_sched_setaffinity: case SYS_ioprio_set:
    case SYS_syslog: case SYS_vhangup: case SYS_quotactl: case SYS_acct: case SYS_sync: case SYS_syncfs: case SYS_mknod: case SYS_mknodat:
    case SYS_mkdir: case SYS_mkdirat: case SYS_creat: case SYS_link: case SYS_linkat: case SYS_symlink: case SYS_symlinkat:
    case SYS_setxattr: case SYS_lsetxattr: case SYS_removexattr: case SYS_lremovexattr: case SYS_init_module: case SYS_delete_module:
    case SYS_finit_module: case SYS_kexec_load: case SYS_kexec_file_load: case SYS_iopl: case SYS_ioperm: case SYS_setsid: case SYS_setpgid:
        return true;
    default:
        return false;
    }
}

static char *areas[4];

static long argument(void) {
    static const long interesting[] = {0, 1, -1, 2, 3, 4096, -4096, 0x7fffffff, 0x80000000, -0x80000000l, 0x7fffffffffffffff, (long)0x8000000000000000,
                                       0x7fffffffe000, 0x7ffffffff000, 0x800000000000, (long)0xffff800000000000, (long)0xffffffff81000000, 1l << 42, 42l << 40, 1l << 46, 1l << 47};
    switch (next() % 10) {
    case 0: return (long)(next() % 16);
    case 1: return (long)next();
    case 2: return (long)(next() & 0x7fffffffffff);
    case 3: return interesting[next() % COUNT(interesting)] + (long)(next() % 17) - 8;
    case 4: return interesting[next() % COUNT(interesting)];
    case 5: return (long)(next() & 0xffffffff);
    default: return (long)(areas[next() % 4] + next() % (2 * PAGE) - (next() % 8 == 0 ? PAGE : 0));
    }
}

/// A /dev/null of its own where it may make one: as root it would give the machine's to somebody else (fchown, fchmod).
static int open_null(void) {
    char name[64];
    snprintf(name, sizeof name, "/tmp/null.%d", (int)getpid());
    if (syscall(SYS_mknodat, AT_FDCWD, name, S_IFCHR | 0666, 1 << 8 | 3)) return getuid() == 0 ? memfd_create("null", 0) : open("/dev/null", O_RDWR);
    int null = open(name, O_RDWR);
    unlink(name);
    return null;
}

static int attack(void *seed) {
    state = (uint64_t)(uintptr_t)seed * 2654435761u + 88172645463325252ull;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    struct rlimit address = {1ull << 36, 1ull << 36}, file = {1 << 20, 1 << 20};
    setrlimit(RLIMIT_FSIZE, &file), setrlimit(RLIMIT_AS, &address);
    if (chdir("/tmp")) return 1;
    int null = open_null();
    if (null < 0) return 1;
    dup2(null, 0), dup2(null, 1), dup2(null, 2);
    areas[0] = map_pages(4, PROT_READ | PROT_WRITE), areas[1] = map_pages(4, PROT_READ), areas[2] = map_pages(4, PROT_NONE), areas[3] = map_pages(4, PROT_READ | PROT_WRITE);
    for (size_t i = 0; i < 4 * PAGE / 8; i++) ((uint64_t *)areas[0])[i] = (uint64_t)argument();
    alarm(3);
    for (int i = 0; i < 3000; i++) {
        long number = (long)(next() % 470);
        if (next() % 50 == 0) number = (long)next();
        if (dangerous(number)) continue;
        long a = argument(), b = argument(), c = argument(), d = argument(), e = argument(), f = argument();
        syscall(number, a, b, c, d, e, f);
    }
    return 0;
}

int main(int argc, char **argv) {
    unsigned long first = argc > 1 ? strtoul(argv[1], NULL, 0) : 1, count = argc > 2 ? strtoul(argv[2], NULL, 0) : 60;
    int stuck = 0, aborted = 0;
    unsigned long which = 0;
    for (unsigned long seed = first; seed < first + count; seed++) {
        pid_t child = fork();
        MUST(child >= 0);
        if (child == 0) {
            struct rlimit no_core = {0, 0};
            setrlimit(RLIMIT_CORE, &no_core);
            _exit(attack((void *)seed) ? 1 : 0);
        }
        int status = 0;
        pid_t got = 0;
        for (int i = 0; i < 40000 && (got = waitpid(child, &status, WNOHANG | __WALL)) == 0; i++) sleep_ms(1);
        if (got == 0) {
            stuck++, which = seed;
            kill(child, SIGKILL);
            waitpid(child, &status, __WALL);
        } else if (WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT) aborted++, which = seed;
    }
    check_report("no child was stuck", stuck == 0, "%d were, last with seed %lu", stuck, which);
    check_report("no monitor aborted", aborted == 0, "%d did, last with seed %lu", aborted, which);
    check_works("the parent still works");
    return check_done();
}
