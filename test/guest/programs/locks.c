// Locks between processes: flock, record locks, open-file-description locks, leases; semaphores and queues.
#include "check.h"
#include <mqueue.h>
#include <semaphore.h>
#include <sys/file.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>

static int try_flock(void *kind) {
    int fd = open("file", O_RDWR);
    return flock(fd, (int)(long)kind | LOCK_NB) == 0 ? 0 : errno;
}
static int try_record(void *start) {
    int fd = open("file", O_RDWR);
    struct flock range = {.l_type = F_WRLCK, .l_start = (long)start, .l_len = 10};
    return fcntl(fd, F_SETLK, &range) == 0 ? 0 : errno;
}
static pid_t parent;
static int asks_holder(void *unused) {
    (void)unused;
    int fd = open("file", O_RDWR);
    struct flock range = {.l_type = F_WRLCK};
    if (fcntl(fd, F_GETLK, &range)) return 1;
    return range.l_type == F_WRLCK && range.l_pid == parent && range.l_start == 100 && range.l_len == 50 ? 0 : 2;
}
static int waits_in_cycle(void *pipe_end) {
    int fd = open("file", O_RDWR);
    struct flock mine = {.l_type = F_WRLCK, .l_start = 500, .l_len = 1}, theirs = {.l_type = F_WRLCK, .l_start = 100, .l_len = 1};
    if (fcntl(fd, F_SETLK, &mine)) return 1;
    if (write(*(int *)pipe_end, "r", 1) != 1) return 2;
    return fcntl(fd, F_SETLKW, &theirs) == 0 ? 0 : 3;
}

int main(void) {
    enter_directory();
    parent = getpid();
    int fd = open("file", O_RDWR | O_CREAT, 0600), status;
    CHECK_EQ("flock exclusive", flock(fd, LOCK_EX), 0);
    check_child("another is refused", try_flock, (void *)LOCK_EX, "exit 11");
    CHECK_EQ("down to shared", flock(fd, LOCK_SH), 0);
    check_child("another shared one", try_flock, (void *)LOCK_SH, "exit 0");
    check_child("not an exclusive one", try_flock, (void *)LOCK_EX, "exit 11");
    flock(fd, LOCK_UN);
    check_child("free again", try_flock, (void *)LOCK_EX, "exit 0");
    CHECK_ERRNO("flock with a bad kind", flock(fd, 77), EINVAL);

    struct flock range = {.l_type = F_WRLCK, .l_start = 100, .l_len = 50};
    CHECK_EQ("a record lock", fcntl(fd, F_SETLK, &range), 0);
    check_child("its range is taken", try_record, (void *)145L, "exit 11");
    check_child("what is beside it is free", try_record, (void *)150L, "exit 0");
    check_child("F_GETLK names the holder", asks_holder, NULL, "exit 0");
    int ends[2];
    MUST(pipe(ends) == 0);
    pid_t child = fork();
    if (child == 0) _exit(waits_in_cycle(&ends[1]));
    char byte;
    MUST(read(ends[0], &byte, 1) == 1 && await_state(child, "S"));
    struct flock cycle = {.l_type = F_WRLCK, .l_start = 500, .l_len = 1};
    CHECK_ERRNO("a deadlock is seen", fcntl(fd, F_SETLKW, &cycle), EDEADLK);
    range.l_type = F_UNLCK;
    fcntl(fd, F_SETLK, &range);
    waitpid(child, &status, 0);
    check_status("the other goes on", status, "exit 0");
    range.l_type = F_WRLCK;
    fcntl(fd, F_SETLK, &range);
    int second = open("file", O_RDWR);
    close(second);
    check_child("closing any descriptor frees record locks", try_record, (void *)100L, "exit 0");
    struct flock owned = {.l_type = F_WRLCK, .l_start = 0, .l_len = 10};
    CHECK_EQ("an open-file-description lock", fcntl(fd, F_OFD_SETLK, &owned), 0);
    second = open("file", O_RDWR);
    CHECK_ERRNO("is held against oneself", fcntl(second, F_OFD_SETLK, &owned), EAGAIN);
    close(second);
    check_child("and outlives the other's close", try_record, (void *)0L, "exit 11");
    owned.l_pid = 5;
    CHECK_ERRNO("l_pid must be 0", fcntl(fd, F_OFD_SETLK, &owned), EINVAL);
    CHECK_EQ("F_SETOWN, F_GETOWN", fcntl(fd, F_SETOWN, getpid()) || fcntl(fd, F_GETOWN) != getpid(), 0);
    CHECK_EQ("F_SETSIG, F_GETSIG", fcntl(fd, F_SETSIG, SIGRTMIN) || fcntl(fd, F_GETSIG) != SIGRTMIN, 0);
    CHECK_ERRNO("fcntl of a bad command", fcntl(fd, 9999), EINVAL);
    CHECK_ERRNO("F_SETLK with a bad pointer", fcntl(fd, F_SETLK, 8), EFAULT);
    int leased = open("leased", O_RDONLY | O_CREAT, 0600);
    CHECK_EQ("F_SETLEASE, F_GETLEASE", fcntl(leased, F_SETLEASE, F_RDLCK) || fcntl(leased, F_GETLEASE) != F_RDLCK, 0);

    int set = semget(IPC_PRIVATE, 3, 0600);
    unsigned short values[3] = {1, 2, 3}, got[3];
    CHECK("semctl SETALL, GETALL", set >= 0 && semctl(set, 0, SETALL, values) == 0 && semctl(set, 0, GETALL, got) == 0 && memcmp(values, got, 6) == 0);
    struct sembuf take[2] = {{1, -2, IPC_NOWAIT}, {2, -3, IPC_NOWAIT}}, none = {0, -9, IPC_NOWAIT};
    CHECK("semop of two", semop(set, take, 2) == 0 && semctl(set, 1, GETVAL) == 0 && semctl(set, 2, GETVAL) == 0);
    CHECK_ERRNO("semop that would block", semop(set, &none, 1), EAGAIN);
    struct timespec brief = {0, 20000000};
    none.sem_flg = 0;
    CHECK_ERRNO("semtimedop", semtimedop(set, &none, 1, &brief), EAGAIN);
    child = fork();
    if (child == 0) {
        struct sembuf undone = {1, 5, SEM_UNDO};
        _exit(semop(set, &undone, 1) ? 1 : 0);
    }
    waitpid(child, &status, 0);
    CHECK("SEM_UNDO at exit", status == 0 && semctl(set, 1, GETVAL) == 0);
    struct semid_ds info;
    CHECK("IPC_STAT", semctl(set, 0, IPC_STAT, &info) == 0 && info.sem_nsems == 3);
    CHECK_EQ("IPC_RMID", semctl(set, 0, IPC_RMID), 0);

    int queue = msgget(IPC_PRIVATE, 0600);
    struct { long type; char text[32]; } message = {5, "five"}, other = {7, "seven"}, in;
    CHECK("msgsnd", msgsnd(queue, &message, 5, 0) == 0 && msgsnd(queue, &other, 6, 0) == 0);
    CHECK("msgrcv by type", msgrcv(queue, &in, 32, 7, 0) == 6 && strcmp(in.text, "seven") == 0);
    CHECK_ERRNO("too little room", msgrcv(queue, &in, 2, 0, 0), E2BIG);
    CHECK("MSG_NOERROR cuts", msgrcv(queue, &in, 2, 0, MSG_NOERROR) == 2);
    CHECK_ERRNO("nothing left", msgrcv(queue, &in, 2, 0, IPC_NOWAIT), ENOMSG);
    struct msqid_ds queue_info;
    CHECK("msgctl", msgctl(queue, IPC_STAT, &queue_info) == 0 && queue_info.msg_lspid == getpid() && msgctl(queue, IPC_RMID, NULL) == 0);

    char name[64];
    snprintf(name, sizeof name, "/guest-%d", getpid());
    struct mq_attr attributes = {.mq_maxmsg = 3, .mq_msgsize = 64};
    mqd_t posix = mq_open(name, O_RDWR | O_CREAT, 0600, &attributes);
    if (posix != (mqd_t)-1) {
        char text[64];
        unsigned priority;
        CHECK("mq_send by priority", mq_send(posix, "low", 4, 1) == 0 && mq_send(posix, "high", 5, 9) == 0 && mq_receive(posix, text, 64, &priority) == 5 && priority == 9);
        struct timespec past = {1, 0};
        CHECK("mq_timedreceive", mq_timedreceive(posix, text, 64, &priority, &past) == 4);
        CHECK_ERRNO("and a time-out", mq_timedreceive(posix, text, 64, &priority, &past), ETIMEDOUT);
        CHECK("mq_getattr", mq_getattr(posix, &attributes) == 0 && attributes.mq_msgsize == 64);
        signal(SIGUSR1, SIG_IGN);
        struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
        CHECK("mq_notify", mq_notify(posix, &event) == 0 && mq_notify(posix, NULL) == 0);
        mq_close(posix), mq_unlink(name);
    }
    sem_t *semaphore = sem_open(name, O_CREAT, 0600, 0);
    child = fork();
    if (child == 0) _exit(sem_post(semaphore));
    CHECK("sem_open, across processes", sem_wait(semaphore) == 0);
    waitpid(child, NULL, 0);
    sem_unlink(name);
    return check_done();
}
