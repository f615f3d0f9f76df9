// What the dynamic loader found out about the processor when the program started is what the processor says, whatever
// interrupted it meanwhile. Its calls and cpuids may have been changed before it ran (docs/exitless.md).
#include "check.h"
#include <sys/auxv.h>
#if defined(__x86_64__)
#include <cpuid.h>
#include <dlfcn.h>

struct leaf {
    unsigned int found[4], active[4];
};

/// Bits that differ from processor to processor or with time: the first is where the program ran.
static unsigned int comparable(unsigned int function, int word, unsigned int value) {
    return function == 1 && word == 1 ? value & 0x00ffffff : value;
}

static int wrong_leaves(void) {
    const struct leaf *(*get)(unsigned int) = (const struct leaf *(*)(unsigned int))dlsym(RTLD_DEFAULT, "__x86_get_cpuid_feature_leaf");
    if (!get) return 0;
    static const struct { unsigned int function, index; } asked[] = {{1, 0}, {7, 0}, {0x80000001, 0}, {0xd, 1}, {0x80000007, 0}, {0x80000008, 0}};
    int wrong = 0;
    for (unsigned int i = 0; i < COUNT(asked); i++) {
        unsigned int now[4], most = __get_cpuid_max(asked[i].function & 0x80000000, NULL);
        if (most < asked[i].function) continue;
        __cpuid_count(asked[i].function, asked[i].index, now[0], now[1], now[2], now[3]);
        const struct leaf *leaf = get(i);
        for (int word = 0; word < 4; word++)
            wrong += comparable(asked[i].function, word, leaf->found[word]) != comparable(asked[i].function, word, now[word]);
    }
    return wrong;
}

static int wrong_caches(void) {
    unsigned int a, b, c, d;
    if (__get_cpuid_max(0, NULL) < 4) return 0;
    __cpuid_count(4, 0, a, b, c, d);
    if ((a & 0x1f) != 1) return 0;  // no data cache is told of here
    long line = (b & 0xfff) + 1, ways = (b >> 22) + 1, parts = (b >> 12 & 0x3ff) + 1, sets = c + 1;
    return (sysconf(_SC_LEVEL1_DCACHE_LINESIZE) != line) + (sysconf(_SC_LEVEL1_DCACHE_SIZE) != line * ways * parts * sets) +
           (sysconf(_SC_LEVEL1_DCACHE_ASSOC) != ways);
}

static int judge(void) { return wrong_leaves() * 10 + wrong_caches(); }
#else
static int judge(void) { return 0; }
#endif

static int start_again(void *raw) {
    (void)raw;
    execl("/proc/self/exe", "loader_code", "judge", (char *)NULL);
    return 99;
}

/// Starts of the program, stopped and sent on at all times.
static int interrupted_starts(int rounds) {
    int wrong = 0;
    unsigned int seed = 1;
    for (int i = 0; i < rounds; i++) {
        pid_t child = fork();
        MUST(child >= 0);
        if (child == 0) _exit(start_again(NULL));
        int status;
        while (waitpid(child, &status, WNOHANG) == 0) {
            kill(child, SIGSTOP);
            kill(child, SIGCONT);
            seed = seed * 1103515245 + 12345;
            usleep(20 + (seed >> 16) % 150);
        }
        wrong += status != 0;
    }
    return wrong;
}

int main(int count, char **words) {
    if (count > 1 && strcmp(words[1], "judge") == 0) return judge();
    CHECK_EQ("what the loader found", judge(), 0);
    check_child("in a program executed anew", start_again, NULL, "exit 0");
    CHECK_EQ("interrupted again and again", interrupted_starts(12), 0);
    return check_done();
}
