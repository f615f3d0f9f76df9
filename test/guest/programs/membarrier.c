// membarrier: what has to be registered first, and by whom.
#include "check.h"
#include <linux/membarrier.h>
#include <pthread.h>

static long membarrier(int command) { return syscall(SYS_membarrier, command, 0, 0); }

static int asks(void *command) { return membarrier((int)(long)command) ? errno : 0; }
static void *makes_calls(void *unused) {
    for (int i = 0; i < 300; i++) syscall(SYS_getppid);
    return unused;
}

int main(int argc, char **argv) {
    if (argc > 1) return asks((void *)(long)atoi(argv[1]));
    long known = membarrier(MEMBARRIER_CMD_QUERY);
    CHECK("the commands", (known & 0x7f) == 0x7f);
    const struct { const char *name; int command, registration; } kinds[] = {
        {"PRIVATE_EXPEDITED", MEMBARRIER_CMD_PRIVATE_EXPEDITED, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED},
        {"PRIVATE_EXPEDITED_SYNC_CORE", MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE},
    };
    // Threads that make calls from the same places many times over.
    pthread_t threads[3];
    for (int i = 0; i < 3; i++) MUST(pthread_create(&threads[i], NULL, makes_calls, NULL) == 0);
    for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
    for (size_t i = 0; i < COUNT(kinds); i++) {
        char name[80], number[8];
        snprintf(name, sizeof name, "%s before it is registered", kinds[i].name);
        CHECK_ERRNO(name, membarrier(kinds[i].command), EPERM);
        snprintf(name, sizeof name, "%s is registered", kinds[i].name);
        CHECK_EQ(name, membarrier(kinds[i].registration), 0);
        snprintf(name, sizeof name, "%s works", kinds[i].name);
        CHECK_EQ(name, membarrier(kinds[i].command), 0);
        snprintf(name, sizeof name, "%s in a child", kinds[i].name);
        check_child(name, asks, (void *)(long)kinds[i].command, "exit 0");
        snprintf(number, sizeof number, "%d", kinds[i].command);
        pid_t child = fork();
        if (child == 0) {
            execl("/proc/self/exe", "membarrier", number, (char *)NULL);
            _exit(99);
        }
        int status;
        waitpid(child, &status, 0);
        snprintf(name, sizeof name, "%s after an exec: EPERM", kinds[i].name);
        check_status(name, status, "exit 1");
    }
    CHECK_EQ("GLOBAL", membarrier(MEMBARRIER_CMD_GLOBAL), 0);
    CHECK_ERRNO("an unknown command", membarrier(1 << 20), EINVAL);
    CHECK_ERRNO("flags that there are not", syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 7, 0), EINVAL);
    return check_done();
}
