// Files mapped as a loader maps a program's code and constants, whatever stands behind the pages: each change of the
// mapping shows at once, in this process alone, in every thread; each change of the file in what is mapped after it.
#include "check.h"
#include "fault.h"
#include "library.h"
#include <dlfcn.h>
#include <pthread.h>
#include <sys/uio.h>

/// Executed from files that differ in this alone.
static const volatile char mark[16] = "mark of file: A";
#define MARK 14

static int memory_file;

/// All that one process can do to such pages, with one library that is mapped already.
static int changes(void *raw) {
    char *base = raw;
    char *text = page_of(base, HEAD), *page = text + 5 * PAGE;
    CHECK_EQ("the file as it is", wrong(base, 1), 0);

    CHECK("one page goes", munmap(page, PAGE) == 0);
    check_fault("it cannot be read", attempt(page, READ), SIGSEGV, SEGV_MAPERR, page);
    check_fault("nor run", attempt(page, EXECUTE), SIGSEGV, SEGV_MAPERR, page);
    CHECK("its neighbours go on", run(page - PAGE) == answer(1, HEAD + 4) && run(page + PAGE) == answer(1, HEAD + 6));
    int fd = open("other", O_RDONLY | O_CLOEXEC);
    MUST(mmap(page, PAGE, PROT_READ | PROT_EXEC, LOADED | MAP_FIXED, fd, (off_t)(7 * PAGE)) == page);
    CHECK_EQ("another file's page in its place", run(page), answer(2, 7));
    MUST(mmap(page, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == page);
    CHECK("then memory", page[0] == 0 && page[PAGE - 1] == 0);
    check_fault("that cannot be run", attempt(page, EXECUTE), SIGSEGV, SEGV_ACCERR, page);
    MUST(mmap(page, 2 * PAGE, PROT_READ | PROT_EXEC, LOADED | MAP_FIXED, fd, (off_t)(9 * PAGE)) == page);
    CHECK("then two pages", run(page) == answer(2, 9) && run(page + PAGE) == answer(2, 10));
    close(fd);

    page = text + 8 * PAGE;
    CHECK("made writable", mprotect(page, PAGE, PROT_READ | PROT_WRITE) == 0);
    check_fault("it cannot be run", attempt(page, EXECUTE), SIGSEGV, SEGV_ACCERR, page);
    put_function(page, 77);
    CHECK("run after a store", mprotect(page, PAGE, PROT_READ | PROT_EXEC) == 0 && run(page) == 77);
    CHECK_EQ("no store any more", attempt_store(page, 1).signal, SIGSEGV);
    CHECK("all at once", mprotect(page + PAGE, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC) == 0 && run(page + PAGE) == answer(1, HEAD + 9));
    put_function(page + PAGE, 78);
    CHECK_EQ("run where it can be written", run(page + PAGE), 78);
    CHECK_EQ("a new mapping has none of it", wrong_anew("library", 1), 0);
    CHECK("the file's again", madvise(page, PAGE, MADV_DONTNEED) == 0 && run(page) == answer(1, HEAD + 8));
    CHECK("without access", mprotect(page, PAGE, PROT_NONE) == 0);
    check_fault("no reading", attempt(page, READ), SIGSEGV, SEGV_ACCERR, page);
    CHECK("to be read only", mprotect(page, PAGE, PROT_READ) == 0 && value_at(page) == answer(1, HEAD + 8));
    check_fault("no running", attempt(page, EXECUTE), SIGSEGV, SEGV_ACCERR, page);

    char *constants = page_of(base, HEAD + TEXT);
    for (char *at = constants; at; at = at == constants ? base + PAGE : NULL) {
        MUST(mprotect(at, PAGE, PROT_READ | PROT_WRITE) == 0);
        at[100] = 'X';
        MUST(mprotect(at, PAGE, PROT_READ) == 0);
        CHECK("a store into constants stays", at[100] == 'X');
    }
    CHECK_EQ("and is this mapping's", wrong_anew("library", 1), 0);

    page = text + 11 * PAGE;
    char function[6], before[6];
    put_function(function, 79);
    memcpy(before, page, 6);
    struct iovec ours = {function, 6}, theirs = {page, 6};
    CHECK_ERRNO("process_vm_writev into code", process_vm_writev(getpid(), &ours, 1, &theirs, 1, 0), EFAULT);
    CHECK_ERRNO("process_vm_writev into constants", process_vm_writev(getpid(), &ours, 1, &(struct iovec){constants + 2 * PAGE, 6}, 1, 0), EFAULT);
    CHECK("nothing changed", memcmp(page, before, 6) == 0 && run(page) == answer(1, HEAD + 11));
    memory_file = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
    MUST(memory_file >= 0);
    CHECK_EQ("the memory file writes code", pwrite(memory_file, function, 6, (off_t)(uintptr_t)page), 6);
    CHECK("which shows", memcmp(page, function, 6) == 0);
    CHECK_EQ("and runs", run(page), 79);
    char across[2 * PAGE];
    memset(across, 'Y', sizeof across);
    CHECK_EQ("and constants, over pages", pwrite(memory_file, across, sizeof across, (off_t)(uintptr_t)constants + 1000), (ssize_t)sizeof across);
    CHECK("which show", constants[999] == 'a' && constants[1000] == 'Y' && constants[PAGE] == 'Y' && constants[2 * PAGE + 999] == 'Y' && constants[2 * PAGE + 1000] == 'c');
    CHECK_EQ("a new mapping has none of this", wrong_anew("library", 1), 0);
    CHECK("the file's once more", madvise(page, PAGE, MADV_DONTNEED) == 0 && run(page) == answer(1, HEAD + 11));
    close(memory_file);

    char *place = mmap(NULL, 4 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    page = text;
    CHECK("moved away", mremap(page, 4 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, place) == place);
    CHECK("it runs there", run(place) == answer(1, HEAD) && run(place + 3 * PAGE) == answer(1, HEAD + 3));
    check_fault("and not here", attempt(page, EXECUTE), SIGSEGV, SEGV_MAPERR, page);
    MUST(mmap(page, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == page);
    CHECK("and not again", page[0] == 0 && page[3 * PAGE] == 0);
    CHECK("back", mremap(place, 4 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, page) == page && run(page + PAGE) == answer(1, HEAD + 1));
    CHECK("made shorter", mremap(page, 4 * PAGE, 2 * PAGE, 0) == page && run(page + PAGE) == answer(1, HEAD + 1));
    check_fault("by two pages", attempt(page + 2 * PAGE, READ), SIGSEGV, SEGV_MAPERR, page + 2 * PAGE);
    return check_failures != 0;
}

/// Code that makes a call, which may have been changed for that, is moved, written by the kernel, thrown away.
static void code_with_calls(void) {
    static const unsigned char asks[] = {0xb8, 0x27, 0, 0, 0, 0x0f, 0x05, 0xc3};  // getpid
    char *base = load("calls"), *page = page_of(base, HEAD + 3);
    MUST(memcmp(page, asks, sizeof asks) == 0);
    int bad = 0;
    for (int i = 0; i < 40; i++) bad += run(page) != getpid();
    CHECK_EQ("code that makes a call", bad, 0);
    CHECK("its neighbours", run(page - PAGE) == answer(9, HEAD + 2) && run(page + PAGE) == answer(9, HEAD + 4));
    char *place = mmap(NULL, 8 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK("moved with them", mremap(page - 2 * PAGE, 8 * PAGE, 8 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, place) == place);
    page = place + 2 * PAGE;
    for (int i = 0; i < 40; i++) bad += run(page) != getpid();
    CHECK("it works there", !bad && run(page - PAGE) == answer(9, HEAD + 2));
    int fd = open("other", O_RDONLY | O_CLOEXEC);
    CHECK_ERRNO("and is not written", pread(fd, page, 6, (off_t)(5 * PAGE)), EFAULT);
    CHECK("unless that is allowed", mprotect(page, PAGE, PROT_READ | PROT_WRITE) == 0 && pread(fd, page, 6, (off_t)(5 * PAGE)) == 6);
    CHECK("it is other code then", mprotect(page, PAGE, PROT_READ | PROT_EXEC) == 0 && run(page) == answer(2, 5));
    CHECK("and the file's at last", madvise(page, PAGE, MADV_DONTNEED) == 0 && run(page) == getpid());
    close(fd);
    char *again = load("calls");
    CHECK_EQ("as in another mapping", run(page_of(again, HEAD + 3)), getpid());
    unload(again);
    munmap(place, 8 * PAGE);
    unload(base);
}

static int as_the_file(void *base) { return wrong(base, 1) != 0; }

static int waits_then_as_the_file(void *base) {
    sleep_ms(1);
    return wrong(base, 1) != 0;
}

static int is_not_inherited(void *base) { return attempt(page_of(base, HEAD), READ).signal == SIGSEGV && run(page_of(base, HEAD + 4)) == answer(1, HEAD + 4) ? 0 : 1; }

/// Each thread runs and reads one page while it is replaced: what was mapped before the turn is told must show in it.
#define TURNS 150
static _Atomic int turn, seen_turn[2], wrong_turns;
static char *turning;
static void *turns(void *raw) {
    long self = (long)raw;
    for (int now; (now = atomic_load(&turn)) <= TURNS;) {
        int first = value_at(turning), second = run(turning);
        // Between turns it may be either.
        if (atomic_load(&turn) == now && now % 2 == 0)
            if (first != answer(now % 4 ? 2 : 1, HEAD) || second != first) atomic_fetch_add(&wrong_turns, 1);
        atomic_store(&seen_turn[self], now);
    }
    return NULL;
}
static void threads_see_changes(void) {
    char *base = load("library"), *text = page_of(base, HEAD);
    turning = text;
    int fds[2] = {open("library", O_RDONLY | O_CLOEXEC), open("other", O_RDONLY | O_CLOEXEC)};
    pthread_t threads[2];
    for (long i = 0; i < 2; i++) MUST(pthread_create(&threads[i], NULL, turns, (void *)i) == 0);
    for (int now = 1; now <= TURNS; now++) {
        atomic_store(&turn, now);
        if (now % 2) {
            int which = (now + 1) % 4 ? 1 : 0;
            if (now % 3) MUST(mmap(text, TEXT * PAGE, PROT_READ | PROT_EXEC, LOADED | MAP_FIXED, fds[which], (off_t)(HEAD * PAGE)) == text);
            // Only a page of it, or memory that was written before.
            else if (now % 5) MUST(mmap(text, PAGE, PROT_READ | PROT_EXEC, LOADED | MAP_FIXED, fds[which], (off_t)(HEAD * PAGE)) == text);
            else {
                char *made = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
                put_function(made, answer(which + 1, HEAD));
                MUST(mprotect(made, PAGE, PROT_READ | PROT_EXEC) == 0);
                MUST(mremap(made, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, text) == text);
            }
        } else {
            for (int i = 0; i < 2; i++)
                while (atomic_load(&seen_turn[i]) != now) sched_yield();
        }
    }
    atomic_store(&turn, TURNS + 1);
    for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
    CHECK_EQ("every thread sees each change at once", wrong_turns, 0);
    close(fds[0]), close(fds[1]);
    unload(base);
}

/// A thread reads a page from which protection is taken and given back; what it meets in between are faults only.
static _Atomic int stop, odd;
static void *reads(void *raw) {
    volatile int *at = raw;
    int expected = *at;
    while (!atomic_load(&stop))
        if (*at != expected) atomic_store(&odd, 1);
    return NULL;
}
static void threads_see_writes(void) {
    char *base = load("library"), *text = page_of(base, HEAD);
    pthread_t thread;
    atomic_store(&stop, 0);
    MUST(pthread_create(&thread, NULL, reads, text + 2 * PAGE + 200) == 0);
    int bad = 0;
    for (int i = 0; i < 60; i++) {
        MUST(mprotect(text + (i & 1 ? PAGE : 0), 4 * PAGE, PROT_READ | PROT_WRITE) == 0);
        put_function(text + 2 * PAGE, i);
        MUST(mprotect(text, TEXT * PAGE, PROT_READ | PROT_EXEC) == 0);
        bad += run(text + 2 * PAGE) != i;
    }
    atomic_store(&stop, 1);
    pthread_join(thread, NULL);
    CHECK("changed beside a thread that reads", !bad && !odd);
    unload(base);
}

static int fills(void *raw) {
    int gate = *(int *)raw, bad = 0;
    char byte, name[32];
    if (read(gate, &byte, 1) != 0) return 1;
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < 6; i++) {
            snprintf(name, sizeof name, "fresh%d", i);
            bad += wrong_anew(name, 10 + i) != 0;
        }
    for (int round = 0; round < 3; round++) {
        char *base = load_pages("large", 1300, REST);
        bad += wrong_pages(base, 3, 1300, REST) != 0;
        munmap(base, (HEAD + 1300 + REST) * PAGE);
    }
    return bad != 0;
}
static void many_at_once(void) {
    int gate[2], status, bad = 0;
    MUST(pipe2(gate, O_CLOEXEC) == 0);
    for (int i = 0; i < 4; i++)
        if (fork() == 0) {
            close(gate[1]);
            _exit(fills(gate));
        }
    close(gate[1]);
    for (int i = 0; i < 4; i++) bad += wait(&status) < 0 || status != 0;
    close(gate[0]);
    CHECK_EQ("four processes map six libraries and a large one at once", bad, 0);
}

static int mark_of(const char *program) {
    pid_t child = fork();
    if (child == 0) {
        execl(program, program, "mark", NULL);
        _exit(1);
    }
    int status = 0;
    MUST(waitpid(child, &status, 0) == child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -status;
}
static off_t mark_offset;
static void copy_program(const char *name, char letter) {
    static char all[1 << 20];
    int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC), to = open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
    ssize_t length = read(from, all, sizeof all);
    MUST(length > 0 && length < (ssize_t)sizeof all);
    char *at = memmem(all, (size_t)length, (const char *)mark, sizeof mark);
    MUST(at != NULL);
    at[MARK] = letter;
    mark_offset = at + MARK - all;
    MUST(write(to, all, (size_t)length) == length);
    close(from), close(to);
}
static void set_mark(const char *name, char letter) {
    int fd = open(name, O_WRONLY | O_CLOEXEC);
    MUST(fd >= 0 && pwrite(fd, &letter, 1, mark_offset) == 1 && close(fd) == 0);
}

static void past_the_end(void) {
    int fd = open("short", O_RDONLY | O_CLOEXEC);
    char *base = mmap(NULL, 8 * PAGE, PROT_READ, LOADED, fd, 0);
    MUST(mmap(base + PAGE, 7 * PAGE, PROT_READ | PROT_EXEC, LOADED | MAP_FIXED, fd, (off_t)PAGE) != MAP_FAILED);
    CHECK("a last page is zero behind the file's end", run(base + 2 * PAGE) == answer(4, 2) && base[2 * PAGE + 99] == 'c' && base[2 * PAGE + 100] == 0);
    check_fault("the page behind it", attempt(base + 3 * PAGE, READ), SIGBUS, BUS_ADRERR, base + 3 * PAGE);
    char *exact = mmap(NULL, 3 * PAGE, PROT_READ, LOADED, fd, 0);
    MUST(mmap(exact + PAGE, 2 * PAGE, PROT_READ | PROT_EXEC, LOADED | MAP_FIXED, fd, (off_t)PAGE) != MAP_FAILED);
    CHECK("without that page", run(exact + 2 * PAGE) == answer(4, 2) && exact[2 * PAGE + 99] == 'c' && exact[2 * PAGE + 100] == 0 && exact[3 * PAGE - 1] == 0);
    close(fd);
}

/// The tables below the code may be another file's, or this one's from another place, or changed.
static char *whole(int fd) {
    char *base = mmap(NULL, ALL * PAGE, PROT_READ, LOADED, fd, 0);
    MUST(base != MAP_FAILED);
    return base;
}
static void put_code(char *base, int fd) {
    MUST(mmap(base + HEAD * PAGE, TEXT * PAGE, PROT_READ | PROT_EXEC, LOADED | MAP_FIXED, fd, (off_t)(HEAD * PAGE)) != MAP_FAILED);
}
static void below_the_code(void) {
    int fd = open("library", O_RDONLY | O_CLOEXEC), other = open("other", O_RDONLY | O_CLOEXEC);
    char *base = whole(fd);
    MUST(mmap(base, HEAD * PAGE, PROT_READ, LOADED | MAP_FIXED, other, 0) == base);
    put_code(base, fd);
    CHECK_EQ("another file's", value_at(base + PAGE), answer(2, 1));
    unload(base);

    base = whole(fd);
    MUST(mprotect(base, HEAD * PAGE, PROT_READ | PROT_WRITE) == 0);
    base[PAGE + 7] = 'Z';
    MUST(mprotect(base, HEAD * PAGE, PROT_READ) == 0);
    put_code(base, fd);
    CHECK("the program's own changes", base[PAGE + 7] == 'Z' && value_at(base + PAGE) == answer(1, 1));
    unload(base);

    base = whole(fd);
    char *away = mmap(NULL, HEAD * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    MUST(mremap(base + 6 * PAGE, HEAD * PAGE, HEAD * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, away) == away);
    MUST(mremap(away, HEAD * PAGE, HEAD * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, base) == base);
    put_code(base, fd);
    CHECK_EQ("from another place", value_at(base + PAGE), answer(1, 7));
    unload(base);

    base = whole(fd);
    int memory = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
    MUST(pwrite(memory, "Z", 1, (off_t)(uintptr_t)(base + PAGE + 7)) == 1);
    close(memory);
    put_code(base, fd);
    CHECK("changed by way of the memory file", base[PAGE + 7] == 'Z');
    unload(base);
    close(fd), close(other);
    CHECK_EQ("nobody else has them", wrong_anew("library", 1), 0);
}

static void libraries_come_and_go(void) {
    int bad = 0;
    for (int i = 0; i < 30; i++) {
        void *library = dlopen("libm.so.6", RTLD_NOW | RTLD_LOCAL);
        double (*root)(double, double) = library ? (double (*)(double, double))dlsym(library, "hypot") : NULL;
        bad += !root || root(3, 4) != 5;
        if (library) dlclose(library);
    }
    CHECK_EQ("a library loaded thirty times", bad, 0);
}

int main(int count, char **words) {
    if (count > 1 && strcmp(words[1], "mark") == 0) return mark[MARK];
    catch_faults();
    enter_directory();
    char name[32];
    write_library("library", 1, ALL);
    write_library("other", 2, ALL);
    write_library("large", 3, HEAD + 1300 + REST);
    write_library("short", 4, 3);
    write_library("changing", 5, ALL);
    write_library("calls", 9, ALL);
    int calls = open("calls", O_WRONLY | O_CLOEXEC);
    MUST(pwrite(calls, "\xb8\x27\0\0\0\x0f\x05\xc3", 8, (off_t)((HEAD + 3) * PAGE)) == 8);
    close(calls);
    for (int i = 0; i < 6; i++) {
        snprintf(name, sizeof name, "fresh%d", i);
        write_library(name, 10 + i, ALL);
    }
    MUST(truncate("short", 2 * (off_t)PAGE + 100) == 0);
    copy_program("program", 'a');
    sleep_ms(2100);  // files that changed this very moment are another matter, below

    char *early = load("library"), *ours = load("library"), *theirs = load("library");
    CHECK("read and run", wrong(early, 1) == 0 && wrong(ours, 1) == 0);
    int go[2], status;
    MUST(pipe2(go, O_CLOEXEC) == 0);
    pid_t before = fork();
    if (before == 0) {
        char byte;
        MUST(read(go[0], &byte, 1) == 1);
        _exit(as_the_file(ours));
    }
    check_child("a child's changes", changes, theirs, "exit 0");
    CHECK_EQ("are not its parent's", wrong(theirs, 1), 0);
    check_child("nor another child's", waits_then_as_the_file, theirs, "exit 0");
    CHECK_EQ("this process's changes", changes(ours), 0);
    MUST(write(go[1], "", 1) == 1 && waitpid(before, &status, 0) == before);
    check_status("are not those of a child made before", status, "exit 0");
    CHECK("nor another mapping's", wrong(early, 1) == 0 && wrong(theirs, 1) == 0);
    MUST(madvise(page_of(theirs, HEAD), PAGE, MADV_DONTFORK) == 0);
    check_child("a page that is not inherited", is_not_inherited, theirs, "exit 0");
    CHECK_EQ("is there for its parent", wrong(theirs, 1), 0);
    threads_see_changes();
    threads_see_writes();
    past_the_end();
    code_with_calls();
    below_the_code();
    many_at_once();
    libraries_come_and_go();

    CHECK_EQ("a file before it changes", wrong_anew("changing", 5), 0);
    CHECK_EQ("a program before it changes", mark_of("./program"), 'a');
    CHECK_EQ("again", mark_of("./program"), 'a');
    change_library("changing", 6, ALL);
    set_mark("program", 'b');
    CHECK_EQ("a file just changed", wrong_anew("changing", 6), 0);
    CHECK_EQ("a program just changed", mark_of("./program"), 'b');
    change_library("changing", 7, ALL);
    set_mark("program", 'c');
    CHECK_EQ("a file changed twice in a moment", wrong_anew("changing", 7), 0);
    CHECK_EQ("a program too", mark_of("./program"), 'c');
    write_library("new", 8, ALL);
    CHECK_EQ("a file just made", wrong_anew("new", 8), 0);
    sleep_ms(2100);
    CHECK("a file that has settled", wrong_anew("changing", 7) == 0 && wrong_anew("changing", 7) == 0);
    CHECK("a program that has settled", mark_of("./program") == 'c' && mark_of("./program") == 'c');
    CHECK_EQ("one that was new", wrong_anew("new", 8), 0);
    MUST(rename("new", "changing") == 0);
    CHECK_EQ("another file by that name", wrong_anew("changing", 8), 0);
    copy_program("next", 'd');
    MUST(rename("next", "program") == 0);
    CHECK_EQ("another program by that name", mark_of("./program"), 'd');
    CHECK_EQ("the first mapping of all", wrong(early, 1), 0);
    return check_done();
}
