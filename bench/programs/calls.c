// What single operations cost, in microseconds: system calls, page faults, threads, processes. The median of
// several batches each; "NAME MICROSECONDS" a line.
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/futex.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <spawn.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"

enum { kBatches = 9, kPage = 4096, kPages = 4096, kBatchMicroseconds = 20000 };

static int file;
static char buffer[kPage];
static int ping[2], pong[2];

static void GetParent(void) { syscall(SYS_getppid); }
static void GetUser(void) { syscall(SYS_getuid); }
static void ReadPage(void) { Require(pread(file, buffer, kPage, 0) == kPage, "pread"); }
static void OpenClose(void) { Require(close(open("/proc/self/exe", O_RDONLY)) == 0, "open"); }
static void ReadClock(void) { NowMicroseconds(); }
static void MapUnmap(void) {
  Require(munmap(mmap(NULL, kPage, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), kPage) == 0, "mmap");
}

static void PingPong(void) {
  Require(write(ping[1], buffer, 1) == 1 && read(pong[0], buffer, 1) == 1, "pipe");
}

static void Status(void) {
  struct stat status;
  Require(fstat(file, &status) == 0, "fstat");
}

// A word that is odd while the other thread's turn is.
static int turn;
static void Wake(int next) {
  __atomic_store_n(&turn, next, __ATOMIC_RELEASE);
  syscall(SYS_futex, &turn, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}
static int WaitWhile(int value) {
  int now;
  while ((now = __atomic_load_n(&turn, __ATOMIC_ACQUIRE)) == value)
    syscall(SYS_futex, &turn, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
  return now;
}
static void FutexRoundTrip(void) {
  Wake(1);
  WaitWhile(1);
}
static void *Partner(void *argument) {
  while (WaitWhile(0) == 1) Wake(0);
  return argument;
}

// One byte to a server on the loopback interface that waits by epoll, and back.
static int connection;
static void Echo(void) {
  Require(write(connection, buffer, 1) == 1 && read(connection, buffer, 1) == 1, "echo");
}
static void Serve(int listener) {
  const int accepted = accept(listener, NULL, NULL), queue = epoll_create1(0);
  struct epoll_event event = {.events = EPOLLIN};
  Require(accepted >= 0 && epoll_ctl(queue, EPOLL_CTL_ADD, accepted, &event) == 0, "accept");
  while (epoll_wait(queue, &event, 1, -1) == 1 && read(accepted, buffer, 1) == 1 && write(accepted, buffer, 1) == 1) {
  }
  _exit(0);
}
static void StartServer(void) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof address;
  const int listener = socket(AF_INET, SOCK_STREAM, 0), on = 1;
  Require(bind(listener, (struct sockaddr *)&address, length) == 0 && listen(listener, 1) == 0, "listen");
  Require(getsockname(listener, (struct sockaddr *)&address, &length) == 0, "getsockname");
  const pid_t child = fork();
  Require(child >= 0, "fork");
  if (child == 0) Serve(listener);
  connection = socket(AF_INET, SOCK_STREAM, 0);
  Require(connect(connection, (struct sockaddr *)&address, length) == 0, "connect");
  setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  close(listener);
}

static void *Nothing(void *argument) { return argument; }
static void MakeThread(void) {
  pthread_t thread;
  Require(pthread_create(&thread, NULL, Nothing, NULL) == 0 && pthread_join(thread, NULL) == 0, "thread");
}

static void Await(pid_t child) {
  int status = -1;
  Require(waitpid(child, &status, 0) == child && status == 0, "wait");
}

static void ForkExecute(void) {
  const pid_t child = fork();
  if (child == 0) {
    execl("/proc/self/exe", "calls", "nothing", (char *)NULL);
    _exit(1);
  }
  Await(child);
}

static void Spawn(void) {
  char *const arguments[] = {(char *)"calls", (char *)"nothing", NULL};
  pid_t child;
  Require(posix_spawn(&child, "/proc/self/exe", NULL, NULL, arguments, NULL) == 0, "posix_spawn");
  Await(child);
}

// A batch takes some fiftieth of a second, whatever an operation costs here.
static int TimesOf(void (*operation)(void)) {
  int times = 0;
  const double start = NowMicroseconds();
  do {
    operation();
    ++times;
  } while (NowMicroseconds() - start < kBatchMicroseconds);
  return times;
}

static void Measure(const char *name, void (*operation)(void)) {
  double batches[kBatches];
  const int times = TimesOf(operation);
  for (int batch = 0; batch < kBatches; ++batch) {
    const double start = NowMicroseconds();
    for (int i = 0; i < times; ++i) operation();
    batches[batch] = (NowMicroseconds() - start) / times;
  }
  Report(name, Median(batches, kBatches));
}

// First touches of fresh mappings, page by page; the time of a page.
static void MeasureFaults(const char *name, int descriptor, int writes, int advice) {
  double batches[kBatches];
  const size_t bytes = (size_t)kPages * kPage;
  for (int batch = 0; batch < kBatches; ++batch) {
    const int flags = MAP_PRIVATE | (descriptor < 0 ? MAP_ANONYMOUS : 0);
    volatile char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, descriptor, 0);
    Require(memory != MAP_FAILED, "mmap");
    madvise((void *)memory, bytes, advice);
    const double start = NowMicroseconds();
    for (size_t at = 0; at < bytes; at += kPage) {
      if (writes) memory[at] = 1;
      else (void)memory[at];
    }
    batches[batch] = (NowMicroseconds() - start) / kPages;
    munmap((void *)memory, bytes);
  }
  Report(name, Median(batches, kBatches));
}

static void StartPong(void) {
  Require(pipe(ping) == 0 && pipe(pong) == 0, "pipe");
  const pid_t child = fork();
  Require(child >= 0, "fork");
  if (child > 0) return;
  close(ping[1]);
  while (read(ping[0], buffer, 1) == 1 && write(pong[1], buffer, 1) == 1) {
  }
  _exit(0);
}

int main(int count, char **arguments) {
  if (count > 1 && strcmp(arguments[1], "nothing") == 0) return 0;
  file = memfd_create("pages", MFD_CLOEXEC);
  Require(file >= 0 && ftruncate(file, (off_t)kPages * kPage) == 0, "memfd_create");
  for (int page = 0; page < kPages; ++page) Require(pwrite(file, buffer, kPage, (off_t)page * kPage) == kPage, "pwrite");
  Measure("getppid", GetParent);
  Measure("getuid", GetUser);
  Measure("clock_gettime", ReadClock);
  Measure("pread-4k", ReadPage);
  Measure("fstat", Status);
  Measure("open-close", OpenClose);
  Measure("mmap-munmap", MapUnmap);
  MeasureFaults("touch-anonymous-page", -1, 1, MADV_NORMAL);
  MeasureFaults("fault-anonymous-write", -1, 1, MADV_NOHUGEPAGE);
  MeasureFaults("fault-file-read", file, 0, MADV_NOHUGEPAGE);
  MeasureFaults("fault-file-copy", file, 1, MADV_NOHUGEPAGE);
  StartPong();
  Measure("pipe-round-trip", PingPong);
  close(ping[1]);
  Require(wait(NULL) > 0, "wait");
  pthread_t partner;
  Require(pthread_create(&partner, NULL, Partner, NULL) == 0, "thread");
  Measure("futex-round-trip", FutexRoundTrip);
  Wake(2);
  Require(pthread_join(partner, NULL) == 0, "join");
  StartServer();
  Measure("epoll-echo-tcp", Echo);
  close(connection);
  Require(wait(NULL) > 0, "wait");
  Measure("thread", MakeThread);
  Measure("fork-exec", ForkExecute);
  Measure("posix_spawn", Spawn);
  return 0;
}
