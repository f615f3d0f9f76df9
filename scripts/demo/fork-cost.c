// Prints, for each resident size in MiB given as argument, the median time of fork + exit + wait in
// microseconds: "SIZE MICROSECONDS" a line. The memory is private, anonymous and written to before.
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { kRounds = 15 };

static double Now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1e6 + now.tv_nsec / 1e3;
}

static int Compare(const void *left, const void *right) {
  const double difference = *(const double *)left - *(const double *)right;
  return (difference > 0) - (difference < 0);
}

static double ForkExitWait(void) {
  const double start = Now();
  const pid_t child = fork();
  if (child == 0) _exit(0);
  int status = -1;
  if (child < 0 || waitpid(child, &status, 0) != child || status != 0) {
    perror("fork and wait");
    exit(1);
  }
  return Now() - start;
}

int main(int count, char **sizes) {
  for (int i = 1; i < count; ++i) {
    const size_t bytes = (size_t)atol(sizes[i]) << 20;
    void *memory = NULL;
    if (bytes > 0) {
      memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      if (memory == MAP_FAILED) {
        perror("mmap");
        return 1;
      }
      memset(memory, 1, bytes);
    }
    double rounds[kRounds];
    ForkExitWait();  // the first one finds everything cold
    for (int round = 0; round < kRounds; ++round) rounds[round] = ForkExitWait();
    qsort(rounds, kRounds, sizeof rounds[0], Compare);
    printf("%s %.1f\n", sizes[i], rounds[kRounds / 2]);
    if (memory != NULL) munmap(memory, bytes);
  }
  return 0;
}
