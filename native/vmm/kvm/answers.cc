#include "kvm/answers.h"

#include <linux/prctl.h>
#include <linux/sched.h>
#include <sys/syscall.h>

#include <cerrno>

#include "arch/arch.h"
#include "host/raw.h"
#include "kvm/runner.h"
#include "kvm/vcpu.h"
#include "memory/address_space.h"
#include "process/threads.h"
#include "seccomp/seccomp.h"
#include "signal/signal.h"
#include "syscall/call.h"

namespace tine {
namespace {

constexpr uint32_t bit(Answer answer) { return 1u << static_cast<uint32_t>(answer); }
constexpr uint32_t kOfOneThread = bit(Answer::kBlockedActions) | bit(Answer::kMaskOfCaught);

// The signals that the host's handler gets (signal/host_handler.cc), and the kernel neither discards nor acts upon. With the
// handlers' lock held.
SignalSet caught(const SignalHandlers& handlers) {
  SignalSet set = 0;
  for (int number = 1; number <= kSignals; number++)
    if (handlers.action[number - 1].handler > 1) set |= signal_bit(number);
  return set & ~(signal_bit(SIGSEGV) | signal_bit(SIGBUS));
}

bool answers(const Process& process) { return process.exitless != static_cast<int>(Exitless::kOff); }

template <class F>
void for_each_vcpu(Process& process, F&& f) {
  Guard guard(process.threads_lock);
  for (Thread* thread = process.threads; thread; thread = thread->next)
    if (thread->vcpu && !thread->lends_vcpu) f(*thread->vcpu);
}

}  // namespace

void give_answers(Thread& thread) {
  Process& process = *thread.process;
  if (!answers(process) || !arch_can_post(*thread.vcpu)) return;
  constexpr struct {
    Answer answer;
    long call;
  } kCalls[] = {{Answer::kPid, SYS_getpid},   {Answer::kTid, SYS_gettid},   {Answer::kUid, SYS_getuid},         {Answer::kGid, SYS_getgid},
                {Answer::kEuid, SYS_geteuid}, {Answer::kEgid, SYS_getegid}, {Answer::kActions, SYS_rt_sigaction}, {Answer::kBreak, SYS_brk},
                {Answer::kRseq, SYS_rseq},    {Answer::kStackSoft, SYS_prlimit64},
#ifdef SYS_arch_prctl
                {Answer::kThreadPointer, SYS_arch_prctl},
#endif
                {Answer::kTidAddress, SYS_set_tid_address}, {Answer::kRobustList, SYS_set_robust_list}, {Answer::kBlockedActions, SYS_rt_sigaction}, {Answer::kMask, SYS_rt_sigprocmask},
                {Answer::kFutex, SYS_futex}, {Answer::kMaskOfCaught, SYS_rt_sigprocmask}};
  SignalHandlers& handlers = *process.handlers;
  AddressSpace& space = *process.space;
  Guard space_guard(space.lock);
  Guard handlers_guard(handlers.lock);
  Guard guard(process.threads_lock);
  uint32_t known = 0;
  uint64_t values[kAnswers] = {};
  for (const auto& [answer, call] : kCalls) {
    if (!seccomp_always_allows(thread, static_cast<uint32_t>(call))) continue;
    const bool identity = answer >= Answer::kUid && answer <= Answer::kEgid;
    // Whoever maps the users of a new namespace changes what its processes are told.
    if (identity && process.may_be_mapped) continue;
    known |= bit(answer);
    if (identity) values[static_cast<uint32_t>(answer)] = static_cast<uint64_t>(raw(call));
  }
  values[static_cast<uint32_t>(Answer::kPid)] = static_cast<uint64_t>(process.pid);
  values[static_cast<uint32_t>(Answer::kTid)] = static_cast<uint64_t>(thread.tid);
  values[static_cast<uint32_t>(Answer::kBreak)] = space.brk_now;
  values[static_cast<uint32_t>(Answer::kRseq)] = static_cast<uint64_t>(-ENOSYS);
  values[static_cast<uint32_t>(Answer::kStackSoft)] = process.stack_limit.rlim_cur;
  values[static_cast<uint32_t>(Answer::kStackHard)] = process.stack_limit.rlim_max;
  if (handlers.references.load() > 1) known &= ~(bit(Answer::kActions) | kOfOneThread);
  if (process.thread_count.load() > 1) known &= ~kOfOneThread;
  arch_put_answers(*thread.vcpu, 0, values);
  GuestAction whose[kSignals];
  arch_take_actions(*thread.vcpu, whose);  // another thread's, which ran here before
  arch_put_mask(*thread.vcpu, thread.mask);
  for (int number = 1; number <= kSignals; number++) arch_put_action(*thread.vcpu, number, handlers.action[number - 1]);
  arch_put_caught(*thread.vcpu, caught(handlers));
  arch_put_answers(*thread.vcpu, known, values);
  // A thread's first calls are of this kind, and often its only ones.
  constexpr int kFirstUnseen = 2;
  arch_let_unseen(*thread.vcpu, kFirstUnseen);
}

void take_notes(Thread& thread) {
  if (!thread.vcpu || thread.lends_vcpu) return;
  uint64_t robust_list, clear_child_tid;
  const uint32_t noted = arch_take_notes(*thread.vcpu, robust_list, clear_child_tid);
  if (noted & kNotedRobustList) thread.robust_list = {robust_list};
  if (noted & kNotedTidAddress) thread.clear_child_tid = {clear_child_tid};
}

void forget_notes(Thread& thread) {
  uint64_t robust_list, clear_child_tid;
  arch_take_notes(*thread.vcpu, robust_list, clear_child_tid);
}

void take_actions(Thread& thread) {
  GuestAction actions[kSignals];
  if (!thread.vcpu || thread.lends_vcpu) return;
  const SignalSet changed = arch_take_actions(*thread.vcpu, actions);
  if (!changed || !seccomp_always_allows(thread, SYS_rt_sigaction)) return;
  SignalHandlers& handlers = *thread.process->handlers;
  Guard guard(handlers.lock);
  for (int number = 1; number <= kSignals; number++)
    if (changed & signal_bit(number)) (void)set_action(handlers, number, actions[number - 1]);
  arch_put_caught(*thread.vcpu, caught(handlers));
}

void take_mask(Thread& thread) {
  if (!thread.vcpu || thread.lends_vcpu) return;
  const SignalSet mask = arch_mask(*thread.vcpu, thread.mask);
  if (mask != thread.mask && seccomp_always_allows(thread, SYS_rt_sigprocmask)) set_guest_mask(thread, mask);
}

void share_actions(Thread& thread) { arch_drop_answers(*thread.vcpu, kOfOneThread); }

void mend_action(Process& process, uint64_t number) {
  if (number < 1 || number > kSignals) return;
  Guard guard(process.handlers->lock);
  answer_action(process, static_cast<int>(number));
}

void answer_mask(Thread& thread) {
  if (answers(*thread.process)) arch_put_mask(*thread.vcpu, thread.mask);
}

void answer_action(Process& process, int number) {
  if (!answers(process)) return;
  const SignalSet all = caught(*process.handlers);
  for_each_vcpu(process, [&](Vcpu& vcpu) {
    arch_put_action(vcpu, number, process.handlers->action[number - 1]);
    arch_put_caught(vcpu, all);
  });
}

void answer_break(Process& process) {
  if (!answers(process)) return;
  for_each_vcpu(process, [&](Vcpu& vcpu) { arch_put_answer(vcpu, static_cast<uint32_t>(Answer::kBreak), process.space->brk_now); });
}

void forget_stack_limit(Process& process) {
  if (!answers(process)) return;
  for_each_vcpu(process, [&](Vcpu& vcpu) { arch_drop_answers(vcpu, bit(Answer::kStackSoft)); });
}

void forget_actions(Process& process) {
  if (!answers(process)) return;
  for_each_vcpu(process, [&](Vcpu& vcpu) { arch_drop_answers(vcpu, bit(Answer::kActions) | kOfOneThread); });
}

void revise_answers(const Call& call) {
  Process& process = *call.thread.process;
  switch (call.number) {
    case SYS_unshare:
      if (!(call.a[0] & CLONE_NEWUSER)) return;
      process.may_be_mapped = true;
      break;
    case SYS_setns: process.may_be_mapped = true; break;  // which namespaces, only the kernel knows
    case SYS_prctl:
      if (call.a[0] != PR_SET_SECCOMP) return;
      break;
    case SYS_setuid: case SYS_setgid: case SYS_setreuid: case SYS_setregid: case SYS_setresuid: case SYS_setresgid: case SYS_seccomp: break;
    default: return;
  }
  give_answers(call.thread);
}

}  // namespace tine
