// Process groups, sessions and job control on a pseudo-terminal.
#include "check.h"
#include <poll.h>
#include <pty.h>
#include <sys/ioctl.h>
#include <termios.h>

static int master;
static volatile int hangups, continues, resized;
static void on_hangup(int signal) { (void)signal, hangups++; }
static void on_continue(int signal) { (void)signal, continues++; }
static void on_resize(int signal) { (void)signal, resized++; }

static int becomes_leader(void *unused) {
    (void)unused;
    if (setsid() != getpid()) return 1;
    if (getsid(0) != getpid() || getpgrp() != getpid()) return 2;
    if (setsid() != -1 || errno != EPERM) return 3;
    if (setpgid(0, 0) != -1 || errno != EPERM) return 4;
    if (open("/dev/tty", O_RDWR) != -1 || errno != ENXIO) return 5;
    return 0;
}

static int moves_group(void *unused) {
    (void)unused;
    if (setpgid(0, 0) || getpgrp() != getpid()) return 1;
    if (getpgid(getppid()) == getpgrp()) return 2;
    if (setpgid(getppid(), 0) != -1 || errno != ESRCH) return 3;
    if (setpgid(0, 0x3ffffff) != -1 || errno != EPERM) return 4;
    if (setpgid(0, -1) != -1 || errno != EINVAL) return 5;
    return 0;
}

static pid_t start_group(int (*body)(void), int terminal, bool foreground) {
    pid_t child = fork();
    if (child == 0) {
        setpgid(0, 0);
        struct sigaction plain = {.sa_handler = SIG_DFL};
        sigaction(SIGTTOU, &plain, NULL);
        _exit(body());
    }
    setpgid(child, child);
    if (foreground) tcsetpgrp(terminal, child);
    return child;
}

static int terminal_fd;
static int reads_line(void) {
    char line[32];
    ssize_t length = read(terminal_fd, line, sizeof line);
    return length == 3 && memcmp(line, "hi\n", 3) == 0 ? 11 : 12;
}
static int waits(void) {
    for (;;) pause();
    return 0;
}
static int sets_terminal(void) {
    struct termios settings;
    tcgetattr(terminal_fd, &settings);
    return tcsetattr(terminal_fd, TCSANOW, &settings) ? 1 : 13;
}

/// The session leader: a small shell on the terminal's slave side.
static int session(void *name) {
    int status;
    if (setsid() < 0) return 50;
    int terminal = open(name, O_RDWR);
    terminal_fd = terminal;
    if (terminal < 0) return 51;
    pid_t session_of = 0;
    ioctl(terminal, TIOCSCTTY, 0);
    CHECK("opening made it the controlling terminal", ioctl(terminal, TIOCGSID, &session_of) == 0 && session_of == getpid());
    CHECK("/dev/tty is it", (terminal_fd = open("/dev/tty", O_RDWR)) >= 0 && isatty(terminal_fd));
    CHECK_EQ("the leader's group is in the foreground", tcgetpgrp(terminal), getpgrp());
    signal(SIGTTOU, SIG_IGN), signal(SIGHUP, on_hangup), signal(SIGCONT, on_continue), signal(SIGWINCH, on_resize);

    pid_t job = start_group(waits, terminal, true);
    CHECK_EQ("tcsetpgrp", tcgetpgrp(terminal), job);
    MUST(write(master, "\3", 1) == 1);
    waitpid(job, &status, 0);
    check_status("^C interrupts the foreground", status, "signal 2");
    job = start_group(waits, terminal, true);
    MUST(write(master, "\34", 1) == 1);
    waitpid(job, &status, 0);
    CHECK("^\\ quits it", WIFSIGNALED(status) && WTERMSIG(status) == SIGQUIT);
    job = start_group(waits, terminal, true);
    MUST(write(master, "\32", 1) == 1);
    waitpid(job, &status, WUNTRACED);
    CHECK("^Z stops it", WIFSTOPPED(status) && WSTOPSIG(status) == SIGTSTP);
    tcsetpgrp(terminal, getpgrp());
    kill(-job, SIGCONT);
    waitpid(job, &status, WCONTINUED);
    CHECK("it goes on in the background", WIFCONTINUED(status));
    kill(-job, SIGTERM);
    waitpid(job, &status, 0);
    check_status("a group is killed by its number", status, "signal 15");

    job = start_group(reads_line, terminal, false);
    waitpid(job, &status, WUNTRACED);
    CHECK("a background read stops", WIFSTOPPED(status) && WSTOPSIG(status) == SIGTTIN);
    MUST(write(master, "hi\n", 3) == 3);
    tcsetpgrp(terminal, job);
    kill(-job, SIGCONT);
    waitpid(job, &status, 0);
    check_status("in the foreground the read is restarted", status, "exit 11");
    tcsetpgrp(terminal, getpgrp());
    job = start_group(sets_terminal, terminal, false);
    waitpid(job, &status, WUNTRACED);
    CHECK("a background tcsetattr stops", WIFSTOPPED(status) && WSTOPSIG(status) == SIGTTOU);
    tcsetpgrp(terminal, job);
    kill(-job, SIGCONT);
    waitpid(job, &status, 0);
    check_status("and is done in the foreground", status, "exit 13");
    tcsetpgrp(terminal, getpgrp());

    struct winsize size = {.ws_row = 33, .ws_col = 77}, got = {0};
    ioctl(master, TIOCSWINSZ, &size);
    for (int i = 0; i < 10000 && !resized; i++) sleep_ms(1);
    CHECK("SIGWINCH comes with a new size", resized == 1 && ioctl(terminal, TIOCGWINSZ, &got) == 0 && got.ws_col == 77 && got.ws_row == 33);
    CHECK_ERRNO("tcsetpgrp of a foreign group", tcsetpgrp(terminal, 1), EPERM);
    struct termios raw;
    tcgetattr(terminal, &raw);
    cfmakeraw(&raw);
    raw.c_cc[VMIN] = 0, raw.c_cc[VTIME] = 1;
    CHECK_EQ("tcsetattr raw", tcsetattr(terminal, TCSANOW, &raw), 0);
    char byte;
    CHECK_EQ("VTIME ends a read", read(terminal, &byte, 1), 0);
    MUST(write(master, "\3", 1) == 1);
    CHECK("^C is a byte in raw mode", read(terminal, &byte, 1) == 1 && byte == 3);
    CHECK_EQ("TIOCOUTQ", ioctl(terminal, TIOCOUTQ, &status), 0);
    close(master);
    for (int i = 0; i < 10000 && !hangups; i++) sleep_ms(1);
    CHECK("closing the master sends SIGHUP and SIGCONT", hangups == 1);
    CHECK_EQ("then a read gives the end of file", read(terminal, &byte, 1), 0);
    CHECK_ERRNO("and a write EIO", write(terminal, "x", 1), EIO);
    return check_failures ? 1 : 0;
}

static volatile pid_t *orphan;
int main(void) {
    check_child("setsid", becomes_leader, NULL, "exit 0");
    check_child("setpgid", moves_group, NULL, "exit 0");
    int slave;
    char name[64];
    MUST(openpty(&master, &slave, name, NULL, NULL) == 0);
    CHECK("the slave is under /dev/pts", strncmp(name, "/dev/pts/", 9) == 0 && isatty(slave));
    struct termios settings;
    tcgetattr(slave, &settings);
    settings.c_lflag &= ~(tcflag_t)ECHO;
    tcsetattr(slave, TCSANOW, &settings);
    fcntl(master, F_SETFD, FD_CLOEXEC);
    pid_t leader = fork();
    if (leader == 0) {
        close(slave);
        _exit(session(name));
    }
    close(master);
    int status;
    waitpid(leader, &status, 0);
    check_status("the session", status, "exit 0");

    pid_t child = fork();
    if (child == 0) {
        setpgid(0, 0);
        execl("/bin/sh", "sh", "-c", "exit 0", (char *)NULL);
    }
    while (waitid(P_PID, (id_t)child, &(siginfo_t){0}, WEXITED | WNOWAIT) < 0) {
    }
    CHECK_EQ("getpgid of a zombie", getpgid(child), child);
    waitpid(child, NULL, 0);
    CHECK_ERRNO("setpgid after the child is gone", setpgid(child, child), ESRCH);
    child = fork();
    if (child == 0) {
        execl("/bin/sleep", "sleep", "30", (char *)NULL);
        _exit(1);
    }
    char comm[64], path[64];
    snprintf(path, sizeof path, "/proc/%d/comm", child);
    for (int i = 0; i < 20000 && strcmp(strcpy(comm, read_file(path)), "sleep\n"); i++) sleep_ms(1);
    CHECK_ERRNO("setpgid after the child's exec", setpgid(child, child), EACCES);
    kill(child, SIGKILL), waitpid(child, NULL, 0);

    orphan = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    child = fork();
    if (child == 0) {
        setsid();
        pid_t middle = fork();
        if (middle == 0) {
            setpgid(0, 0);
            pid_t stopped = fork();
            if (stopped == 0) {
                signal(SIGHUP, SIG_DFL), signal(SIGCONT, on_continue);
                orphan[0] = getpid();
                kill(getpid(), SIGTSTP);
                _exit(0);
            }
            while (!orphan[0] || task_state(orphan[0]) != 'T') sleep_ms(1);
            _exit(0);
        }
        waitpid(middle, NULL, 0);
        _exit(0);
    }
    waitpid(child, NULL, 0);
    bool gone = false;
    for (int i = 0; i < 20000 && !gone; i++) {
        char state = task_state(orphan[0]);
        gone = state == 0 || state == 'Z';
        sleep_ms(1);
    }
    CHECK("a stopped group that becomes an orphan gets SIGHUP", gone);
    return check_done();
}
