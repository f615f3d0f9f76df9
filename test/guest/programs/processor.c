// What the cpuid instruction says of the processor: what the kernel says of it, where a program could use it.
#include "check.h"
#if defined(__x86_64__)
#include <cpuid.h>

static char text[1 << 16];

/// The first line of /proc/cpuinfo with this name, without it.
static const char *line_of(const char *name) {
    static char line[8192];
    const char *at = strstr(text, name), *colon = at ? strstr(at, ": ") : NULL;
    if (!colon) return "";
    size_t length = strcspn(colon + 2, "\n");
    snprintf(line, sizeof line, "%.*s", (int)length, colon + 2);
    return line;
}

static bool listed(const char *flags, const char *name) {
    size_t length = strlen(name);
    for (const char *at = flags; (at = strstr(at, name)); at += length)
        if ((at == flags || at[-1] == ' ') && (at[length] == ' ' || at[length] == 0)) return true;
    return false;
}

int main(void) {
    // Leaf, index, register (0: eax … 3: edx), bit, the kernel's name: what instructions of user code need.
    static const struct { uint32_t leaf, index; int reg, bit; const char *name; } features[] = {
        {1, 0, 2, 0, "pni"},          {1, 0, 2, 1, "pclmulqdq"},   {1, 0, 2, 9, "ssse3"},       {1, 0, 2, 12, "fma"},
        {1, 0, 2, 13, "cx16"},        {1, 0, 2, 19, "sse4_1"},     {1, 0, 2, 20, "sse4_2"},     {1, 0, 2, 22, "movbe"},
        {1, 0, 2, 23, "popcnt"},      {1, 0, 2, 25, "aes"},        {1, 0, 2, 26, "xsave"},      {1, 0, 2, 28, "avx"},
        {1, 0, 2, 29, "f16c"},        {1, 0, 2, 30, "rdrand"},     {1, 0, 3, 4, "tsc"},         {1, 0, 3, 8, "cx8"},
        {1, 0, 3, 15, "cmov"},        {1, 0, 3, 19, "clflush"},    {1, 0, 3, 23, "mmx"},        {1, 0, 3, 24, "fxsr"},
        {1, 0, 3, 25, "sse"},         {1, 0, 3, 26, "sse2"},       {7, 0, 1, 0, "fsgsbase"},    {7, 0, 1, 3, "bmi1"},
        {7, 0, 1, 5, "avx2"},         {7, 0, 1, 8, "bmi2"},        {7, 0, 1, 9, "erms"},        {7, 0, 1, 16, "avx512f"},
        {7, 0, 1, 17, "avx512dq"},    {7, 0, 1, 18, "rdseed"},     {7, 0, 1, 19, "adx"},        {7, 0, 1, 21, "avx512ifma"},
        {7, 0, 1, 23, "clflushopt"},  {7, 0, 1, 24, "clwb"},       {7, 0, 1, 28, "avx512cd"},   {7, 0, 1, 29, "sha_ni"},
        {7, 0, 1, 30, "avx512bw"},    {7, 0, 1, 31, "avx512vl"},   {7, 0, 2, 1, "avx512vbmi"},  {7, 0, 2, 6, "avx512_vbmi2"},
        {7, 0, 2, 8, "gfni"},         {7, 0, 2, 9, "vaes"},        {7, 0, 2, 10, "vpclmulqdq"}, {7, 0, 2, 11, "avx512_vnni"},
        {7, 0, 2, 12, "avx512_bitalg"}, {7, 0, 2, 14, "avx512_vpopcntdq"}, {7, 0, 3, 4, "fsrm"},
        {0x80000001, 0, 2, 0, "lahf_lm"}, {0x80000001, 0, 2, 5, "abm"}, {0x80000001, 0, 3, 11, "syscall"}, {0x80000001, 0, 3, 29, "lm"},
    };
    FILE *file = fopen("/proc/cpuinfo", "r");
    MUST(file != NULL);
    text[fread(text, 1, sizeof text - 1, file)] = 0;
    fclose(file);
    char flags[8192];
    snprintf(flags, sizeof flags, "%s", line_of("flags"));
    for (size_t i = 0; i < COUNT(features); i++) {
        unsigned r[4] = {0};
        __get_cpuid_count(features[i].leaf, features[i].index, &r[0], &r[1], &r[2], &r[3]);
        CHECK_EQ(features[i].name, (int)(r[features[i].reg] >> features[i].bit & 1), (int)listed(flags, features[i].name));
    }
    unsigned brand[13] = {0};
    for (unsigned i = 0; i < 3; i++)
        __get_cpuid(0x80000002 + i, &brand[4 * i], &brand[4 * i + 1], &brand[4 * i + 2], &brand[4 * i + 3]);
    const char *name = (const char *)brand;
    while (*name == ' ') name++;
    CHECK("the processor's name", strncmp(name, line_of("model name"), strlen(line_of("model name"))) == 0);
    return check_done();
}
#else
int main(void) { return check_done(); }
#endif
