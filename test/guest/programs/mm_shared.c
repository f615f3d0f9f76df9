// Memory shared between processes: anonymous, System V, POSIX; attach, detach, remove, inherit.
#include "fault.h"
#include <pthread.h>
#include <sys/ipc.h>
#include <sys/shm.h>

int main(void) {
    catch_faults();
    int id = shmget(IPC_PRIVATE, 3 * PAGE + 5, IPC_CREAT | 0600), status;
    CHECK("shmget", id >= 0);
    char *memory = shmat(id, NULL, 0);
    CHECK("shmat", memory != (void *)-1 && memory[0] == 0);
    check_allowed("the size is rounded to pages", attempt_store(memory + 4 * PAGE - 1, 1));
    char *again = shmat(id, NULL, SHM_RDONLY);
    memory[5] = 's';
    CHECK("attached twice it is one", again != memory && again[5] == 's');
    check_fault("SHM_RDONLY", attempt_store(again, 1), SIGSEGV, SEGV_ACCERR, again);
    struct shmid_ds info;
    CHECK("IPC_STAT counts two", shmctl(id, IPC_STAT, &info) == 0 && info.shm_nattch == 2 && info.shm_segsz == 3 * PAGE + 5 && info.shm_cpid == getpid());
    pid_t child = fork();
    if (child == 0) {
        shmctl(id, IPC_STAT, &info);
        if (info.shm_nattch != 4) _exit(1);
        memory[6] = 'c';
        char *own = shmat(id, NULL, 0);
        own[7] = 'd';
        if (shmdt(memory)) _exit(2);
        _exit(attempt(memory, READ).signal == SIGSEGV && own[5] == 's' ? 0 : 3);
    }
    waitpid(child, &status, 0);
    check_status("a child inherits the attachments", status, "exit 0");
    CHECK("and its writes arrive", memory[6] == 'c' && memory[7] == 'd');
    CHECK("its end detaches", shmctl(id, IPC_STAT, &info) == 0 && info.shm_nattch == 2);
    child = fork();
    if (child == 0) execl("/bin/sh", "sh", "-c", "exit 0", (char *)NULL);
    waitpid(child, NULL, 0);
    CHECK("exec detaches", shmctl(id, IPC_STAT, &info) == 0 && info.shm_nattch == 2);
    char *place = map_pages(8, PROT_NONE);
    munmap(place, 8 * PAGE);
    CHECK("at an address", shmat(id, place, 0) == place);
    check_fault("and no more than its pages", attempt(place + 4 * PAGE, READ), SIGSEGV, SEGV_MAPERR, place + 4 * PAGE);
    CHECK("at an odd one with SHM_RND", shmat(id, place + 4 * PAGE + 77, SHM_RND) == place + 4 * PAGE);
    CHECK_ERRNO("at an odd one", (long)shmat(id, place + 77, 0), EINVAL);
    CHECK_ERRNO("over something", (long)shmat(id, memory, 0), EINVAL);
    CHECK("over something with SHM_REMAP", shmat(id, place, SHM_REMAP) == place);
    CHECK("shmdt", shmdt(place) == 0 && attempt(place, READ).signal == SIGSEGV);
    CHECK_ERRNO("twice", shmdt(place), EINVAL);
    CHECK_ERRNO("of other memory", shmdt(&info), EINVAL);
    CHECK_EQ("IPC_RMID", shmctl(id, IPC_RMID, NULL), 0);
    CHECK("it lives until it is detached", memory[5] == 's');
    shmdt(memory), shmdt(again), shmdt(place + 4 * PAGE);
    CHECK_ERRNO("then it is gone", shmctl(id, IPC_STAT, &info), EINVAL);
    CHECK_ERRNO("shmat of nothing", (long)shmat(0x7ffffff, NULL, 0), EINVAL);
    CHECK_ERRNO("shmget too small for one that is", ({
                    int other = shmget(0x7e57, PAGE, IPC_CREAT | 0600);
                    int got = shmget(0x7e57, 9 * PAGE, 0600), error = errno;
                    shmctl(other, IPC_RMID, NULL);
                    errno = error;
                    got;
                }), EINVAL);
    char *executable = shmat(shmget(IPC_PRIVATE, PAGE, IPC_CREAT | 0600), NULL, SHM_EXEC);
    executable[0] = (char)0xc3;
    check_allowed("SHM_EXEC", attempt(executable, EXECUTE));
    CHECK("part of it can be unmapped and protected", mprotect(executable, PAGE, PROT_READ) == 0 && attempt_store(executable, 1).signal == SIGSEGV);

    char name[64];
    snprintf(name, sizeof name, "/guest-%d", getpid());
    int fd = shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
    MUST(fd >= 0 && ftruncate(fd, 2 * PAGE) == 0);
    char *posix = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    child = fork();
    if (child == 0) {
        int own = shm_open(name, O_RDWR, 0);
        char *mine = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, own, 0);
        mine[PAGE] = 'P';
        _exit(0);
    }
    waitpid(child, NULL, 0);
    CHECK("shm_open shares", posix[PAGE] == 'P');
    CHECK_EQ("shm_unlink", shm_unlink(name), 0);
    CHECK_ERRNO("then it has no name", shm_open(name, O_RDWR, 0), ENOENT);

    atomic_long *counter = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    for (int i = 0; i < 4; i++)
        if (fork() == 0) {
            for (int j = 0; j < 50000; j++) atomic_fetch_add(counter, 1);
            _exit(0);
        }
    while (wait(NULL) > 0) {
    }
    CHECK_EQ("atomic additions of four processes", *counter, 200000);
    mprotect(counter, PAGE, PROT_READ);
    child = fork();
    if (child == 0) {
        mprotect(counter, PAGE, PROT_READ | PROT_WRITE);
        *counter = 5;
        _exit(0);
    }
    waitpid(child, NULL, 0);
    CHECK_EQ("protection is each process's own, memory is not", *counter, 5);
    return check_done();
}
