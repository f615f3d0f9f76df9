// What single operations cost, in microseconds: system calls, page faults, threads, processes. The median of
// several batches each; "NAME MICROSECONDS" a line.
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <spawn.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"

enum { kBatches = 9, kPage = 4096, kPages = 4096 };

static int file;
static char buffer[kPage];
static int ping[2], pong[2];

static void GetParent(void) { syscall(SYS_getppid); }
static void ReadPage(void) { Require(pread(file, buffer, kPage, 0) == kPage, "pread"); }
static void OpenClose(void) { Require(close(open("/proc/self/exe", O_RDONLY)) == 0, "open"); }
static void ReadClock(void) { NowMicroseconds(); }
static void MapUnmap(void) {
  Require(munmap(mmap(NULL, kPage, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), kPage) == 0, "mmap");
}

static void PingPong(void) {
  Require(write(ping[1], buffer, 1) == 1 && read(pong[0], buffer, 1) == 1, "pipe");
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

static void Measure(const char *name, void (*operation)(void), int times) {
  double batches[kBatches];
  operation();
  for (int batch = 0; batch < kBatches; ++batch) {
    const double start = NowMicroseconds();
    for (int i = 0; i < times; ++i) operation();
    batches[batch] = (NowMicroseconds() - start) / times;
  }
  Report(name, Median(batches, kBatches));
}

// First touches of fresh mappings, 4 KiB pages.
static void MeasureFaults(const char *name, int descriptor, int writes) {
  double batches[kBatches];
  const size_t bytes = (size_t)kPages * kPage;
  for (int batch = 0; batch < kBatches; ++batch) {
    const int flags = MAP_PRIVATE | (descriptor < 0 ? MAP_ANONYMOUS : 0);
    volatile char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, descriptor, 0);
    Require(memory != MAP_FAILED, "mmap");
    madvise((void *)memory, bytes, MADV_NOHUGEPAGE);
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
  Measure("getppid", GetParent, 20000);
  Measure("clock_gettime", ReadClock, 20000);
  Measure("pread-4k", ReadPage, 20000);
  Measure("open-close", OpenClose, 2000);
  Measure("mmap-munmap", MapUnmap, 2000);
  MeasureFaults("fault-anonymous-write", -1, 1);
  MeasureFaults("fault-file-read", file, 0);
  MeasureFaults("fault-file-copy", file, 1);
  StartPong();
  Measure("pipe-round-trip", PingPong, 1000);
  close(ping[1]);
  Require(wait(NULL) > 0, "wait");
  Measure("thread", MakeThread, 200);
  Measure("fork-exec", ForkExecute, 20);
  Measure("posix_spawn", Spawn, 20);
  return 0;
}
