// What a guest says to injector.c: a call that the monitor passes to the host as it is, and that fails with EINVAL where
// nobody listens.
#pragma once

#define FAILURE_MARK 0x5e1f0000u

enum failure_side {
    FAILURE_BEGIN_PARENT = 1, // value: errno << 16 | N. The caller's own N-th call from now on that can fail so does
    FAILURE_BEGIN_CHILD = 2,  // the N-th call of the first task that the caller makes
    FAILURE_END = 3,          // said by the side it is about
    FAILURE_RESULT = 4,       // 1: it came to that call
};
