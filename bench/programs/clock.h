// What the measuring programs share: a clock, a median, and how a result is printed.
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static inline double NowMicroseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1e6 + now.tv_nsec / 1e3;
}

static int CompareDoubles(const void *left, const void *right) {
  const double difference = *(const double *)left - *(const double *)right;
  return (difference > 0) - (difference < 0);
}

static inline double Median(double *values, int count) {
  qsort(values, (size_t)count, sizeof values[0], CompareDoubles);
  return values[count / 2];
}

// One result a line: "NAME MICROSECONDS".
static inline void Report(const char *name, double microseconds) {
  printf("%s %.4f\n", name, microseconds);
  fflush(stdout);
}

static inline void Require(int holds, const char *what) {
  if (!holds) {
    perror(what);
    exit(1);
  }
}
