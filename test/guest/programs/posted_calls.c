// Threads that make many calls, quick ones and slow ones in turn, while signals arrive, others fork, execute and end, and
// the processors are busy with something else: no call is lost, doubled or interrupted without a signal, and no signal either.
#include "check.h"
#include <pthread.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/time.h>

#define LARGE ((size_t)256 << 10)
static int file;  // 1 MiB, whose bytes tell their places
static unsigned char byte_at(size_t place) { return (unsigned char)(place ^ place >> 8 ^ place >> 16); }

/// One byte, or so much that it takes longer than leaving the machine; what came is what is there.
static bool one_read(unsigned i) {
    static __thread unsigned char block[LARGE];
    size_t bytes = i % 3 == 2 ? LARGE : 1, place = (size_t)i * 7919 % (3 * LARGE);
    if (pread(file, block, bytes, (off_t)place) != (ssize_t)bytes) return false;
    return block[0] == byte_at(place) && block[bytes - 1] == byte_at(place + bytes - 1);
}

static _Atomic long handled;
static void counts(int signal) {
    (void)signal;
    // A call in the middle of a call.
    if (syscall(SYS_getppid) == getppid()) atomic_fetch_add(&handled, 1);
}
static void arm(int signal, void (*handler)(int), int flags) {
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
    sigemptyset(&action.sa_mask);
    MUST(sigaction(signal, &action, NULL) == 0);
}

static void with_a_timer(const char *name) {
    arm(SIGALRM, counts, SA_RESTART);
    atomic_store(&handled, 0);
    struct itimerval often = {{0, 4000}, {0, 4000}}, off = {0};
    int wrong = 0;
    setitimer(ITIMER_REAL, &often, NULL);
    uint64_t started = now_ns();
    for (unsigned i = 0; now_ns() - started < 150000000; i++) wrong += !one_read(i);
    setitimer(ITIMER_REAL, &off, NULL);
    CHECK_EQ(name, wrong, 0);
    CHECK("and a timer's signals arrive", handled > 3);
}

/// A reader in a thread of its own, who is sent signals while the bytes come now at once, now late.
#define BYTES 500
struct stream {
    int ends[2];
    bool restarts;
    _Atomic bool over;
    _Atomic pthread_t reader;
    int wrong, interrupted;
};
static void *reads_stream(void *raw) {
    struct stream *s = raw;
    atomic_store(&s->reader, pthread_self());
    for (int i = 0; i < BYTES;) {
        unsigned char byte;
        long before = atomic_load(&handled);
        ssize_t got = read(s->ends[0], &byte, 1);
        if (got == 1) {
            s->wrong += byte != (unsigned char)(i * 31);
            i++;
        } else if (got == -1 && errno == EINTR) {
            s->interrupted++;
            s->wrong += s->restarts || atomic_load(&handled) == before;
        } else {
            s->wrong++;
            break;
        }
        if (i % 4 == 0) s->wrong += !one_read((unsigned)i);
    }
    atomic_store(&s->over, true);
    return NULL;
}
static void *writes_stream(void *raw) {
    struct stream *s = raw;
    for (int i = 0; i < BYTES; i++) {
        unsigned char byte = (unsigned char)(i * 31);
        s->wrong += write(s->ends[1], &byte, 1) != 1;
        uint64_t until = now_ns() + (uint64_t)(i % 5) * 25000;
        if (i % 100 == 99) sleep_ms(1);
        else
            while (now_ns() < until && !atomic_load(&s->over)) sched_yield();
    }
    return NULL;
}
static void with_signals(const char *name, bool restarts) {
    struct stream s = {.restarts = restarts};
    MUST(pipe(s.ends) == 0);
    arm(SIGUSR1, counts, restarts ? SA_RESTART : 0);
    atomic_store(&handled, 0);
    pthread_t threads[2];
    MUST(pthread_create(&threads[0], NULL, reads_stream, &s) == 0 && pthread_create(&threads[1], NULL, writes_stream, &s) == 0);
    while (!atomic_load(&s.reader)) sched_yield();
    long sent = 0;
    while (!atomic_load(&s.over)) {
        // One at a time: this kind of signal is not queued.
        if (atomic_load(&handled) == sent) {
            if (pthread_kill(threads[0], SIGUSR1) == 0) sent++;
            if (sent % 16 == 0) sleep_ms(1);
        }
        sched_yield();
    }
    for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
    CHECK_EQ(name, s.wrong, 0);
    CHECK("each signal once", handled == sent || handled == sent - 1);
    close(s.ends[0]), close(s.ends[1]);
}

/// Queued signals carry numbers: each comes once and in order, whatever call it meets.
#define QUEUED 300
static _Atomic int expected, out_of_order;
static void takes(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)context;
    if (info->si_value.sival_int != atomic_fetch_add(&expected, 1)) atomic_fetch_add(&out_of_order, 1);
}
static void *receives(void *raw) {
    int *wrong = raw;
    struct timespec brief = {0, 60000};
    for (unsigned i = 0; atomic_load(&expected) < QUEUED; i++) {
        *wrong += !one_read(i);
        if (i % 8 == 0) {
            int result = clock_nanosleep(CLOCK_MONOTONIC, 0, &brief, NULL);
            *wrong += result != 0 && result != EINTR;
        }
    }
    return NULL;
}
static void with_queued_signals(const char *name) {
    struct sigaction action = {.sa_sigaction = takes, .sa_flags = SA_SIGINFO | SA_RESTART};
    MUST(sigaction(SIGRTMIN + 1, &action, NULL) == 0);
    atomic_store(&expected, 0), atomic_store(&out_of_order, 0);
    int wrong = 0;
    pthread_t thread;
    MUST(pthread_create(&thread, NULL, receives, &wrong) == 0);
    for (int i = 0; i < QUEUED;) {
        if (i - atomic_load(&expected) < 20) {
            MUST(pthread_sigqueue(thread, SIGRTMIN + 1, (union sigval){.sival_int = i}) == 0);
            i++;
        } else {
            sched_yield();
        }
    }
    pthread_join(thread, NULL);
    CHECK_EQ(name, wrong, 0);
    CHECK("queued signals come once and in order", expected == QUEUED && out_of_order == 0);
}

/// Makes calls until it is told to stop.
static _Atomic bool stop;
static _Atomic int busy_wrong;
static void *keeps_calling(void *unused) {
    (void)unused;
    for (unsigned i = 0; !atomic_load(&stop); i++) {
        if (!one_read(i)) atomic_fetch_add(&busy_wrong, 1);
        if (i % 16 == 0) sched_yield();
    }
    return NULL;
}
static int many_calls(void) {
    for (unsigned i = 0; i < 60; i++)
        if (!one_read(i)) return 1;
    return 0;
}
static void *calls_and_ends(void *unused) {
    (void)unused;
    return (void *)(long)many_calls();
}
static void beside_fork_and_exec(const char *program) {
    pthread_t threads[2];
    atomic_store(&stop, false);
    for (int i = 0; i < 2; i++) MUST(pthread_create(&threads[i], NULL, keeps_calling, NULL) == 0);
    int wrong = 0;
    char number[16], *words[] = {(char *)program, "child", number, NULL};
    snprintf(number, sizeof number, "%d", file);
    extern char **environ;
    for (int i = 0; i < 8; i++) {
        pid_t child;
        many_calls();
        if (i % 4 == 3) {
            MUST(posix_spawn(&child, program, NULL, NULL, words, environ) == 0);
        } else if ((child = fork()) == 0) {
            if (i % 4 == 2) execv(program, words);
            _exit(many_calls() ? 1 : 42);
        }
        int status = 0;
        pid_t got = waitpid(child, &status, 0);
        wrong += got != child || status != EXITED(42);
    }
    CHECK_EQ("children beside threads that call", wrong, 0);
    for (int i = 0; i < 12; i++) {
        pthread_t thread;
        void *result = NULL;
        MUST(pthread_create(&thread, NULL, calls_and_ends, NULL) == 0);
        pthread_join(thread, &result);
        wrong += result != NULL;
    }
    CHECK_EQ("threads that end", wrong, 0);
    atomic_store(&stop, true);
    for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
    CHECK_EQ("the calls beside them", busy_wrong, 0);
}

/// A process that ends, or is ended, while its threads are in calls of both kinds.
static void *blocks(void *raw) {
    char byte;
    many_calls();
    return (void *)(long)read(*(int *)raw, &byte, 1);
}
static int ends_with_calls(void *raw) {
    int ends[2];
    pthread_t thread;
    if (pipe(ends)) return 1;
    atomic_store(&stop, false);
    for (int i = 0; i < 2; i++)
        if (pthread_create(&thread, NULL, i ? blocks : keeps_calling, ends)) return 2;
    many_calls();
    if (raw) kill(getpid(), SIGKILL);
    return 5;
}
static void ends(void) {
    int wrong = 0;
    for (int i = 0; i < 6; i++) {
        int status = in_child(ends_with_calls, i & 1 ? &stop : NULL);
        wrong += i & 1 ? !(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) : status != EXITED(5);
    }
    CHECK_EQ("processes that end in the middle of calls", wrong, 0);
}

static void all(void) {
    with_a_timer("quick and slow calls in turn");
    with_signals("a stream read with SA_RESTART", true);
    with_signals("a stream read without", false);
    with_queued_signals("calls that queued signals meet");
}

int main(int count, char **words) {
    if (count > 2 && strcmp(words[1], "child") == 0) {
        file = atoi(words[2]);
        return many_calls() ? 1 : 42;
    }
    file = memfd_create("bytes", 0);
    MUST(file >= 0 && ftruncate(file, 4 * (off_t)LARGE) == 0);
    unsigned char *bytes = mmap(NULL, 4 * LARGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    for (size_t i = 0; i < 4 * LARGE; i++) bytes[i] = byte_at(i);
    munmap(bytes, 4 * LARGE);
    char program[512];
    ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
    MUST(length > 0);
    program[length] = 0;

    all();
    beside_fork_and_exec(program);
    ends();
    pid_t burners[2];
    for (int i = 0; i < 2; i++)
        if ((burners[i] = fork()) == 0)
            for (volatile unsigned long spins = 0;; spins++) {
            }
    all();
    ends();
    for (int i = 0; i < 2; i++) {
        int status;
        MUST(kill(burners[i], SIGKILL) == 0 && waitpid(burners[i], &status, 0) == burners[i]);
    }
    return check_done();
}
