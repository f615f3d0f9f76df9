// What a fork makes of memory that is not simply private, of much of it, and of forks in unusual places: both sides see all
// of their memory as it must be.
#include "check.h"

#include <linux/sched.h>
#include <sys/ipc.h>
#include <sys/shm.h>

enum { kStable = 32, kStep = 256 << 20, kChildren = 20 };
static const size_t kMuch = (size_t)8 << 30;

static uint64_t *stable, *much;

static uint64_t word_of(size_t at, uint64_t seed) { return (at + seed) * 0x9e3779b97f4a7c15u; }

static void fill(uint64_t seed) {
    for (size_t i = 0; i < kStable * PAGE / 8; i++) stable[i] = word_of(i, seed);
}

static bool is_filled(uint64_t seed) {
    for (size_t i = 0; i < kStable * PAGE / 8; i++)
        if (stable[i] != word_of(i, seed)) return false;
    return true;
}

static long in_status(const char *name) {
    const char *line = strstr(read_file("/proc/self/status"), name);
    return line ? atol(line + strlen(name)) : -1;
}

struct sysv {
    int id;
    uint64_t *memory;
};

static int uses_sysv(void *argument) {
    struct sysv *s = argument;
    struct shmid_ds state;
    if (shmctl(s->id, IPC_STAT, &state) || state.shm_nattch != 2) return 1;
    if (s->memory[0] != 1 || s->memory[PAGE] != 2) return 2;
    s->memory[0] = 11;
    if (shmdt(s->memory)) return 3;
    uint64_t *again = shmat(s->id, NULL, 0);
    if (again == (void *)-1 || again[0] != 11) return 4;
    again[PAGE] = 22;
    return 0;
}

static void sysv(void) {
    struct sysv s = {.id = shmget(IPC_PRIVATE, 16 * PAGE, IPC_CREAT | 0600)};
    MUST(s.id >= 0);
    s.memory = shmat(s.id, NULL, 0);
    MUST(s.memory != (void *)-1 && shmctl(s.id, IPC_RMID, NULL) == 0);
    s.memory[0] = 1, s.memory[PAGE] = 2;
    check_child("System V memory is shared, and attached once more", uses_sysv, &s, "exit 0");
    CHECK("what the child wrote there, by both its mappings", s.memory[0] == 11 && s.memory[PAGE] == 22);
    struct shmid_ds state;
    CHECK("its end detaches", shmctl(s.id, IPC_STAT, &state) == 0 && state.shm_nattch == 1);
    MUST(shmdt(s.memory) == 0);
}

static int has_nothing_locked(void *memory) {
    uint64_t *word = memory;
    if (in_status("VmLck:") != 0 || word[0] != 5) return 1;
    word[0] = 6;
    map_pages(2, PROT_READ | PROT_WRITE); // MCL_FUTURE stays behind, too
    if (in_status("VmLck:") != 0 || mlock(memory, 3 * PAGE) || in_status("VmLck:") != 12) return 2;
    return munlock(memory, PAGE) || in_status("VmLck:") != 8 || munmap(memory, 4 * PAGE) || in_status("VmLck:") != 0;
}

static void locked(void) {
    uint64_t *memory = map_pages(4, PROT_READ | PROT_WRITE);
    memory[0] = 5;
    MUST(mlock(memory, 4 * PAGE) == 0 && munlock(memory + PAGE / 8, PAGE) == 0 && mlockall(MCL_FUTURE) == 0);
    CHECK_EQ("locked, in KiB", in_status("VmLck:"), 12);
    check_child("locks on memory stay with the parent", has_nothing_locked, memory, "exit 0");
    CHECK("as they were", in_status("VmLck:") == 12 && memory[0] == 5);
    MUST(munlockall() == 0);
    CHECK_EQ("and then no more", in_status("VmLck:"), 0);
    MUST(munmap(memory, 4 * PAGE) == 0);
}

static int sees_much(void *unused) {
    (void)unused;
    unsigned char in;
    for (size_t at = 0; at < kMuch; at += kStep) {
        if (much[at / 8] != word_of(at, 0) || much[(at + PAGE) / 8 + 1] != word_of(at, 1)) return 1;
        if (mincore((char *)much + at + kStep / 2, PAGE, &in) || (in & 1)) return 2;
        much[at / 8] = ~0ull;
    }
    return is_filled(0) ? 0 : 3;
}

static void sparse(void) {
    much = mmap(NULL, kMuch, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    MUST(much != MAP_FAILED && madvise(much, kMuch, MADV_NOHUGEPAGE) == 0);
    for (size_t at = 0; at < kMuch; at += kStep) much[at / 8] = word_of(at, 0), much[(at + PAGE) / 8 + 1] = word_of(at, 1);
    check_child("eight GiB, touched here and there, reach the child, which touches no more", sees_much, NULL, "exit 0");
    bool intact = true;
    for (size_t at = 0; at < kMuch; at += kStep) intact &= much[at / 8] == word_of(at, 0);
    CHECK("and are the parent's own", intact);
    MUST(munmap(much, kMuch) == 0);
}

// Forks, executes itself, forks again: the number is how often.
static int by_exec(const char *left) {
    pid_t child = fork();
    MUST(child >= 0);
    if (child == 0) {
        fill(7);
        execl("/proc/self/exe", "fork_kinds", left, NULL);
        _exit(1);
    }
    int status = -1;
    MUST(waitpid(child, &status, 0) == child);
    return status;
}

static int nested;
static void forks_in_handler(int number) {
    pid_t child = fork();
    if (child == 0) _exit(is_filled(0) ? 0 : 1);
    int status = -1;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    nested += status == 0;
    if (number == SIGUSR1) raise(SIGUSR2);
}

static void in_handlers(void) {
    stack_t alternate = {.ss_sp = map_pages(16, PROT_READ | PROT_WRITE), .ss_size = 16 * PAGE};
    MUST(sigaltstack(&alternate, NULL) == 0);
    struct sigaction action = {.sa_handler = forks_in_handler, .sa_flags = SA_ONSTACK};
    MUST(sigaction(SIGUSR1, &action, NULL) == 0 && sigaction(SIGUSR2, &action, NULL) == 0);
    raise(SIGUSR1);
    CHECK_EQ("forks in a handler within a handler, on a stack of their own", nested, 2);
}

static void by_every_flag(void) {
    static pid_t parent_tid, child_tid;
    static int pidfd;
    const uint64_t flags[] = {0, CLONE_FS, CLONE_FILES, CLONE_SYSVSEM, CLONE_IO, CLONE_UNTRACED, CLONE_CLEAR_SIGHAND, CLONE_PARENT_SETTID,
                              CLONE_CHILD_SETTID, CLONE_CHILD_CLEARTID, CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID, CLONE_PIDFD, CLONE_VFORK,
                              CLONE_FS | CLONE_FILES | CLONE_SYSVSEM | CLONE_IO | CLONE_PARENT_SETTID | CLONE_CHILD_SETTID | CLONE_PIDFD};
    int right = 0;
    for (size_t i = 0; i < COUNT(flags); i++) {
        struct clone_args arguments = {.flags = flags[i], .exit_signal = SIGCHLD, .parent_tid = (uintptr_t)&parent_tid,
                                       .child_tid = (uintptr_t)&child_tid, .pidfd = (uintptr_t)&pidfd};
        parent_tid = child_tid = pidfd = 0;
        const pid_t child = (pid_t)syscall(SYS_clone3, &arguments, sizeof arguments);
        MUST(child >= 0);
        if (child == 0) {
            bool well = is_filled(0) && (!(flags[i] & CLONE_CHILD_SETTID) || child_tid == (pid_t)syscall(SYS_gettid));
            fill(9);
            syscall(SYS_exit_group, well && is_filled(9) ? 0 : 1);
        }
        int status = -1;
        MUST(waitpid(child, &status, 0) == child);
        right += status == 0 && is_filled(0) && child_tid == 0 && parent_tid == (flags[i] & CLONE_PARENT_SETTID ? child : 0);
        if (flags[i] & CLONE_PIDFD) close(pidfd);
    }
    CHECK_EQ("memory is as it must be by each flag of clone3", right, (int)COUNT(flags));
}

// As a user whom nobody else is, so that the limit counts just these.
static int storm(void *unused) {
    (void)unused;
    const uid_t user = 1000000000u + (uid_t)getpid();
    struct rlimit limit = {kChildren, kChildren};
    int go[2];
    if (getuid() != 0) return 0;
    if (pipe(go) || setrlimit(RLIMIT_NPROC, &limit) || setresgid(user, user, user) || setresuid(user, user, user)) return 1;
    for (int round = 0; round < 3; round++) {
        int made = 0;
        pid_t children[kChildren + 1];
        for (; made <= kChildren; made++) {
            children[made] = fork();
            if (children[made] < 0) break;
            char byte;
            if (children[made] == 0) {
                fill((uint64_t)made);
                _exit(read(go[0], &byte, 1) == 1 && is_filled((uint64_t)made) ? 0 : 1);
            }
        }
        // The monitor's own tasks take a few places.
        if (errno != EAGAIN || made < kChildren - 6 || made >= kChildren || !is_filled(0)) return 2;
        for (int i = 0; i < made; i++)
            if (write(go[1], "", 1) != 1) return 3;
        for (int i = 0, status; i < made; i++)
            if (waitpid(children[i], &status, 0) != children[i] || status) return 4;
    }
    return is_filled(0) ? 0 : 5;
}

int main(int count, char **arguments) {
    stable = map_pages(kStable, PROT_READ | PROT_WRITE);
    fill(0);
    if (count > 1) {
        const char left[] = {(char)(arguments[1][0] - 1), 0};
        if (left[0] < '0') return is_filled(0) ? 42 : 1;
        const int status = by_exec(left);
        return is_filled(0) && WIFEXITED(status) ? WEXITSTATUS(status) : 1;
    }
    sysv();
    locked();
    sparse();
    check_status("forks and programs in turn", by_exec("4"), "exit 42");
    in_handlers();
    by_every_flag();
    check_child("a storm of forks up to RLIMIT_NPROC, three times", storm, NULL, "exit 0");
    CHECK("and memory is as it was", is_filled(0));
    return check_done();
}
