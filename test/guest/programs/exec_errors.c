// execve and execveat fail with the errno Linux gives, and leave the caller as it was.
#include "check.h"
#include <elf.h>
#include <stddef.h>

static int attempt_exec(const char *path) {
    char *const arguments[] = {"x", NULL}, *const environment[] = {NULL};
    return execve(path, arguments, environment);
}

static void write_bytes(const char *path, const void *bytes, size_t length) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
    MUST(fd >= 0 && write(fd, bytes, length) == (ssize_t)length && fchmod(fd, 0755) == 0);
    close(fd);
}

static int as_nobody(void *path) {
    if (getuid() == 0 && (setgid(65534) || setuid(65534))) return 9;
    attempt_exec(path);
    return errno == EACCES ? 0 : errno;
}

int main(void) {
    enter_directory();
    CHECK_ERRNO("missing file", attempt_exec("./none"), ENOENT);
    CHECK_ERRNO("empty path", attempt_exec(""), ENOENT);
    MUST(mkdir("directory", 0755) == 0);
    CHECK_ERRNO("directory", attempt_exec("directory"), EACCES);
    CHECK_ERRNO("file used as a directory", (write_file("plain", "x", 0644), attempt_exec("plain/x")), ENOTDIR);
    CHECK_ERRNO("no execute bit", attempt_exec("plain"), EACCES);
    MUST(symlink("loop", "loop") == 0);
    CHECK_ERRNO("symbolic link to itself", attempt_exec("loop"), ELOOP);
    MUST(symlink("nowhere", "dangling") == 0);
    CHECK_ERRNO("dangling symbolic link", attempt_exec("dangling"), ENOENT);
    char path[5000];
    memset(path, 'a', sizeof path - 1), path[sizeof path - 1] = 0;
    CHECK_ERRNO("path too long", attempt_exec(path), ENAMETOOLONG);
    path[300] = 0;
    CHECK_ERRNO("name too long", attempt_exec(path), ENAMETOOLONG);

    write_file("garbage", "this is not a program\n", 0755);
    CHECK_ERRNO("text without #!", attempt_exec("./garbage"), ENOEXEC);
    write_file("empty", "", 0755);
    CHECK_ERRNO("empty file", attempt_exec("./empty"), ENOEXEC);
    write_file("bang", "#!", 0755);
    // An empty name resolves to the working directory.
    CHECK_ERRNO("#! and no interpreter", attempt_exec("./bang"), EACCES);
    write_file("blank", "#!   \n", 0755);
    CHECK_ERRNO("#! and blanks", attempt_exec("./blank"), ENOEXEC);
    write_file("missing", "#!/nowhere/at/all\n", 0755);
    CHECK_ERRNO("#! with a missing interpreter", attempt_exec("./missing"), ENOENT);
    write_file("noexec", "#!./plain\n", 0755);
    CHECK_ERRNO("#! with an interpreter that is not executable", attempt_exec("./noexec"), EACCES);
    write_file("itself", "#!./itself\n", 0755);
    CHECK_ERRNO("script whose interpreter is itself", attempt_exec("./itself"), ELOOP);

    Elf64_Ehdr header = {.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
                         .e_type = ET_EXEC, .e_machine = EM_X86_64, .e_version = EV_CURRENT,
                         .e_phoff = sizeof header, .e_ehsize = sizeof header, .e_phentsize = sizeof(Elf64_Phdr)};
    write_bytes("short", &header, 20);
    CHECK_ERRNO("truncated ELF header", attempt_exec("./short"), ENOEXEC);
    write_bytes("nophdr", &header, sizeof header);
    CHECK_ERRNO("ELF without program headers", attempt_exec("./nophdr"), ENOEXEC);
    header.e_phnum = 1;
    write_bytes("lostphdr", &header, sizeof header);
    CHECK_ERRNO("ELF with program headers past its end", attempt_exec("./lostphdr"), ENOEXEC);
    header.e_machine = EM_AARCH64;
    write_bytes("foreign", &header, sizeof header);
    CHECK_ERRNO("ELF of another machine", attempt_exec("./foreign"), ENOEXEC);
    header.e_machine = EM_X86_64, header.e_type = ET_REL;
    write_bytes("object", &header, sizeof header);
    CHECK_ERRNO("ELF object file", attempt_exec("./object"), ENOEXEC);
    header.e_type = ET_EXEC, header.e_phentsize = 12;
    write_bytes("entsize", &header, sizeof header);
    CHECK_ERRNO("ELF with a wrong e_phentsize", attempt_exec("./entsize"), ENOEXEC);
    struct image {
        Elf64_Ehdr header;
        Elf64_Phdr interpreter;
        char name[32];
    } lost = {.header = header,
              .interpreter = {.p_type = PT_INTERP, .p_offset = offsetof(struct image, name), .p_filesz = 9},
              .name = "/nowhere"};
    lost.header.e_phentsize = sizeof(Elf64_Phdr);
    write_bytes("lostinterp", &lost, sizeof lost);
    CHECK_ERRNO("ELF with a missing interpreter", attempt_exec("./lostinterp"), ENOENT);

    char *const environment[] = {NULL};
    size_t large = 200 * 1024;
    char *text = malloc(large + 1);
    memset(text, 'x', large), text[large] = 0;
    char *const one[] = {"x", text, NULL};
    CHECK_ERRNO("one argument over 128 KiB", execve("/proc/self/exe", one, environment), E2BIG);
    text[128 * 1024 - 1] = 0;
    char *many[200];
    for (int i = 0; i < 199; i++) many[i] = text;
    many[199] = NULL;
    CHECK_ERRNO("arguments over a quarter of the stack limit", execve("/proc/self/exe", many, environment), E2BIG);

    CHECK_ERRNO("bad path pointer", attempt_exec((char *)8), EFAULT);
    CHECK_ERRNO("bad argv pointer", execve("/proc/self/exe", (char **)8, environment), EFAULT);
    char *bad[] = {"x", (char *)8, NULL};
    CHECK_ERRNO("bad pointer in argv", execve("/proc/self/exe", bad, environment), EFAULT);
    CHECK_ERRNO("bad pointer in envp", execve("/proc/self/exe", one, bad), EFAULT);
    char *const none[] = {"x", NULL};
    CHECK_ERRNO("bad envp alone", execve("/proc/self/exe", none, bad), EFAULT);

    int held = open("/proc/self/exe", O_RDONLY);
    char *self = malloc(64 << 20);
    ssize_t length = 0, part;
    while ((part = read(held, self + length, (64 << 20) - length)) > 0) length += part;
    close(held);
    write_bytes("copy", self, (size_t)length);
    int writer = open("copy", O_WRONLY | O_CLOEXEC);
    CHECK_ERRNO("file open for writing", attempt_exec("./copy"), ETXTBSY);
    close(writer);

    CHECK_ERRNO("execveat of a directory descriptor", syscall(SYS_execveat, AT_FDCWD, "directory", none, environment, 0),
                EACCES);
    CHECK_ERRNO("execveat of a bad descriptor", syscall(SYS_execveat, 777, "copy", none, environment, 0), EBADF);
    CHECK_ERRNO("execveat with unknown flags", syscall(SYS_execveat, AT_FDCWD, "copy", none, environment, 0x10), EINVAL);
    MUST(symlink("copy", "link") == 0);
    CHECK_ERRNO("execveat NOFOLLOW of a link",
                syscall(SYS_execveat, AT_FDCWD, "link", none, environment, AT_SYMLINK_NOFOLLOW), ELOOP);
    int script = open("garbage", O_RDONLY | O_CLOEXEC);
    CHECK_ERRNO("execveat EMPTY_PATH of text", syscall(SYS_execveat, script, "", none, environment, AT_EMPTY_PATH),
                ENOEXEC);
    write_file("ok.sh", "#!/bin/sh\nexit 0\n", 0755);
    int hidden = open("ok.sh", O_RDONLY | O_CLOEXEC);
    CHECK_ERRNO("script through a close-on-exec descriptor",
                syscall(SYS_execveat, hidden, "", none, environment, AT_EMPTY_PATH), ENOENT);

    MUST(mkdir("closed", 0700) == 0);
    write_file("closed/inside", "#!/bin/sh\n", 0755);
    chmod(".", 0755);
    check_child("directory without search permission", as_nobody, "closed/inside", "exit 0");
    CHECK("the caller is as it was", getpid() > 0 && access("copy", X_OK) == 0);
    return check_done();
}
