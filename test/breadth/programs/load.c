// Many of one thing. usage: load forks|crowd|threads|together|signals|queue|mappings|areas N
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static pthread_barrier_t barrier;
static volatile sig_atomic_t caught;

static void* nothing(void* argument) { return argument; }

static void* meet(void* argument) {
  pthread_barrier_wait(&barrier);
  return argument;
}

static void count(int number) {
  (void)number;
  caught++;
}

static void fail(const char* what, long at) {
  printf("%s: %s, at %ld\n", what, strerror(errno), at);
  exit(1);
}

static void* page(int protection, long at) {
  void* memory = mmap(NULL, 4096, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) fail("mmap", at);
  return memory;
}

// One child after the other, each with an exit status of its own.
static void forks(long n) {
  for (long i = 0; i < n; i++) {
    pid_t child = fork();
    if (child < 0) fail("fork", i);
    if (child == 0) _exit((int)(i & 127));
    int status;
    if (waitpid(child, &status, 0) != child || !WIFEXITED(status) || WEXITSTATUS(status) != (i & 127)) fail("waitpid", i);
  }
}

// All children at once.
static void crowd(long n) {
  int hold[2];
  if (pipe(hold)) fail("pipe", 0);
  for (long i = 0; i < n; i++) {
    pid_t child = fork();
    if (child < 0) fail("fork", i);
    if (child == 0) {
      char byte;
      close(hold[1]);
      _exit(read(hold[0], &byte, 1) == 0 ? 3 : 4);
    }
  }
  close(hold[1]);
  long ended = 0;
  for (int status; wait(&status) > 0;) ended += WIFEXITED(status) && WEXITSTATUS(status) == 3;
  printf("%ld\n", ended);
}

static void threads(long n) {
  for (long i = 0; i < n; i++) {
    pthread_t thread;
    if ((errno = pthread_create(&thread, NULL, nothing, NULL))) fail("pthread_create", i);
    pthread_join(thread, NULL);
  }
}

static void together(long n) {
  pthread_t* all = calloc((size_t)n, sizeof *all);
  pthread_barrier_init(&barrier, NULL, (unsigned)n + 1);
  for (long i = 0; i < n; i++)
    if ((errno = pthread_create(&all[i], NULL, meet, NULL))) fail("pthread_create", i);
  pthread_barrier_wait(&barrier);
  for (long i = 0; i < n; i++) pthread_join(all[i], NULL);
}

// Signals from another process, faster than they can be handled.
static void signals(long n) {
  signal(SIGUSR1, count);
  pid_t self = getpid(), child = fork();
  if (child == 0) {
    for (long i = 0; i < n; i++) kill(self, SIGUSR1);
    _exit(0);
  }
  int status;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  printf("%s\n", caught > 0 && caught <= n ? "some" : "none");
}

// Queued signals: none may be lost.
static void queue(long n) {
  sigset_t set, old;
  sigemptyset(&set);
  sigaddset(&set, SIGRTMIN);
  signal(SIGRTMIN, count);
  sigprocmask(SIG_BLOCK, &set, &old);
  for (long i = 0; i < n; i++)
    if (sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = 1})) fail("sigqueue", i);
  sigprocmask(SIG_SETMASK, &old, NULL);
  printf("%ld\n", (long)caught);
}

static void mappings(long n) {
  for (long i = 0; i < n; i++) {
    char* memory = page(PROT_READ | PROT_WRITE, i);
    *memory = 1;
    munmap(memory, 4096);
  }
}

// Many mappings that cannot become one; then a fork of them all.
static void areas(long n) {
  for (long i = 0; i < n; i++) page(i & 1 ? PROT_READ | PROT_WRITE : PROT_READ, i);
  forks(1);
}

int main(int argc, char** argv) {
  static const struct {
    const char* name;
    void (*run)(long);
  } modes[] = {{"forks", forks},       {"crowd", crowd}, {"threads", threads},   {"together", together},
               {"signals", signals}, {"queue", queue}, {"mappings", mappings}, {"areas", areas}};
  for (size_t i = 0; argc == 3 && i < sizeof modes / sizeof *modes; i++) {
    if (strcmp(argv[1], modes[i].name)) continue;
    modes[i].run(atol(argv[2]));
    puts("done");
    fflush(stdout);
    // Whoever looks at the process from outside closes our input when it has seen enough.
    char byte;
    return read(0, &byte, 1) == 0 ? 0 : 1;
  }
  return 2;
}
