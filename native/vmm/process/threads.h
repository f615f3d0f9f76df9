// Guest threads on the monitor's side: stacks, lists, starting and ending.
#pragma once
#include "process/thread.h"

namespace tine {

// A monitor stack with a Thread at its base. nullptr: out of memory.
Thread* new_thread_block();
// Gives a block back that no host thread runs on any more (or never did).
void release_thread_block(Thread* thread);
// Of a task of another process, which nobody here waits for: when it has ended, whoever makes the next one takes back what
// it held. ended_ownerless_thread() gives each such thread once.
void disown_thread_block(Thread* thread);
Thread* ended_ownerless_thread();
// Whether a thread of that process has a block still.
bool has_thread_blocks(const Process* process);
// The same for a block whose host thread is about to end: it is free once that is gone.
void abandon_thread_block(Thread* thread);
// The word the kernel clears when the host thread of this block is gone (CLONE_CHILD_CLEARTID).
uint32_t* alive_word(Thread* thread);
// In a fork's child: only `survivor` runs.
void forget_other_threads(Thread& survivor);

void list_thread(Thread& thread);
void unlist_thread(Thread& thread);

// Serves the guest thread until it ends.
[[noreturn]] void run_thread(Thread& thread);

// What the kernel does for a dying thread's robust futexes and its clear_child_tid word.
void leave_robust_list(Thread& thread);
void leave_robust_lists(Process& process);
void clear_child_tid(Thread& thread);

// One that shared the process's memory has left it for good: what it held is free, or, half changed, the process's end.
void release_locks_of(Thread& gone, Process& process);

// Locks taken across a fork, so that the child's copy of the monitor is whole.
void lock_for_fork(Thread& thread);
void unlock_after_fork(Thread& thread);

}  // namespace tine
