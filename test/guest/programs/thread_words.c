// What a thread tells the kernel of itself: its thread pointer, where its robust list is, which word is cleared at its end.
// Each is told often, so that it is told in all the ways there are (docs/exitless.md).
#include "check.h"
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <sys/time.h>

#define OFTEN 40
#define HEAD_BYTES 24

struct head {
    void *next;
    long offset;
    void *pending;
};

static struct head heads[OFTEN];
static char stack[65536] __attribute__((aligned(16)));
static _Atomic int word = 1;
static volatile sig_atomic_t interrupted;

static void count(UNUSED int number) { interrupted = interrupted + 1; }

static struct head *robust_list(int tid) {
    void *head = (void *)-1;
    size_t length = 0;
    if (syscall(SYS_get_robust_list, tid, &head, &length) != 0 || length != HEAD_BYTES) return (void *)-1;
    return head;
}

/// How often what was told is what is so afterwards.
static int tell_robust_list(void) {
    int right = 0;
    for (int i = 0; i < OFTEN; i++) {
        heads[i] = (struct head){&heads[i], 0, NULL};
        right += syscall(SYS_set_robust_list, &heads[i], HEAD_BYTES) == 0 && robust_list(0) == &heads[i];
        right += syscall(SYS_set_robust_list, &heads[0], HEAD_BYTES - 1) == -1 && errno == EINVAL && robust_list(0) == &heads[i];
    }
    return right;
}

static int child_robust_list(UNUSED void *unused) { return robust_list(0) == &heads[OFTEN - 1] || tell_robust_list() != 2 * OFTEN; }

static int vfork_child(void *told) {
    for (int i = 0; i < OFTEN; i++) {
        if (syscall(SYS_set_robust_list, told, HEAD_BYTES) != 0) _exit(1);
        if (syscall(SYS_set_tid_address, &word) != getpid()) _exit(2);
    }
    _exit(0);
}

static int killed_vfork_child(void *told) {
    syscall(SYS_set_robust_list, told, HEAD_BYTES);
    static volatile char *volatile nowhere = (volatile char *)16;
    *nowhere = 1;
    return 0;
}

static void vfork_children(struct head *mine) {
    static struct head other;
    int status;
    word = 1;
    pid_t pid = clone(vfork_child, stack + sizeof stack, CLONE_VM | CLONE_VFORK | SIGCHLD, &other);
    CHECK("a vfork child", waitpid(pid, &status, 0) == pid && status == 0);
    CHECK_EQ("its word is cleared in the shared memory", word, 0);
    CHECK("its list is not the parent's", robust_list(0) == mine);
    pid = clone(killed_vfork_child, stack + sizeof stack, CLONE_VM | CLONE_VFORK | SIGCHLD, &other);
    CHECK("a vfork child that dies", waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
    CHECK("the list of one that died is not the parent's", robust_list(0) == mine);
}

static _Atomic int thread_tid, asked;

static void *thread_words(void *result) {
    static struct head mine = {&mine, 0, NULL};
    for (int i = 0; i < OFTEN; i++)
        if (syscall(SYS_set_tid_address, &word) != syscall(SYS_gettid)) *(int *)result += 1;
    syscall(SYS_set_robust_list, &mine, HEAD_BYTES);
    thread_tid = (int)syscall(SYS_gettid);
    while (!asked) continue;  // no call: nobody but the other thread looks
    *(int *)result += robust_list(0) != &mine;
    syscall(SYS_exit, 0);
    return NULL;
}

static void threads(void) {
    pthread_t thread;
    static int wrong;
    word = 1;
    pthread_create(&thread, NULL, thread_words, &wrong);
    while (!thread_tid) sched_yield();
    struct head *theirs = robust_list(thread_tid);
    CHECK("another thread's list", theirs != (void *)-1 && theirs->next == theirs);
    asked = 1;
    for (int i = 0; i < 1000 && word; i++) syscall(SYS_futex, &word, FUTEX_WAIT, 1, &(struct timespec){0, 10000000}, NULL, 0);
    CHECK_EQ("the word is cleared at a thread's end", word, 0);
    CHECK_EQ("what a thread sees of its own", wrong, 0);
}

#ifdef __x86_64__
#include <asm/prctl.h>

static __thread int in_thread = 7;

static void thread_pointer(void) {
    unsigned long was = 0, now = 0;
    int right = syscall(SYS_arch_prctl, ARCH_GET_FS, &was) == 0;
    const unsigned long refused[] = {0x7ffffffff000, 0x800000000000, 0xffff800000000000, 0xfffffffffffff000, 0xffffffffffffffff};
    for (int i = 0; i < OFTEN; i++) {
        right += syscall(SYS_arch_prctl, ARCH_SET_FS, was) == 0 && syscall(SYS_arch_prctl, ARCH_GET_FS, &now) == 0 && now == was && in_thread == 7;
        for (int k = 0; k < 5; k++) right += syscall(SYS_arch_prctl, ARCH_SET_FS, refused[k]) == -1 && errno == EPERM;
        right += syscall(SYS_arch_prctl, 0x1234567, was) == -1 && errno == EINVAL;
    }
    CHECK_EQ("the thread pointer", right, 1 + 7 * OFTEN);
    // A place that is not the thread's own, for as long as nothing of the C library runs.
    static unsigned long area[16];
    unsigned long seen = 0;
    area[3] = 0x5eed;
    for (int i = 0; i < OFTEN; i++) {
        long result, back;
        __asm__ volatile(
            "mov $158, %%eax\n mov $0x1002, %%edi\n mov %3, %%rsi\n syscall\n mov %%rax, %1\n"
            "mov %%fs:24, %0\n"
            "mov $158, %%eax\n mov $0x1002, %%edi\n mov %4, %%rsi\n syscall\n mov %%rax, %2\n"
            : "=&r"(seen), "=&r"(result), "=&r"(back)
            : "r"(area), "r"(was)
            : "rax", "rdi", "rsi", "rcx", "r11", "memory");
        right += seen == 0x5eed && result == 0 && back == 0 && in_thread == 7;
    }
    CHECK_EQ("another place for a while", right, 1 + 8 * OFTEN);
}
#else
static void thread_pointer(void) {}
#endif

int main(void) {
    struct head *first = robust_list(0);
    CHECK("the C library's list", first != NULL && first != (void *)-1);
    CHECK_EQ("the robust list", tell_robust_list(), 2 * OFTEN);
    struct head *mine = &heads[OFTEN - 1];
    check_child("a child has none but what it tells", child_robust_list, NULL, "exit 0");
    vfork_children(mine);
    threads();
    thread_pointer();
    // Interrupted anywhere, they are what was told last.
    signal(SIGALRM, count);
    struct itimerval often = {{0, 300}, {0, 300}}, never = {{0, 0}, {0, 0}};
    setitimer(ITIMER_REAL, &often, NULL);
    long wrong = 0;
    for (int i = 0; i < 400000 && interrupted < 100; i++) {
        wrong += syscall(SYS_set_robust_list, &heads[i % OFTEN], HEAD_BYTES) != 0;
        if (i % 16 == 0) wrong += robust_list(0) != &heads[i % OFTEN];
    }
    setitimer(ITIMER_REAL, &never, NULL);
    CHECK("signals in between", interrupted > 0);
    CHECK_EQ("the same between signals", wrong, 0);
    syscall(SYS_set_robust_list, first, HEAD_BYTES);
    return check_failures != 0;
}
