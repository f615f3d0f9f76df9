// Forks until there is no room, as a container's first process: it must come out of it whole, with Linux's errors, and
// with no children but its own.
#include "check.h"

#define BYTES (8u << 20)

static uint8_t *memory;

static void fill(void) {
    memory = map_pages(BYTES / PAGE, PROT_READ | PROT_WRITE);
    for (size_t i = 0; i < BYTES; i++) memory[i] = (uint8_t)(i * 2654435761u >> 13);
}

static bool whole(void) {
    for (size_t i = 0; i < BYTES; i++)
        if (memory[i] != (uint8_t)(i * 2654435761u >> 13)) return false;
    return true;
}

static int status_of_next(void) {
    pid_t child = fork();
    int status = -1;
    if (child == 0) _exit(whole() ? 3 : 4);
    if (child > 0) MUST(waitpid(child, &status, 0) == child);
    return status;
}

// The limit of processes is met, again and again.
static void crowd(void) {
    enum { MOST = 200, AGAIN = 10 };
    pid_t children[MOST];
    int count = 0;
    while (count < MOST && (children[count] = fork()) > 0) count++;
    if (count < MOST && children[count] == 0)
        for (;;) pause();
    const int error = errno;
    CHECK_EQ("a fork at the limit is refused", error, EAGAIN);
    CHECK("and many were made before", count > 20 && count < 40);
    // What a fork needs for an instant may have filled the last places when the first was refused: one or two may still be made.
    int refused = 0;
    for (int i = 0; i < AGAIN; i++) {
        pid_t child = fork();
        if (child == 0) _exit(0);
        if (child > 0) MUST(waitpid(child, NULL, 0) == child);
        refused += child < 0 && errno == EAGAIN;
    }
    CHECK("so are those that follow", refused >= AGAIN - 2);
    CHECK("its memory is as it was", whole());
    CHECK_EQ("nobody has ended", waitpid(-1, NULL, WNOHANG | __WALL), 0);
    for (int i = 0; i < count; i++) kill(children[i], SIGKILL);
    for (int i = 0; i < count; i++) {
        int status;
        MUST(waitpid(children[i], &status, 0) == children[i] && WIFSIGNALED(status));
    }
}

// The limit of memory is met: the kernel kills those that it is told to kill first.
static void heap(void) {
    enum { CHILDREN = 4, EACH = 48 << 20 };
    for (int i = 0; i < CHILDREN; i++) {
        pid_t child = fork();
        MUST(child >= 0);
        if (child) continue;
        const int score = open("/proc/self/oom_score_adj", O_WRONLY);
        MUST(score >= 0 && write(score, "1000", 4) == 4);
        memset(map_pages(EACH / PAGE, PROT_READ | PROT_WRITE), 1, EACH);
        for (;;) pause();
    }
    int status;
    MUST(wait(&status) > 0);
    check_status("a child that takes too much is killed", status, "signal 9");
    CHECK("its parent's memory is as it was", whole());
    kill(-1, SIGKILL);
    while (wait(NULL) > 0) {
    }
}

int main(int count, char **words) {
    (void)count;
    // Who calls itself for ever.
    while (strcmp(words[1], "bomb") == 0) fork();
    fill();
    if (strcmp(words[1], "crowd") == 0) crowd();
    else heap();
    CHECK_ERRNO("nobody else is there to wait for", waitpid(-1, NULL, __WALL), ECHILD);
    check_status("and there is room again", status_of_next(), "exit 3");
    return check_done();
}
