// However a guest dies and whatever core limit it sets itself, the monitor's memory is not written to a file.
#include "check.h"
#include <dirent.h>

static int entries_here(void) {
    DIR *here = opendir(".");
    int count = 0;
    for (struct dirent *entry; (entry = readdir(here));) count += entry->d_name[0] != '.';
    closedir(here);
    return count;
}

static void die(int number) {
    switch (number) {
        case SIGSEGV: *(volatile int *)8 = 1; break;
        case SIGILL: __builtin_trap(); break;
        case SIGABRT: abort();
        default: kill(getpid(), number); pause();
    }
}

int main(int argc, char **argv) {
    struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY}, seen = {0, 0};
    if (argc > 1) {
        getrlimit(RLIMIT_CORE, &seen);
        if (seen.rlim_cur != RLIM_INFINITY) return 1;
        die(atoi(argv[1]));
    }
    CHECK("a limit without end", setrlimit(RLIMIT_CORE, &all) == 0 && getrlimit(RLIMIT_CORE, &seen) == 0 && seen.rlim_cur == RLIM_INFINITY);
    const int numbers[] = {SIGSEGV, SIGILL, SIGABRT, SIGQUIT, SIGSYS};
    for (size_t i = 0; i < COUNT(numbers); i++) {
        for (int anew = 0; anew < 2; anew++) {
            int status = 0;
            pid_t child = fork();
            if (child == 0) {
                char text[8];
                snprintf(text, sizeof text, "%d", numbers[i]);
                if (anew) execl(argv[0], argv[0], text, (char *)NULL);
                die(numbers[i]);
                _exit(1);
            }
            waitpid(child, &status, 0);
            CHECK("dies of it, and leaves no core", WIFSIGNALED(status) && WTERMSIG(status) == numbers[i] && !WCOREDUMP(status));
        }
    }
    CHECK_EQ("files here", entries_here(), 0);
    return check_done();
}
