// As a translator it shows what it was given to run, and how.
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

static const char *link_of(const char *path) {
    static char target[4096];
    const ssize_t length = readlink(path, target, sizeof target - 1);
    target[length < 0 ? 0 : length] = 0;
    return target;
}

int main(int count, char **arguments) {
    char text[4096], descriptor[64];
    FILE *comm = fopen("/proc/self/comm", "r");
    if (!comm || !fgets(text, sizeof text, comm)) return 1;
    fclose(comm);
    printf("comm %s", text);
    printf("exe %s\n", link_of("/proc/self/exe"));
    printf("execfn %s\n", (const char *)getauxval(AT_EXECFN));
    printf("flags %lu\n", getauxval(AT_FLAGS));
    const long open = (long)getauxval(AT_EXECFD);
    snprintf(descriptor, sizeof descriptor, "/proc/self/fd/%ld", open);
    printf("binary %s\n", open ? link_of(descriptor) : "not opened");
    FILE *line = fopen("/proc/self/cmdline", "r");
    if (!line) return 1;
    const size_t length = fread(text, 1, sizeof text - 1, line);
    fclose(line);
    size_t at = 0;
    for (int i = 0; i < count; i++) {
        if (at >= length || strcmp(text + at, arguments[i]) != 0) return 2;  // cmdline is argv
        at += strlen(arguments[i]) + 1;
        printf("[%s]", arguments[i]);
    }
    printf("\n");
    return at == length ? 0 : 3;
}
