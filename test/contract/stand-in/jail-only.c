/*
 * Stands in for tine-vmm where a test is about the jail and the shim alone:
 * applies the guest's limits as the monitor would, and becomes the program
 * after "--" instead of running it in a virtual machine.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static void apply(int resource, const char *text) {
    struct rlimit limit;
    char *rest;
    limit.rlim_cur = strtoull(text, &rest, 10);
    limit.rlim_max = strtoull(rest + 1, NULL, 10);
    if (setrlimit(resource, &limit) < 0) {
        perror("setrlimit");
        exit(70);
    }
}

int main(int count, char **arguments) {
    int index = 1;
    for (; index < count && strcmp(arguments[index], "--") != 0; ++index) {
        const char *option = arguments[index];
        if (strncmp(option, "--rlimit-stack=", 15) == 0) apply(RLIMIT_STACK, option + 15);
        if (strncmp(option, "--rlimit-nofile=", 16) == 0) apply(RLIMIT_NOFILE, option + 16);
        if (strncmp(option, "--log-fd=", 9) == 0 && getenv("STAND_IN_REPORT") != NULL)
            dprintf(atoi(option + 9), "%s\n", getenv("STAND_IN_REPORT"));
    }
    close_range(3, ~0U, 0);
    if (index + 1 >= count) return 64;
    execvp(arguments[index + 1], &arguments[index + 1]);
    return errno == ENOENT ? 127 : 126;
}
