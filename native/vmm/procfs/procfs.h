// The guest's view of /proc: what the call handlers ask.
//
// A file is judged by what the kernel says it is (PROC_SUPER_MAGIC, and its place inside that procfs), never by
// the path the guest gave. Magic links (/proc/PID/exe, /proc/PID/fd/N, …) are met with RESOLVE_NO_MAGICLINKS, so
// that bind mounts, chroots, directory descriptors and symbolic links change nothing.
#pragma once
#include <cstddef>
#include <cstdint>

#include "process/thread.h"

namespace tine {

// Opens the monitor's own way into procfs (own place kProcPlace, kept over exec), before the guest runs and may
// change its root. Without one nothing of the guest's can be in procfs either, until it mounts it.
void procfs_start(Process& process);

// After any open or creation of a descriptor whose fstatfs says PROC_SUPER_MAGIC (O_PATH and directories too).
// Returns the descriptor to give (the same, or another in its place with the guest's view of it) or -errno;
// then `fd` is closed.
int64_t procfs_opened(Thread& thread, int fd, int flags);

// True where fstatfs says PROC_SUPER_MAGIC.
bool procfs_is_procfs(int fd);

// The whole of an openat2 for the guest, for any path. Where other threads share the descriptors, a file is found
// first (O_PATH, out of their reach) and judged before it is opened: a real /proc/self/mem must not be at a number
// that another thread can guess, not even for a moment. The descriptor or -errno.
int64_t procfs_open(Thread& thread, int directory, const char* path, uint64_t flags, uint64_t mode, uint64_t resolve);

// For calls that take a path and are not an open. Looks whether the path goes through a magic link (one
// openat2). 0: make the call, with `text` perhaps rewritten (PATH_MAX bytes; relative to the same `directory`);
// else -errno to answer.
int64_t procfs_path(Thread& thread, int directory, char* text, bool follow);

// readlinkat(2), exact for any path: length of the target written to `out`, or -errno. Neither open nor readlink
// by another way is needed. `path` may be "" (the link that `directory` itself is).
int64_t procfs_readlink(Thread& thread, int directory, const char* path, char* out, size_t size);

// Entries as getdents64 gave them: hides those of the monitor. Only does anything for a directory of procfs.
// Returns the bytes that remain: 0 only for 0. Negative where all that was read is hidden: read again.
constexpr int64_t kReadDirectoryAgain = -4096;
int64_t procfs_filter_dents(Thread& thread, int fd, void* buffer, int64_t bytes);

// A descriptor received by SCM_RIGHTS, pidfd_getfd or a file handle, if procfs_is_procfs. 0 or -errno (not closed).
int64_t procfs_received(Thread& thread, int fd);

// /proc/PID/mem and pagemap hold addresses as file positions. Cheap test first: has the process such a file?
// Then: 0 not one of those; else the result of the read or write. `position` < 0: the descriptor's own.
bool procfs_has_memory_files(const Thread& thread);
// A descriptor came from elsewhere: remembers whether it stands for such a file.
void procfs_note_memory_file(Thread& thread, int fd);
constexpr int64_t kNotMemoryFile = INT64_MIN;
int64_t procfs_memory_read(Thread& thread, int fd, GuestAddr to, uint64_t bytes, int64_t position);
int64_t procfs_memory_write(Thread& thread, int fd, GuestAddr from, uint64_t bytes, int64_t position);

// Texts of /proc are made anew for every read from their start, as the kernel makes them. Cheap test first; then, before
// such a read (`position` < 0: from where the descriptor stands): 0, or -errno to answer instead of reading.
bool procfs_has_text_files(const Thread& thread);
int64_t procfs_refresh(Thread& thread, int fd, int64_t position);

}  // namespace tine
