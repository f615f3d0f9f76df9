// kinds: static dynamic
// Floating-point and vector registers: kept across signals, system calls, forks and thread switches.
#include "check.h"
#include <cpuid.h>
#include <immintrin.h>
#include <pthread.h>
#include <sys/time.h>
#include <ucontext.h>

static bool has_avx, has_avx512;
static uint32_t area_size;

static void detect(void) {
    unsigned a, b, c, d;
    __cpuid(1, a, b, c, d);
    if (!(c & bit_OSXSAVE)) return;
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    has_avx = (c & bit_AVX) && (low & 6) == 6;
    __cpuid_count(7, 0, a, b, c, d);
    has_avx512 = (b & bit_AVX512F) && (low & 0xe6) == 0xe6;
    __cpuid_count(13, 0, a, b, c, d);
    area_size = b;
}

struct vectors { unsigned char bytes[32][64]; uint64_t masks[8]; };

static void fill(struct vectors *to, int seed) {
    for (int i = 0; i < 32; i++)
        for (int j = 0; j < 64; j++) to->bytes[i][j] = (unsigned char)(i * 7 + j * 13 + seed);
    for (int i = 0; i < 8; i++) to->masks[i] = (uint64_t)(i * 1111 + seed) & 0xffff;
}

#define ASM __asm__ volatile
#define EACH16(M) M(0) M(1) M(2) M(3) M(4) M(5) M(6) M(7) M(8) M(9) M(10) M(11) M(12) M(13) M(14) M(15)
#define LOAD_X(n) "movdqu " #n "*64(%0), %%xmm" #n "\n"
#define SAVE_X(n) "movdqu %%xmm" #n ", " #n "*64(%1)\n"
#define LOAD_Y(n) "vmovdqu " #n "*64(%0), %%ymm" #n "\n"
#define SAVE_Y(n) "vmovdqu %%ymm" #n ", " #n "*64(%1)\n"
#define LOAD_Z(n) "vmovdqu64 " #n "*64(%0), %%zmm" #n "\n"
#define SAVE_Z(n) "vmovdqu64 %%zmm" #n ", " #n "*64(%1)\n"
#define CLOBBERS "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15"
// Between load and save one raw system call, tgkill(self): the handler runs right after it.
#define CALL "mov %2, %%rax\nmov %3, %%rdi\nmov %4, %%rsi\nmov %5, %%rdx\nsyscall\n"
#define IN "r"(in), "r"(out), "r"(number), "r"(one), "r"(two), "r"(three)
#define REST "rax", "rcx", "rdx", "rsi", "rdi", "r11", "memory"

static void around_sse(const struct vectors *in, struct vectors *out, long number, long one, long two, long three) {
    ASM(EACH16(LOAD_X) CALL EACH16(SAVE_X)::IN : REST, CLOBBERS);
}
__attribute__((target("avx"))) static void around_avx(const struct vectors *in, struct vectors *out, long number, long one, long two, long three) {
    ASM(EACH16(LOAD_Y) CALL EACH16(SAVE_Y) "vzeroupper\n" ::IN : REST, CLOBBERS);
}
__attribute__((target("avx512f"))) static void around_avx512(const struct vectors *in, struct vectors *out, long number, long one, long two, long three) {
    ASM(EACH16(LOAD_Z) "vmovdqu64 20*64(%0), %%zmm20\nvmovdqu64 31*64(%0), %%zmm31\n"
        "kmovw 2048(%0), %%k1\nkmovw 2104(%0), %%k7\n" CALL EACH16(SAVE_Z)
        "vmovdqu64 %%zmm20, 20*64(%1)\nvmovdqu64 %%zmm31, 31*64(%1)\nkmovw %%k1, 2048(%1)\nkmovw %%k7, 2104(%1)\nvzeroupper\n"
        ::IN : REST, CLOBBERS);
}

static volatile int handled;
static volatile uint32_t frame_magic, frame_magic2, frame_size;
static volatile uint64_t frame_features;
static volatile unsigned frame_low;

static void spoil(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)info;
    ucontext_t *user = context;
    unsigned char *area = (unsigned char *)user->uc_mcontext.fpregs;
    uint32_t *software = (uint32_t *)(area + 464);
    frame_magic = software[0];
    frame_size = software[1];
    frame_features = *(uint64_t *)(software + 2);
    if (frame_magic == 0x46505853) frame_magic2 = *(uint32_t *)(area + software[1] - 4);
    frame_low = area[160 + 16 * 3];
    static struct vectors other, out;
    fill(&other, 99);
    if (has_avx512) around_avx512(&other, &out, SYS_getpid, 0, 0, 0);
    else if (has_avx) around_avx(&other, &out, SYS_getpid, 0, 0, 0);
    else around_sse(&other, &out, SYS_getpid, 0, 0, 0);
    double junk = 3;
    ASM("fninit; fldl %0; fldl %0" ::"m"(junk));
    uint32_t rounding = 0x7f80;
    ASM("ldmxcsr %0" ::"m"(rounding));
    handled++;
}

static volatile int edit_index;
static void edit(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)info;
    unsigned char *area = (unsigned char *)((ucontext_t *)context)->uc_mcontext.fpregs;
    memset(area + 160 + 16 * edit_index, 0x5a, 16);
    if (has_avx) memset(area + 576 + 16 * edit_index, 0xa5, 16);
    *(uint64_t *)(area + 512) |= 6;
}

static void *churn(void *seed) {
    struct vectors in, out = {0};
    fill(&in, (int)(long)seed);
    long wrong = 0;
    for (int i = 0; i < 3000; i++) {
        if (has_avx) around_avx(&in, &out, SYS_sched_yield, 0, 0, 0);
        else around_sse(&in, &out, SYS_sched_yield, 0, 0, 0);
        for (int j = 0; j < 16; j++) wrong += memcmp(in.bytes[j], out.bytes[j], has_avx ? 32 : 16) != 0;
    }
    return (void *)wrong;
}

int main(void) {
    detect();
    struct vectors in, out = {0};
    long pid = getpid(), tid = syscall(SYS_gettid);
    handle(SIGUSR1, spoil, 0), handle(SIGUSR2, edit, 0);
    fill(&in, 1);
    ASM("fninit");
    double pi = 3.25, back = 0;
    ASM("fldl %0" ::"m"(pi));
    around_sse(&in, &out, SYS_tgkill, pid, tid, SIGUSR1);
    ASM("fstpl %0" : "=m"(back));
    int wrong = 0;
    for (int i = 0; i < 16; i++) wrong += memcmp(in.bytes[i], out.bytes[i], 16) != 0;
    CHECK_EQ("SSE registers survive a handler", wrong, 0);
    CHECK("x87 stack survives", back == pi);
    uint32_t control = 0;
    ASM("stmxcsr %0" : "=m"(control));
    CHECK_EQ("MXCSR survives", control & 0xffc0, 0x1f80);
    CHECK_EQ("the frame holds xmm3's first byte", frame_low, in.bytes[3][0]);
    CHECK("the frame says it is extended", frame_magic == 0x46505853 && frame_magic2 == 0x46505845);
    CHECK_EQ("its size is XSAVE's and four", frame_size, area_size + 4);
    CHECK_EQ("its features include x87, SSE and AVX", frame_features & (has_avx ? 7 : 3), has_avx ? 7 : 3);
    wrong = 0;
    if (has_avx) {
        around_avx(&in, &out, SYS_tgkill, pid, tid, SIGUSR1);
        for (int i = 0; i < 16; i++) wrong += memcmp(in.bytes[i], out.bytes[i], 32) != 0;
    }
    CHECK_EQ("AVX registers survive", wrong, 0);
    wrong = 0;
    if (has_avx512) {
        around_avx512(&in, &out, SYS_tgkill, pid, tid, SIGUSR1);
        for (int i = 0; i < 16; i++) wrong += memcmp(in.bytes[i], out.bytes[i], 64) != 0;
        wrong += memcmp(in.bytes[20], out.bytes[20], 64) != 0;
        wrong += memcmp(in.bytes[31], out.bytes[31], 64) != 0;
        wrong += (uint16_t)in.masks[0] != (uint16_t)out.masks[0];
        wrong += (uint16_t)in.masks[7] != (uint16_t)out.masks[7];
    }
    CHECK_EQ("AVX-512 registers and masks survive", wrong, 0);

    for (edit_index = 0; edit_index < 16; edit_index += 5) {
        char name[64];
        fill(&in, 2);
        if (has_avx) around_avx(&in, &out, SYS_tgkill, pid, tid, SIGUSR2);
        else around_sse(&in, &out, SYS_tgkill, pid, tid, SIGUSR2);
        unsigned char expected[32];
        memset(expected, 0x5a, 16), memset(expected + 16, 0xa5, 16);
        snprintf(name, sizeof name, "a handler may change register %d", edit_index);
        CHECK(name, memcmp(out.bytes[edit_index], expected, has_avx ? 32 : 16) == 0 &&
                        memcmp(out.bytes[(edit_index + 1) % 16], in.bytes[(edit_index + 1) % 16], 16) == 0);
    }
    wrong = 0;
    const long calls[] = {SYS_getppid, SYS_getcpu, SYS_sched_yield, SYS_gettid};
    for (size_t i = 0; i < COUNT(calls); i++) {
        fill(&in, (int)i + 3);
        if (has_avx) around_avx(&in, &out, calls[i], 0, 0, 0);
        else around_sse(&in, &out, calls[i], 0, 0, 0);
        for (int j = 0; j < 16; j++) wrong += memcmp(in.bytes[j], out.bytes[j], has_avx ? 32 : 16) != 0;
    }
    CHECK_EQ("plain system calls leave them alone", wrong, 0);
    pthread_t threads[4];
    void *result;
    wrong = 0;
    for (long i = 0; i < 4; i++) pthread_create(&threads[i], NULL, churn, (void *)(i + 20));
    for (int i = 0; i < 4; i++) pthread_join(threads[i], &result), wrong += (int)(long)result;
    CHECK_EQ("four threads keep their own", wrong, 0);
    fill(&in, 50);
    memset(&out, 0, sizeof out);
    if (has_avx) around_avx(&in, &out, SYS_fork, 0, 0, 0);
    else around_sse(&in, &out, SYS_fork, 0, 0, 0);
    wrong = 0;
    for (int j = 0; j < 16; j++) wrong += memcmp(in.bytes[j], out.bytes[j], has_avx ? 32 : 16) != 0;
    if (syscall(SYS_getpid) != pid) _exit(wrong);
    int status;
    wait(&status);
    CHECK_EQ("fork: the parent's survive", wrong, 0);
    check_status("fork: the child has them", status, "exit 0");

    struct itimerval fast = {{0, 300}, {0, 300}}, off = {0};
    handled = wrong = 0;
    handle(SIGALRM, spoil, SA_RESTART);
    setitimer(ITIMER_REAL, &fast, NULL);
    uint64_t started = now_ns();
    volatile double sum = 0;
    while (now_ns() - started < 400000000) {
        double first = 0, second = 0;
        for (int i = 1; i < 500; i++) first += 1.0 / i;
        for (int i = 1; i < 500; i++) second += 1.0 / i;
        sum += first;
        wrong += first != second;
    }
    setitimer(ITIMER_REAL, &off, NULL);
    CHECK("a fast timer interrupts arithmetic", handled > 100);
    CHECK_EQ("whose results stay the same", wrong, 0);
    return check_done();
}
