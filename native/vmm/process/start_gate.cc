// A container's first process exists before its program is started: it waits here, its machine made.
#include <poll.h>
#include <sys/signalfd.h>

#include <cerrno>

#include "host/raw.h"
#include "process/start.h"
#include "signal/signal.h"

namespace tine {
namespace {

constexpr int kRuntimeGone = 125;

// Signals whose default action ends a process, and which this one neither ignores nor blocks.
SignalSet ending_signals(const Thread& t) {
  SignalSet set = ~t.mask;
  for (int number : {SIGCHLD, SIGURG, SIGWINCH, SIGCONT, SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU, SIGKILL, SIGSEGV, SIGBUS})
    set &= ~signal_bit(number);
  for (int number = 1; number <= kSignals; number++)
    if (t.process->handlers->action[number - 1].handler == 1) set &= ~signal_bit(number);
  return set;
}

}  // namespace

void wait_for_start(Thread& t, int fd) {
  // As a pid namespace's init the kernel would not let a default action end it: taken from a descriptor instead.
  SignalSet ending = ending_signals(t), blocked = t.mask | ending;
  raw(SYS_rt_sigprocmask, SIG_SETMASK, arg(&blocked), 0, 8);
  int64_t signals = raw(SYS_signalfd4, ~0ull, arg(&ending), 8, SFD_CLOEXEC);
  // Without a descriptor for it the signals wait for the start, and the start does not wait for them.
  pollfd entries[2] = {{fd, POLLIN, 0}, {is_error(signals) ? -1 : static_cast<int>(signals), POLLIN, 0}};
  for (;;) {
    int64_t ready = raw(SYS_ppoll, arg(entries), 2, 0, 0, 8);
    if (ready < 0) continue;
    signalfd_siginfo info;
    if (entries[1].revents && raw(SYS_read, static_cast<uint64_t>(signals), arg(&info), sizeof info) == sizeof info)
      die_by_signal(t, static_cast<int>(info.ssi_signo));
    if (!entries[0].revents) continue;
    char byte;
    int64_t count = raw(SYS_read, static_cast<uint64_t>(fd), arg(&byte), 1);
    if (count == 1) break;
    if (count != -EINTR) raw(SYS_exit_group, kRuntimeGone);
  }
  if (!is_error(signals)) raw(SYS_close, static_cast<uint64_t>(signals));
  raw(SYS_close, static_cast<uint64_t>(fd));
  raw(SYS_rt_sigprocmask, SIG_SETMASK, arg(&t.mask), 0, 8);
}

}  // namespace tine
