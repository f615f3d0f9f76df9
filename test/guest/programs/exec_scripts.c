// `#!` scripts: argument splitting, nesting, environment, execveat by descriptor.
#include "check.h"

static char output[8192];

/// Runs PATH with two arguments; gives what it wrote.
static const char *run(const char *path) {
    int ends[2];
    MUST(pipe(ends) == 0);
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], 1);
        close(ends[0]), close(ends[1]);
        char *const arguments[] = {"zero", "one", "two words", NULL}, *const environment[] = {"A=b", NULL};
        execve(path, arguments, environment);
        _exit(100 + (errno & 31));
    }
    close(ends[1]);
    size_t used = 0;
    ssize_t part;
    while ((part = read(ends[0], output + used, sizeof output - 1 - used)) > 0) used += (size_t)part;
    output[used] = 0;
    close(ends[0]);
    int status;
    waitpid(child, &status, 0);
    if (status) snprintf(output, sizeof output, "%s", describe_status(status));
    return output;
}

int main(int argc, char **argv) {
    if (argc > 1) {
        for (int i = strcmp(argv[1], "--show") == 0 ? 2 : 1; i < argc; i++) printf("[%s]", argv[i]);
        return 0;
    }
    enter_directory();
    char self[4096], text[8192];
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    MUST(length > 0);
    self[length] = 0;
    MUST(symlink(self, "show") == 0);

    write_file("plain.sh", "#!/bin/sh\necho \"$0|$1|$2|$A\"\n", 0755);
    CHECK_STRING("arguments and environment", run("./plain.sh"), "./plain.sh|one|two words|b\n");
    write_file("blank.sh", "#! \t /bin/sh \t \necho \"$0\"\n", 0755);
    CHECK_STRING("blanks around the interpreter", run("./blank.sh"), "./blank.sh\n");
    write_file("option.sh", "#!./show --show\n", 0755);
    CHECK_STRING("one optional argument", run("./option.sh"), "[./option.sh][one][two words]");
    write_file("spaces.sh", "#!./show --show a b \n", 0755);
    CHECK_STRING("optional argument is not split", run("./spaces.sh"), "[--show a b][./spaces.sh][one][two words]");
    write_file("noline.sh", "#!./show --show", 0755);
    CHECK_STRING("no newline at the end", run("./noline.sh"), "[./noline.sh][one][two words]");
    write_file("nested.sh", "#!./option.sh extra\n", 0755);
    CHECK_STRING("an interpreter that is a script", run("./nested.sh"), "[./option.sh][extra][./nested.sh][one][two words]");
    for (int i = 0; i < 7; i++) {
        char name[16], line[64];
        snprintf(name, sizeof name, "d%d", i);
        if (i == 0) snprintf(line, sizeof line, "#!./show --show\n");
        else snprintf(line, sizeof line, "#!./d%d\n", i - 1);
        write_file(name, line, 0755);
    }
    CHECK_STRING("five scripts deep", run("./d4"), "[./d0][./d1][./d2][./d3][./d4][one][two words]");
    CHECK_STRING("six scripts deep is too much", run("./d6"), "exit 108");

    memset(text, '/', sizeof text);
    snprintf(text, sizeof text, "#!/bin/sh %0200d\necho \"$0\"\n", 0);
    write_file("long.sh", text, 0755);
    CHECK("a long but whole first line is read", strstr(run("./long.sh"), "exit 2") || strlen(output) > 0);
    memset(text, 'a', 600);
    memcpy(text, "#!/", 3), text[600] = '\n', text[601] = 0;
    write_file("toolong.sh", text, 0755);
    CHECK_STRING("an interpreter cut off at 256 bytes", run("./toolong.sh"), "exit 108");

    int fd = open("option.sh", O_RDONLY);
    int ends[2];
    MUST(pipe(ends) == 0);
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], 1), dup2(fd, 50);
        char *const arguments[] = {"zero", "one", NULL}, *const environment[] = {NULL};
        syscall(SYS_execveat, 50, "", arguments, environment, AT_EMPTY_PATH);
        _exit(100 + (errno & 31));
    }
    close(ends[1]);
    ssize_t got = read(ends[0], output, sizeof output - 1);
    output[got > 0 ? got : 0] = 0;
    waitpid(child, NULL, 0);
    CHECK_STRING("execveat of a script by descriptor names /dev/fd", output, "[/dev/fd/50][one]");
    return check_done();
}
