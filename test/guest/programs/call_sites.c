// System calls made again and again from one place, while that place is interrupted, rewritten, thrown away, copied by
// fork or run by many threads: the same code must go on doing the same.
#include "check.h"
#include <execinfo.h>
#include <dlfcn.h>
#include <pthread.h>
#include <sys/uio.h>
#include <sys/time.h>
#include <ucontext.h>

static volatile sig_atomic_t interrupted, outside;
static struct { uintptr_t start, end; } code[64];
static int codes;

static void read_code_ranges(void) {
    codes = 0;
    for (char *line = read_file("/proc/self/maps"); line && *line && codes < 64; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
        char access[8];
        if (sscanf(line, "%lx-%lx %7s", &code[codes].start, &code[codes].end, access) == 3 && access[2] == 'x') codes++;
    }
}
static bool in_code(uintptr_t address) {
    for (int i = 0; i < codes; i++)
        if (address >= code[i].start && address < code[i].end) return true;
    return false;
}
static void on_tick(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)info;
    interrupted++;
    // In the middle of a few instructions it may be elsewhere; at a call it must not.
    if (!in_code((uintptr_t)((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP])) outside++;
}

static int calls_of_many_kinds(int rounds) {
    int wrong = 0, zero = open("/dev/zero", O_RDONLY), ends[2];
    char buffer[64];
    struct stat status;
    MUST(zero >= 0 && pipe(ends) == 0);
    pid_t pid = getpid(), parent = getppid();
    for (int i = 0; i < rounds; i++) {
        buffer[0] = 1;
        wrong += read(zero, buffer, 64) != 64 || buffer[0] != 0;
        wrong += pread(zero, buffer, 8, 0) != 8;
        wrong += write(ends[1], "abc", 3) != 3 || read(ends[0], buffer, 3) != 3 || memcmp(buffer, "abc", 3);
        wrong += fstat(zero, &status) != 0 || !S_ISCHR(status.st_mode);
        wrong += lseek(ends[0], 0, SEEK_CUR) != -1 || errno != ESPIPE;
        wrong += close(-1) != -1 || errno != EBADF;
        wrong += syscall(SYS_getpid) != pid || getppid() != parent;
        wrong += access("/nowhere/at/all", F_OK) != -1 || errno != ENOENT;
        struct iovec vector = {buffer, 4};
        wrong += readv(zero, &vector, 1) != 4;
        int fd = dup(zero);
        wrong += fd < 0 || fcntl(fd, F_GETFD) != 0 || close(fd) != 0;
    }
    close(zero), close(ends[0]), close(ends[1]);
    return wrong;
}

static void under_signals(void) {
    read_code_ranges();
    handle(SIGALRM, on_tick, SA_RESTART);
    struct itimerval often = {{0, 1000}, {0, 1000}}, never = {0};
    setitimer(ITIMER_REAL, &often, NULL);
    int wrong = 0;
    for (int i = 0; i < 10000 && interrupted < 50; i++) wrong += calls_of_many_kinds(10);
    setitimer(ITIMER_REAL, &never, NULL);
    CHECK_EQ("calls while a timer ticks", wrong, 0);
    CHECK("ticked", interrupted >= 50);
    CHECK("nearly always within the program's own code", outside * 20 <= interrupted);
}

static int frames;
static void count_frames(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)info, (void)context;
    void *trace[32];
    int seen = backtrace(trace, 32);
    if (seen > frames) frames = seen;
}
__attribute__((noinline)) static int waits_in_read(int fd) {
    char byte;
    return (int)read(fd, &byte, 1);
}
static atomic_int came_back;
/// Again and again: a signal that comes before the read is no interruption of it.
static void *interrupts(void *thread) {
    do {
        sleep_ms(50);
        pthread_kill(*(pthread_t *)thread, SIGUSR1);
    } while (!atomic_load(&came_back));
    return NULL;
}
static void unwound(void) {
    void *trace[4];
    backtrace(trace, 4); // loads the unwinder
    int ends[2];
    MUST(pipe(ends) == 0 && write(ends[1], "xxxxxxxx", 8) == 8);
    for (int i = 0; i < 8; i++) waits_in_read(ends[0]);
    handle(SIGUSR1, count_frames, 0);
    pthread_t self = pthread_self(), other;
    pthread_create(&other, NULL, interrupts, &self);
    CHECK("a read interrupted", waits_in_read(ends[0]) == -1 && errno == EINTR);
    atomic_store(&came_back, 1);
    pthread_join(other, NULL);
    // Handler, the kernel's frame, read, this file's two functions, main.
    CHECK("the stack is seen through it", frames >= 5);
}

static int cleaned;
static void clean(void *unused) { (void)unused, cleaned++; }
static void *cancelled(void *fd) {
    pthread_cleanup_push(clean, NULL);
    char byte;
    for (;;)
        if (read(*(int *)fd, &byte, 1) < 0) break;
    pthread_cleanup_pop(0);
    return NULL;
}
static void cancellation(void) {
    int ends[2];
    MUST(pipe(ends) == 0);
    for (int i = 0; i < 5; i++) {
        pthread_t thread;
        void *result;
        pthread_create(&thread, NULL, cancelled, &ends[0]);
        MUST(write(ends[1], "abcdef", 6) == 6);
        sleep_ms(20);
        pthread_cancel(thread);
        pthread_join(thread, &result);
        CHECK("a read is cancelled", result == PTHREAD_CANCELED);
    }
    CHECK_EQ("and cleaned up", cleaned, 5);
}

static void *many_kinds(void *wrong) {
    *(int *)wrong = calls_of_many_kinds(150);
    return NULL;
}
static void by_threads(void) {
    pthread_t threads[6];
    int wrong[6];
    for (int i = 0; i < 6; i++) pthread_create(&threads[i], NULL, many_kinds, &wrong[i]);
    for (int i = 0; i < 6; i++) pthread_join(threads[i], NULL);
    for (int i = 0; i < 6; i++) CHECK_EQ("calls of many threads", wrong[i], 0);
}

static int in_fork(void *unused) {
    (void)unused;
    return calls_of_many_kinds(30) != 0;
}

/// The pages of libc's code around read(), thrown away: the file's own come back.
static void thrown_away(void) {
    uintptr_t page = (uintptr_t)dlsym(RTLD_DEFAULT, "read") & ~(PAGE - 1);
    for (int i = 0; i < 20; i++) {
        MUST(madvise((void *)page, PAGE, MADV_DONTNEED) == 0);
        if (calls_of_many_kinds(10)) {
            CHECK("calls after their code was read again", false);
            return;
        }
    }
    CHECK("calls after their code was read again", true);
    MUST(mprotect((void *)page, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC) == 0);
    CHECK_EQ("calls from writable code", calls_of_many_kinds(20), 0);
    MUST(mprotect((void *)page, PAGE, PROT_READ | PROT_EXEC) == 0);
    CHECK_EQ("calls from code that was writable", calls_of_many_kinds(20), 0);
}

static int gate[2];
static _Atomic int waiting;
/// Waits in a call that returns to a place which is mapped over meanwhile.
static void *waits(void *unused) {
    (void)unused;
    char byte[2] = {0, 0};
    for (int i = 0; i < 20; i++) syscall(SYS_getppid);
    atomic_fetch_add(&waiting, 1);
    long first = syscall(SYS_read, gate[0], &byte[0], 1), second = read(gate[0], &byte[1], 1);
    return (void *)(long)(first == 1 && second == 1 && byte[0] == 'x' && byte[1] == 'x');
}

/// Everything free near libc is mapped over, by one who makes calls there, while others are in calls.
static void mapped_over(void) {
    pthread_t threads[2];
    MUST(pipe(gate) == 0);
    for (int i = 0; i < 2; i++) MUST(pthread_create(&threads[i], NULL, waits, NULL) == 0);
    while (atomic_load(&waiting) < 2) sched_yield();
    sleep_ms(20);
    read_code_ranges();
    uintptr_t libc = (uintptr_t)dlsym(RTLD_DEFAULT, "read");
    int taken = 0, wrong = 0;
    for (uintptr_t at = (libc & ~(uintptr_t)0xffff) - (8 << 20); at < libc + (8 << 20); at += 8 * PAGE) {
        unsigned char resident;
        bool hole = mincore((void *)at, PAGE, &resident) != 0 && errno == ENOMEM;
        if (hole) wrong += madvise((void *)at, PAGE, MADV_DONTNEED) == 0 || madvise((void *)at, PAGE, MADV_DONTFORK) == 0;
        void *got = (void *)syscall(SYS_mmap, at, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
        if (got == MAP_FAILED) continue;
        memset(got, 0xcc, PAGE);
        taken++;
    }
    CHECK("room was found", taken > 10);
    CHECK_EQ("and was nothing before", wrong, 0);
    MUST(write(gate[1], "xxxx", 4) == 4);
    for (int i = 0; i < 2; i++) {
        void *right;
        pthread_join(threads[i], &right);
        CHECK("a call that began before", right != NULL);
    }
    CHECK_EQ("calls with everything near mapped over", calls_of_many_kinds(20), 0);
    check_child("and in a child", in_fork, NULL, "exit 0");
}

static int goes_to_main(void *unused) {
    (void)unused;
    return calls_of_many_kinds(10);
}

#ifdef __x86_64__
static volatile sig_atomic_t steps;

static void on_step(int signal) {
    (void)signal;
    steps++;
}

static unsigned long flags_now(void) {
    unsigned long flags;
    __asm__ volatile("pushfq; popq %0" : "=r"(flags));
    return flags;
}

// Through a call with the trap flag set: it is one step, and the flag is still set behind it.
static int stepping(void *unused) {
    (void)unused;
    signal(SIGTRAP, on_step);
    const long pid = getpid();
    for (int i = 0; i < 200; i++) {
        __asm__ volatile("pushfq; orq $0x100, (%%rsp); popfq" ::: "cc", "memory");
        const long answer = syscall(SYS_getpid), parent = getppid();
        const unsigned long flags = flags_now();
        __asm__ volatile("pushfq; andq $~0x100, (%%rsp); popfq" ::: "cc", "memory");
        if (answer != pid || parent <= 0) return 1;
        if (!(flags & 0x100)) return 2;
    }
    return steps > 200 * 5 ? 0 : 3;
}
#endif

int main(void) {
    CHECK_EQ("calls", calls_of_many_kinds(50), 0);
    under_signals();
    unwound();
    cancellation();
    by_threads();
    for (int i = 0; i < 3; i++) check_child("calls of a child", in_fork, NULL, "exit 0");
    thrown_away();
    check_child("code thrown away, and a child", goes_to_main, NULL, "exit 0");
    mapped_over();
#ifdef __x86_64__
    check_child("a program that steps through its calls", stepping, NULL, "exit 0");
#endif
    return check_done();
}
