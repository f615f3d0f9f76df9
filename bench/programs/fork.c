// What a fork costs at the resident sizes (MiB) given as arguments: fork + exit + wait, how much of that the parent is
// stopped and the child not yet running, the whole again beside seven more threads, and then what comes after it: the next
// pass of reads and of writes over the memory, in the parent and in the child, while both live. "SIZE.what MICROSECONDS" a
// line, and "SIZE.pss" what a child that does nothing takes, in KiB. "huge" before the sizes asks for huge pages.
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"

enum { kRounds = 11, kPage = 4096 };
static const size_t kMiB = 1 << 20;

// Passes over much memory take long where pages come back one by one, so they are made fewer times, or not at all.
static int Rounds(size_t bytes) { return bytes <= 16 * kMiB ? kRounds : bytes <= 1024 * kMiB ? 5 : 3; }
static int PassRounds(size_t bytes) { return bytes <= 16 * kMiB ? 5 : bytes <= 64 * kMiB ? 3 : bytes <= 256 * kMiB ? 1 : 0; }

struct Passes {
  double read;
  double write;
};

static struct Passes GoOver(volatile char *memory, size_t bytes) {
  struct Passes passes;
  double start = NowMicroseconds();
  for (size_t at = 0; at < bytes; at += kPage) (void)memory[at];
  passes.read = NowMicroseconds() - start;
  start = NowMicroseconds();
  for (size_t at = 0; at < bytes; at += kPage) memory[at]++;
  passes.write = NowMicroseconds() - start;
  return passes;
}

// In microseconds from the call on.
struct Fork {
  double whole;    // until the child has been waited for
  double stopped;  // until the parent goes on
  double first;    // until the child begins
};

static volatile double *begun;  // shared with the child

static struct Fork ForkExitWait(void) {
  const double start = NowMicroseconds();
  const pid_t child = fork();
  if (child == 0) {
    *begun = NowMicroseconds();
    _exit(0);
  }
  const double returned = NowMicroseconds();
  int status = -1;
  Require(child > 0 && waitpid(child, &status, 0) == child && status == 0, "fork and wait");
  return (struct Fork){NowMicroseconds() - start, returned - start, *begun - start};
}

enum { kThreads = 7 };
static int gate[2];

static void *Wait(void *unused) {
  char byte;
  Require(read(gate[0], &byte, 1) == 1, "read");
  return unused;
}

static double ForkBesideThreads(int rounds) {
  pthread_t threads[kThreads];
  double forks[kRounds];
  Require(pipe(gate) == 0, "pipe");
  for (int i = 0; i < kThreads; ++i) Require(pthread_create(&threads[i], NULL, Wait, NULL) == 0, "thread");
  for (int round = 0; round < rounds; ++round) forks[round] = ForkExitWait().whole;
  for (int i = 0; i < kThreads; ++i) Require(write(gate[1], "", 1) == 1, "write");
  for (int i = 0; i < kThreads; ++i) pthread_join(threads[i], NULL);
  close(gate[0]);
  close(gate[1]);
  return Median(forks, rounds);
}

// Of a child that only waits, as the kernel counts it: memory that is shared by two is half each one's. -1: it is not told.
static double ProportionalKilobytes(void) {
  const pid_t child = fork();
  Require(child >= 0, "fork");
  if (child == 0)
    for (;;) pause();
  usleep(20000);
  char path[64], line[256];
  double kilobytes = -1;
  snprintf(path, sizeof path, "/proc/%d/smaps_rollup", child);
  FILE *file = fopen(path, "r");
  while (file && fgets(line, sizeof line, file)) sscanf(line, "Pss: %lf", &kilobytes);
  if (file) fclose(file);
  int status = -1;
  Require(kill(child, SIGKILL) == 0 && waitpid(child, &status, 0) == child, "kill and wait");
  return kilobytes;
}

// The passes of both sides after one fork: first the parent's, while the child waits, then the child's.
static void ForkAndGoOver(char *memory, size_t bytes, struct Passes *parent, struct Passes *child) {
  int go[2], told[2];
  Require(pipe(go) == 0 && pipe(told) == 0, "pipe");
  const pid_t pid = fork();
  Require(pid >= 0, "fork");
  char byte = 0;
  if (pid == 0) {
    if (read(go[0], &byte, 1) != 1) _exit(1);
    const struct Passes passes = GoOver(memory, bytes);
    _exit(write(told[1], &passes, sizeof passes) == sizeof passes ? 0 : 1);
  }
  *parent = GoOver(memory, bytes);
  Require(write(go[1], &byte, 1) == 1, "write");
  Require(read(told[0], child, sizeof *child) == sizeof *child, "read");
  int status = -1;
  Require(waitpid(pid, &status, 0) == pid && status == 0, "wait");
  for (int end = 0; end < 2; ++end) {
    close(go[end]);
    close(told[end]);
  }
}

int main(int count, char **sizes) {
  const int huge = count > 1 && strcmp(sizes[1], "huge") == 0;
  begun = mmap(NULL, kPage, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  Require(begun != MAP_FAILED, "mmap");
  for (int i = 1 + huge; i < count; ++i) {
    const size_t bytes = (size_t)atol(sizes[i]) << 20;
    char *memory = NULL;
    if (bytes > 0) {
      memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      Require(memory != MAP_FAILED, "mmap");
      if (huge) Require(madvise(memory, bytes, MADV_HUGEPAGE) == 0, "madvise");
      memset(memory, 1, bytes);
    }
    double forks[3][kRounds], passes[4][kRounds];
    ForkExitWait();  // the first finds everything cold
    for (int round = 0; round < Rounds(bytes); ++round) {
      const struct Fork one = ForkExitWait();
      forks[0][round] = one.whole;
      forks[1][round] = one.stopped;
      forks[2][round] = one.first;
    }
    char name[64];
    const char *const parts[] = {"fork", "stopped", "first"};
    for (int which = 0; which < 3; ++which) {
      snprintf(name, sizeof name, "%s.%s", sizes[i], parts[which]);
      Report(name, Median(forks[which], Rounds(bytes)));
    }
    snprintf(name, sizeof name, "%s.threads", sizes[i]);
    Report(name, ForkBesideThreads(Rounds(bytes)));
    const double kilobytes = ProportionalKilobytes();
    snprintf(name, sizeof name, "%s.pss", sizes[i]);
    if (kilobytes >= 0) Report(name, kilobytes);
    if (bytes == 0) continue;
    for (int round = 0; round < PassRounds(bytes); ++round) {
      struct Passes parent, child;
      ForkAndGoOver(memory, bytes, &parent, &child);
      passes[0][round] = parent.read;
      passes[1][round] = parent.write;
      passes[2][round] = child.read;
      passes[3][round] = child.write;
    }
    const char *const names[] = {"parent-read", "parent-write", "child-read", "child-write"};
    for (int which = 0; which < 4 && PassRounds(bytes) > 0; ++which) {
      snprintf(name, sizeof name, "%s.%s", sizes[i], names[which]);
      Report(name, Median(passes[which], PassRounds(bytes)));
    }
    munmap(memory, bytes);
  }
  return 0;
}
