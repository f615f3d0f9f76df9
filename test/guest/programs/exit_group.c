// The ends of a process: exit codes, exit_group from any thread, death by each fault, as a whole process.
#include "check.h"
#include <pthread.h>

static void *exits(void *code) {
    sleep_ms(5);
    syscall(SYS_exit_group, (int)(long)code);
    return NULL;
}
static void *spins(void *unused) {
    for (volatile long i = 0;; i++) {
    }
    return unused;
}
static void *pauses(void *unused) {
    for (;;) pause();
    return unused;
}
static void *crashes(void *unused) {
    sleep_ms(5);
    *(volatile int *)16 = 1;
    return unused;
}
static void *aborts(void *unused) {
    sleep_ms(5);
    abort();
    return unused;
}

static int with_threads(void *last) {
    struct rlimit no_core = {0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    pthread_t thread;
    for (int i = 0; i < 4; i++) pthread_create(&thread, NULL, i % 2 ? spins : pauses, NULL);
    pthread_create(&thread, NULL, *(void *(*const *)(void *))last, (void *)300L);
    for (;;) pause();
    return 1;
}

static int main_exits(void *unused) {
    pthread_t thread;
    for (int i = 0; i < 4; i++) pthread_create(&thread, NULL, i % 2 ? spins : pauses, NULL);
    return unused ? 1 : 23;
}
static int raw_exit_of_main(void *unused) {
    pthread_t thread;
    pthread_create(&thread, NULL, exits, (void *)45L);
    syscall(SYS_exit, 3);
    return unused != NULL;
}
static int exits_with(void *code) { return (int)(long)code; }
static int at_exit_value;
static void at_exit_handler(void) { _exit(at_exit_value); }
static int runs_handlers(void *unused) {
    at_exit_value = 61;
    atexit(at_exit_handler);
    exit(unused ? 1 : 2);
}
static int divides(void *zero) {
    int quotient = 1, rest = 0, divisor = (int)(long)zero;
    __asm__ volatile("idivl %2" : "+a"(quotient), "+d"(rest) : "r"(divisor));
    return quotient;
}
static int illegal(void *unused) {
    __asm__ volatile("ud2");
    return unused != NULL;
}
static int breakpoint(void *unused) {
    __asm__ volatile("int3");
    return unused != NULL;
}
static int privileged(void *unused) {
    __asm__ volatile("hlt");
    return unused != NULL;
}
static int jumps_to_null(void *null) { return ((int (*)(void))(uintptr_t)null)(); }
static int raises(void *signal) { return raise((int)(long)signal); }
static int blocked_fault(void *null) {
    block_signal(SIGSEGV);
    handle(SIGSEGV, NULL, 0);
    *(volatile int *)null = 1;
    return 0;
}
static int ignored_fault(void *null) {
    signal(SIGSEGV, SIG_IGN);
    *(volatile int *)null = 1;
    return 0;
}

int main(void) {
    struct rlimit no_core = {0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    check_child("exit 0", exits_with, (void *)0L, "exit 0");
    check_child("exit 255", exits_with, (void *)255L, "exit 255");
    check_child("exit keeps eight bits", exits_with, (void *)0x1234L, "exit 52");
    void *(*body)(void *) = exits;
    check_child("exit_group from a thread", with_threads, &body, "exit 44");
    body = crashes;
    check_child("a fault in a thread", with_threads, &body, "signal 11");
    body = aborts;
    check_child("abort in a thread", with_threads, &body, "signal 6");
    check_child("main returns beside busy threads", main_exits, NULL, "exit 23");
    check_child("exit of the first thread alone", raw_exit_of_main, NULL, "exit 45");
    check_child("atexit handlers", runs_handlers, NULL, "exit 61");
    check_child("division by zero", divides, (void *)0L, "signal 8");
    check_child("ud2", illegal, NULL, "signal 4");
    check_child("int3", breakpoint, NULL, "signal 5");
    check_child("hlt", privileged, NULL, "signal 11");
    check_child("call of a null pointer", jumps_to_null, NULL, "signal 11");
    check_child("a fault while SIGSEGV is blocked", blocked_fault, NULL, "signal 11");
    check_child("a fault while SIGSEGV is ignored", ignored_fault, NULL, "signal 11");
    check_child("raise(SIGTERM)", raises, (void *)(long)SIGTERM, "signal 15");
    check_child("raise(SIGSYS)", raises, (void *)(long)SIGSYS, "signal 31");
    check_child("raise(64)", raises, (void *)64L, "signal 64");
    return check_done();
}
