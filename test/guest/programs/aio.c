// Asynchronous I/O: the kernel's io_submit and glibc's threads.
#include "check.h"
#include <aio.h>
#include <linux/aio_abi.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/uio.h>

static long setup(unsigned count, aio_context_t *context) { return syscall(SYS_io_setup, count, context); }
static long submit(aio_context_t context, long count, struct iocb **list) { return syscall(SYS_io_submit, context, count, list); }
static long events_of(aio_context_t context, long least, long most, struct io_event *events, struct timespec *limit) {
    return syscall(SYS_io_getevents, context, least, most, events, limit);
}

int main(void) {
    enter_directory();
    int fd = open("file", O_RDWR | O_CREAT, 0600);
    aio_context_t context = 0;
    CHECK_EQ("io_setup", setup(16, &context), 0);
    CHECK("a context", context != 0);
    char text[4][16] = {"zero", "one", "two", "three"}, back[4][16] = {{0}};
    struct iocb blocks[4], *list[4];
    for (int i = 0; i < 4; i++) {
        blocks[i] = (struct iocb){.aio_data = 100u + (unsigned)i, .aio_lio_opcode = IOCB_CMD_PWRITE, .aio_fildes = (uint32_t)fd,
                                  .aio_buf = (uintptr_t)text[i], .aio_nbytes = 16, .aio_offset = i * 16};
        list[i] = &blocks[i];
    }
    struct io_event events[8];
    CHECK_EQ("submit four writes", submit(context, 4, list), 4);
    CHECK_EQ("four events", events_of(context, 4, 8, events, NULL), 4);
    unsigned seen = 0;
    for (int i = 0; i < 4; i++) seen |= events[i].res == 16 && events[i].obj == (uintptr_t)&blocks[events[i].data - 100] ? 1u << (events[i].data - 100) : 0;
    CHECK_EQ("each with its data and block", seen, 15);
    for (int i = 0; i < 4; i++) blocks[i].aio_lio_opcode = IOCB_CMD_PREAD, blocks[i].aio_buf = (uintptr_t)back[i];
    int event = eventfd(0, 0);
    blocks[2].aio_flags = IOCB_FLAG_RESFD, blocks[2].aio_resfd = (uint32_t)event;
    CHECK_EQ("submit four reads", submit(context, 4, list), 4);
    CHECK_EQ("four events again", events_of(context, 4, 8, events, NULL), 4);
    CHECK("the bytes are right", memcmp(text, back, sizeof text) == 0);
    uint64_t value;
    CHECK("an eventfd was told", read(event, &value, 8) == 8 && value == 1);
    struct iovec vectors[2] = {{back[0], 4}, {back[1], 4}};
    struct iocb vectored = {.aio_lio_opcode = IOCB_CMD_PREADV, .aio_fildes = (uint32_t)fd, .aio_buf = (uintptr_t)vectors, .aio_nbytes = 2, .aio_offset = 48}, *one = &vectored;
    CHECK("vectors", submit(context, 1, &one) == 1 && events_of(context, 1, 1, events, NULL) == 1 && events[0].res == 8 && memcmp(back[1], "e", 2) == 0);
    int ends[2];
    MUST(pipe(ends) == 0);
    struct iocb polling = {.aio_lio_opcode = IOCB_CMD_POLL, .aio_fildes = (uint32_t)ends[0], .aio_buf = POLLIN};
    one = &polling;
    CHECK_EQ("a poll", submit(context, 1, &one), 1);
    struct timespec brief = {0, 20000000};
    CHECK_EQ("not yet", events_of(context, 1, 1, events, &brief), 0);
    MUST(write(ends[1], "x", 1) == 1);
    CHECK("now", events_of(context, 1, 1, events, NULL) == 1 && (events[0].res & POLLIN));
    polling.aio_lio_opcode = IOCB_CMD_PREAD, polling.aio_fildes = 777;
    CHECK_ERRNO("a closed descriptor", submit(context, 1, &one), EBADF);
    one = (void *)8;
    CHECK_ERRNO("a bad block pointer", submit(context, 1, &one), EFAULT);
    CHECK_ERRNO("a bad context", submit(context + 4096, 1, &one), EINVAL);
    CHECK_EQ("io_destroy", syscall(SYS_io_destroy, context), 0);
    CHECK_ERRNO("twice", syscall(SYS_io_destroy, context), EINVAL);

    struct aiocb posix = {.aio_fildes = fd, .aio_buf = back[0], .aio_nbytes = 16, .aio_offset = 16};
    const struct aiocb *waiting[1] = {&posix};
    CHECK("aio_read", aio_read(&posix) == 0 && aio_suspend(waiting, 1, NULL) == 0 && aio_error(&posix) == 0 && aio_return(&posix) == 16 && strcmp(back[0], "one") == 0);
    return check_done();
}
