// Memory that a fork has shared, written by both sides in many ways: forwards, backwards, here and there, by threads and by calls,
// while its mappings change. Each side must find in every page what it wrote last itself, or what was there at the fork.
#include "check.h"
#include <pthread.h>

#define PAGES 1024
#define BYTES (PAGES * PAGE)

static uint32_t seed = 1;
static uint32_t next_random(void) { return seed = seed * 1664525 + 1013904223; }

/// What a side expects of each page: its number and who wrote it last.
struct area {
    char *at;
    uint32_t writer[PAGES];
};

static void write_page(struct area *area, int page, uint32_t who) {
    uint32_t *words = (uint32_t *)(area->at + (size_t)page * PAGE);
    words[0] = who;
    words[PAGE / 8] = (uint32_t)page;
    words[PAGE / 4 - 1] = ~who;
    area->writer[page] = who;
}

static int wrong_pages(const struct area *area) {
    int wrong = 0;
    for (int page = 0; page < PAGES; page++) {
        const uint32_t *words = (const uint32_t *)(area->at + (size_t)page * PAGE), who = area->writer[page];
        wrong += words[0] != who || words[PAGE / 8] != (who ? (uint32_t)page : 0) || words[PAGE / 4 - 1] != (who ? ~who : 0);
    }
    return wrong;
}

enum order { FORWARDS, BACKWARDS, ANYWHERE, SOME, FROM_A_FILE };

static void write_in_order(struct area *area, enum order order, uint32_t who) {
    switch (order) {
    case FORWARDS:
        for (int page = 0; page < PAGES; page++) write_page(area, page, who);
        break;
    case BACKWARDS:
        for (int page = PAGES - 1; page >= 0; page--) write_page(area, page, who);
        break;
    case ANYWHERE:
        for (int i = 0; i < PAGES; i++) write_page(area, (int)(next_random() % PAGES), who);
        break;
    case SOME:
        for (int page = (int)(who % 7); page < PAGES; page += 61) write_page(area, page, who);
        break;
    case FROM_A_FILE: {
        // Calls write it, a word at each page's start, and the program the rest.
        int ends[2];
        MUST(pipe(ends) == 0);
        for (int page = 0; page < PAGES; page += 5) {
            MUST(write(ends[1], &who, 4) == 4 && read(ends[0], area->at + (size_t)page * PAGE, 4) == 4);
            write_page(area, page, who);
        }
        close(ends[0]);
        close(ends[1]);
    }
    }
}

static char *reserve(bool huge) {
    // In huge pages, or in pieces that none fits in.
    char *at = mmap(NULL, BYTES + (2 << 20), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    MUST(at != MAP_FAILED);
    char *aligned = (char *)(((uintptr_t)at + (2 << 20) - 1) & ~(uintptr_t)((2 << 20) - 1));
    if (!huge)
        for (size_t piece = 0; piece < BYTES; piece += 256 << 10)
            MUST(mmap(aligned + piece, 256 << 10, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED);
    return aligned;
}

struct plan {
    bool huge, read_first;
    enum order before, parent, child;
    int generations;
};

static int generations_of(struct area *area, const struct plan *plan, int generation) {
    int ready[2], go[2];
    char byte;
    MUST(pipe(ready) == 0 && pipe(go) == 0);
    pid_t child = fork();
    MUST(child >= 0);
    if (child == 0) {
        int bad = plan->read_first ? wrong_pages(area) : 0;
        write_in_order(area, plan->child, 1000 + (uint32_t)generation);
        bad += wrong_pages(area);
        MUST(write(ready[1], "x", 1) == 1 && read(go[0], &byte, 1) == 1);  // the parent has written as well
        bad += wrong_pages(area);
        if (generation + 1 < plan->generations) bad += generations_of(area, plan, generation + 1);
        write_in_order(area, ANYWHERE, 3000 + (uint32_t)generation);
        bad += wrong_pages(area);
        _exit(bad != 0);
    }
    MUST(read(ready[0], &byte, 1) == 1);
    int bad = plan->read_first ? wrong_pages(area) : 0;
    write_in_order(area, plan->parent, 2000 + (uint32_t)generation);
    bad += wrong_pages(area);
    MUST(write(go[1], "x", 1) == 1);
    int status;
    MUST(waitpid(child, &status, 0) == child);
    bad += wrong_pages(area);
    write_in_order(area, FORWARDS, 4000 + (uint32_t)generation);
    bad += wrong_pages(area);
    for (int i = 0; i < 2; i++) close(ready[i]), close(go[i]);
    return bad + (status != 0);
}

static int both_sides(void *plan_at) {
    const struct plan *plan = plan_at;
    static struct area area;
    area.at = reserve(plan->huge);
    write_in_order(&area, plan->before, 7);
    return generations_of(&area, plan, 0) != 0;
}

/// The mappings change between the fork and the write.
static int changed_mappings(UNUSED void *unused) {
    static struct area area;
    area.at = reserve(false);
    write_in_order(&area, FORWARDS, 7);
    for (int round = 0; round < 2; round++) {
        pid_t child = fork();
        MUST(child >= 0);
        const size_t quarter = BYTES / 4;
        char *first = area.at, *second = area.at + quarter, *third = second + quarter, *last = third + quarter;
        uint32_t who = (child ? 100u : 200u) + (uint32_t)round;
        MUST(mprotect(first, quarter, PROT_READ) == 0 && mprotect(first, quarter, PROT_READ | PROT_WRITE) == 0);
        MUST(madvise(second, quarter, MADV_DONTNEED) == 0);
        memset(area.writer + PAGES / 4, 0, PAGES / 4 * sizeof(uint32_t));
        char *elsewhere = mmap(NULL, quarter, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        MUST(mremap(third, quarter, quarter, MREMAP_MAYMOVE | MREMAP_FIXED, elsewhere) == elsewhere);
        for (size_t i = 0; i < quarter; i += PAGE) elsewhere[i + 8] = 1;
        MUST(mremap(elsewhere, quarter, quarter, MREMAP_MAYMOVE | MREMAP_FIXED, third) == third);
        MUST(mmap(last, quarter, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == last);
        memset(area.writer + PAGES / 4 * 3, 0, PAGES / 4 * sizeof(uint32_t));
        int bad = wrong_pages(&area);
        write_in_order(&area, round % 2 ? BACKWARDS : ANYWHERE, who);
        bad += wrong_pages(&area);
        if (child == 0) _exit(bad != 0);
        int status;
        MUST(waitpid(child, &status, 0) == child);
        if (bad + wrong_pages(&area) || status) return 1;
    }
    return 0;
}

static struct area thread_areas[2];
static volatile bool stop;

static void *keep_writing(void *area_at) {
    struct area *area = area_at;
    uint32_t mine = (uint32_t)(uintptr_t)area, bad = 0, round = 0;
    while (!stop) {
        round++;
        for (int i = 0; i < 400; i++) {
            mine = mine * 1664525 + 1013904223;
            write_page(area, (int)(mine >> 8) % PAGES, round);
        }
        bad += (uint32_t)wrong_pages(area);
    }
    return (void *)(uintptr_t)bad;
}

/// Forks while other threads write: what a child finds may be of any instant, but the parent's threads lose nothing.
static int beside_threads(UNUSED void *unused) {
    pthread_t threads[COUNT(thread_areas)];
    for (size_t i = 0; i < COUNT(threads); i++) {
        thread_areas[i].at = reserve(i % 2);
        MUST(pthread_create(&threads[i], NULL, keep_writing, &thread_areas[i]) == 0);
    }
    static struct area own;
    own.at = reserve(true);
    write_in_order(&own, FORWARDS, 7);
    int bad = 0;
    for (int round = 0; round < 4; round++) {
        pid_t child = fork();
        MUST(child >= 0);
        if (child == 0) {
            int wrong = wrong_pages(&own);
            write_in_order(&own, FORWARDS, 9);
            for (size_t i = 0; i < COUNT(thread_areas); i++) memset(thread_areas[i].at, 0xee, BYTES / 4);
            _exit((wrong + wrong_pages(&own)) != 0);
        }
        write_in_order(&own, round % 2 ? SOME : FORWARDS, 10 + (uint32_t)round);
        int status;
        MUST(waitpid(child, &status, 0) == child);
        bad += (status != 0) + wrong_pages(&own);
    }
    stop = true;
    for (size_t i = 0; i < COUNT(threads); i++) {
        void *wrong;
        pthread_join(threads[i], &wrong);
        bad += wrong != NULL;
    }
    return bad != 0;
}

/// The heap, made smaller and larger again after forks.
static int heap(UNUSED void *unused) {
    char *start = sbrk(0);
    MUST(sbrk(BYTES) == start);
    static struct area area;
    area.at = (char *)(((uintptr_t)start + PAGE - 1) & ~(PAGE - 1));
    MUST(sbrk(PAGE) != (void *)-1);
    write_in_order(&area, FORWARDS, 7);
    for (int round = 0; round < 3; round++) {
        pid_t child = fork();
        MUST(child >= 0);
        char *top = sbrk(0);
        const size_t half = BYTES / 2;
        MUST(brk(area.at + half) == 0 && brk(top) == 0);
        memset(area.writer + PAGES / 2, 0, PAGES / 2 * sizeof(uint32_t));
        int bad = wrong_pages(&area);
        write_in_order(&area, child ? FORWARDS : BACKWARDS, (child ? 50u : 60u) + (uint32_t)round);
        bad += wrong_pages(&area);
        if (child == 0) _exit(bad != 0);
        int status;
        MUST(waitpid(child, &status, 0) == child);
        if (bad || status || wrong_pages(&area)) return 1;
    }
    return 0;
}

int main(void) {
    static const struct plan plans[] = {
        {true, false, FORWARDS, FORWARDS, FORWARDS, 3},  {true, true, FORWARDS, BACKWARDS, ANYWHERE, 2},
        {true, false, SOME, ANYWHERE, BACKWARDS, 2},     {true, true, FORWARDS, SOME, SOME, 3},
        {true, false, FORWARDS, FROM_A_FILE, FORWARDS, 2}, {false, false, FORWARDS, FORWARDS, FORWARDS, 3},
        {false, true, FORWARDS, BACKWARDS, ANYWHERE, 2}, {false, false, SOME, ANYWHERE, BACKWARDS, 2},
        {false, true, FORWARDS, SOME, SOME, 3},          {false, false, FORWARDS, FORWARDS, FROM_A_FILE, 2},
    };
    for (size_t i = 0; i < COUNT(plans); i++) {
        char name[64];
        snprintf(name, sizeof name, "both sides write, plan %zu", i);
        check_child(name, both_sides, (void *)&plans[i], "exit 0");
    }
    check_child("mappings that change after the fork", changed_mappings, NULL, "exit 0");
    check_child("forks beside threads that write", beside_threads, NULL, "exit 0");
    check_child("the heap", heap, NULL, "exit 0");
    return check_failures != 0;
}
