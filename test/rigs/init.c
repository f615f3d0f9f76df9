// The first process of a rig: loads the modules it was given, runs the commands of /rig/commands one after the other,
// and switches the machine off. What a command prints goes to the console as it is; a line that begins with the
// record separator (1EH) tells its status: `\036<status>\n`, 128 + n for signal n.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

enum { MOST_WORDS = 32 };

static void fail(const char *what) {
    dprintf(1, "rig: %s: %s\n", what, strerror(errno));
    sync();
    reboot(RB_POWER_OFF);
}

// The console must not turn \n into \r\n: tests compare what programs print.
static void raw_console(void) {
    struct termios mode;
    if (tcgetattr(1, &mode)) return;
    mode.c_oflag &= ~(tcflag_t)OPOST;
    tcsetattr(1, TCSANOW, &mode);
}

static void load_modules(void) {
    FILE *list = fopen("/rig/modules", "re");
    if (!list) fail("/rig/modules");
    char path[256];
    while (fgets(path, sizeof path, list)) {
        path[strcspn(path, "\n")] = 0;
        if (!*path) continue;
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0 || syscall(SYS_finit_module, fd, "", 0)) fail(path);
        close(fd);
    }
    fclose(list);
}

static int run(char *line) {
    char *words[MOST_WORDS + 1];
    int count = 0;
    for (char *word = strtok(line, " "); word && count < MOST_WORDS; word = strtok(NULL, " ")) words[count++] = word;
    words[count] = NULL;
    if (!count) return 0;
    pid_t child = fork();
    if (child == 0) {
        execv(words[0], words);
        dprintf(1, "rig: %s: %s\n", words[0], strerror(errno));
        _exit(127);
    }
    int status;
    for (;;) {
        pid_t ended = wait(&status);
        if (ended == child) break;
        if (ended < 0 && errno != EINTR) fail("wait");
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int main(void) {
    if (mount("proc", "/proc", "proc", 0, NULL)) fail("/proc");
    if (mount("devtmpfs", "/dev", "devtmpfs", 0, NULL) && errno != EBUSY) fail("/dev");
    if (mount("tmpfs", "/tmp", "tmpfs", 0, NULL)) fail("/tmp");
    raw_console();
    load_modules();
    setenv("PATH", "/bin", 1);
    FILE *commands = fopen("/rig/commands", "re");
    if (!commands) fail("/rig/commands");
    char line[1024];
    while (fgets(line, sizeof line, commands)) {
        line[strcspn(line, "\n")] = 0;
        int status = run(line);
        dprintf(1, "\036%d\n", status);
    }
    tcdrain(1);
    reboot(RB_POWER_OFF);
}
