// The vDSO: its functions are found, answer, and agree with the system calls.
#include "check.h"
#include <elf.h>
#include <link.h>
#include <sched.h>
#include <sys/auxv.h>
#include <sys/time.h>

static void *find(const char *wanted) {
    const ElfW(Ehdr) *image = (void *)getauxval(AT_SYSINFO_EHDR);
    const ElfW(Phdr) *header = (void *)((char *)image + image->e_phoff);
    ElfW(Dyn) *dynamic = NULL;
    uintptr_t bias = 0;
    for (int i = 0; i < image->e_phnum; i++) {
        if (header[i].p_type == PT_LOAD) bias = (uintptr_t)image + header[i].p_offset - header[i].p_vaddr;
        if (header[i].p_type == PT_DYNAMIC) dynamic = (void *)((char *)image + header[i].p_offset);
    }
    const char *strings = NULL;
    const ElfW(Sym) *symbols = NULL;
    const uint32_t *gnu_hash = NULL, *hash = NULL;
    for (; dynamic && dynamic->d_tag != DT_NULL; dynamic++) {
        void *at = (void *)(dynamic->d_un.d_ptr + bias);
        if (dynamic->d_tag == DT_STRTAB) strings = at;
        if (dynamic->d_tag == DT_SYMTAB) symbols = at;
        if (dynamic->d_tag == DT_HASH) hash = at;
        if (dynamic->d_tag == DT_GNU_HASH) gnu_hash = at;
    }
    if (!strings || !symbols) return NULL;
    uint32_t count = hash ? hash[1] : 0;
    if (!count && gnu_hash) {
        const uint32_t *buckets = gnu_hash + 4 + gnu_hash[2] * 2, *chain = buckets + gnu_hash[0];
        uint32_t last = 0;
        for (uint32_t i = 0; i < gnu_hash[0]; i++)
            if (buckets[i] > last) last = buckets[i];
        if (last) {
            while (!(chain[last - gnu_hash[1]] & 1)) last++;
            count = last + 1;
        }
    }
    for (uint32_t i = 0; i < count; i++)
        if (strcmp(strings + symbols[i].st_name, wanted) == 0 && symbols[i].st_value)
            return (void *)(symbols[i].st_value + bias);
    return NULL;
}

static int (*vdso_gettime)(clockid_t, struct timespec *);

static int64_t nanoseconds(struct timespec time) { return time.tv_sec * 1000000000ll + time.tv_nsec; }

static void check_clock(const char *name, clockid_t clock) {
    struct timespec before, inside, after;
    bool ordered = true;
    for (int i = 0; i < 50; i++) {
        int failed = (int)syscall(SYS_clock_gettime, clock, &before);
        failed |= vdso_gettime(clock, &inside);
        failed |= (int)syscall(SYS_clock_gettime, clock, &after);
        if (failed || nanoseconds(before) > nanoseconds(inside) || nanoseconds(inside) > nanoseconds(after))
            ordered = false;
    }
    check_report(name, ordered, "%lld %lld %lld not in order", (long long)nanoseconds(before),
                 (long long)nanoseconds(inside), (long long)nanoseconds(after));
}

int main(void) {
    vdso_gettime = find("__vdso_clock_gettime");
    int (*vdso_gettimeofday)(struct timeval *, void *) = find("__vdso_gettimeofday");
    time_t (*vdso_time)(time_t *) = find("__vdso_time");
    long (*vdso_getcpu)(unsigned *, unsigned *, void *) = find("__vdso_getcpu");
    int (*vdso_getres)(clockid_t, struct timespec *) = find("__vdso_clock_getres");
    CHECK("has clock_gettime", vdso_gettime != NULL);
    CHECK("has gettimeofday", vdso_gettimeofday != NULL);
    CHECK("has time", vdso_time != NULL);
    CHECK("has getcpu", vdso_getcpu != NULL);
    CHECK("has clock_getres", vdso_getres != NULL);
    if (check_failures) return check_done();

    check_clock("CLOCK_REALTIME agrees", CLOCK_REALTIME);
    check_clock("CLOCK_MONOTONIC agrees", CLOCK_MONOTONIC);
    check_clock("CLOCK_BOOTTIME agrees", CLOCK_BOOTTIME);
    check_clock("CLOCK_MONOTONIC_RAW agrees", CLOCK_MONOTONIC_RAW);
    check_clock("CLOCK_REALTIME_COARSE agrees", CLOCK_REALTIME_COARSE);
    check_clock("CLOCK_MONOTONIC_COARSE agrees", CLOCK_MONOTONIC_COARSE);
    check_clock("CLOCK_TAI agrees", CLOCK_TAI);
    check_clock("CLOCK_PROCESS_CPUTIME_ID agrees", CLOCK_PROCESS_CPUTIME_ID);
    check_clock("CLOCK_THREAD_CPUTIME_ID agrees", CLOCK_THREAD_CPUTIME_ID);
    struct timespec none;
    CHECK("an unknown clock is refused", vdso_gettime(9999, &none) == -EINVAL);

    struct timeval day;
    struct timespec real;
    syscall(SYS_clock_gettime, CLOCK_REALTIME, &real);
    CHECK("gettimeofday answers", vdso_gettimeofday(&day, NULL) == 0 && labs(day.tv_sec - real.tv_sec) <= 1);
    time_t stored = 0, returned = vdso_time(&stored);
    CHECK("time answers and stores", returned == stored && labs(returned - real.tv_sec) <= 1);
    struct timespec kernel, mapped;
    syscall(SYS_clock_getres, CLOCK_MONOTONIC, &kernel);
    CHECK("clock_getres agrees", vdso_getres(CLOCK_MONOTONIC, &mapped) == 0 && mapped.tv_nsec == kernel.tv_nsec);

    cpu_set_t original;
    MUST(sched_getaffinity(0, sizeof original, &original) == 0);
    for (int cpu = 0, pinned = 0; cpu < CPU_SETSIZE && pinned < 2; cpu++) {
        if (!CPU_ISSET(cpu, &original)) continue;
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        MUST(sched_setaffinity(0, sizeof one, &one) == 0);
        unsigned from_call = 99, from_vdso = 98, node = 77;
        syscall(SYS_getcpu, &from_call, NULL, NULL);
        vdso_getcpu(&from_vdso, &node, NULL);
        char name[64];
        snprintf(name, sizeof name, "getcpu agrees on processor %d of two", pinned++);
        check_report(name, (int)from_call == cpu && (int)from_vdso == cpu && node == 0,
                     "pinned to %d, call %u, vDSO %u, node %u", cpu, from_call, from_vdso, node);
    }
    sched_setaffinity(0, sizeof original, &original);

    uint64_t started = now_ns(), turns = 0;
    while (now_ns() - started < 20000000) turns++;
    CHECK("the clock advances while it is read", turns > 100);
    return check_done();
}
