// Calls whose answer the monitor knows beforehand. Where an exit is dear they are answered in the guest's entry stub, from a
// table in each vCPU's post page: who the thread is, where the heap ends, how far the stack may grow, that there is no rseq,
// what a signal's action is (posix_spawn asks for 62 of these in every child). The thread pointer is set there, and where the
// robust list and the word to clear at the end are is noted there until it is wanted; so is the new action of a signal that the
// thread blocks, in a process of one thread (posix_spawn's children set 63 of these), and what such a thread does to its mask
// with signals that come to the monitor anyway (shells block SIGCHLD time and again). The table is kept true by whoever changes
// what it says; what it does not know leaves the machine.
#pragma once
#include <cstdint>

namespace tine {

struct Call;
struct Process;
struct Thread;

enum class Answer : uint32_t { kPid, kTid, kUid, kGid, kEuid, kEgid, kActions, kBreak, kRseq, kStackSoft, kStackHard, kThreadPointer, kTidAddress, kRobustList, kBlockedActions, kMask, kFutex, kMaskOfCaught };
constexpr uint32_t kAnswers = 11;  // that have a value; the calls behind only change something

// Writes the whole table for a thread that is about to run, or whose filters or credentials changed.
void give_answers(Thread& thread);
// Takes over what the thread told the stub alone. Before anything looks at its robust list or clear_child_tid.
void take_notes(Thread& thread);
// Takes over the actions that the calling thread told the stub alone. Before anything looks at or changes its process's actions.
void take_actions(Thread& thread);
// Takes over what the calling thread did to its mask by the stub alone. Before anything looks at or changes it, or waits.
void take_mask(Thread& thread);
// There will be others who have these handlers: from now on the monitor is told.
void share_actions(Thread& thread);
// Another thread ran on this one's vCPU: what is noted there was that one's.
void forget_notes(Thread& thread);
// The action of a signal changed. With the handlers' lock held.
void answer_action(Process& process, int number);
// The stub may have begun to change the action of `number`, and has not come to the end of it.
void mend_action(Process& process, uint64_t number);
// The thread's mask changed.
void answer_mask(Thread& thread);
// The heap's end changed. With the space's lock held.
void answer_break(Process& process);
// The stack's limit changes: it is asked of the monitor from now on.
void forget_stack_limit(Process& process);
// Other processes share the handlers from now on: nobody's table tells of actions any more.
void forget_actions(Process& process);
// A call succeeded that may have changed what the table says.
void revise_answers(const Call& call);

}  // namespace tine
