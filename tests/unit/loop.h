/* SPDX-License-Identifier: MIT */
/* An event loop for a test: runs until what is waited for has happened, or fails the test. */
#ifndef QN_TESTS_UNIT_LOOP_H
#define QN_TESTS_UNIT_LOOP_H

#include "tests/unit/check.h"

#include <stdbool.h>
#include <uv.h>

#define LOOP_PATIENCE_MS 10000

/** Open and close one: libuv opens descriptors of the whole process with the first. */
static inline void loop_prepare(void)
{
    uv_loop_t loop;
    uv_loop_init(&loop);
    uv_loop_close(&loop);
}

static inline void loop_on_deadline(uv_timer_t *timer)
{
    *(bool *)timer->data = true;
}

static inline void loop_on_leak(uv_handle_t *handle, void *arg)
{
    (void)arg;
    CHECK(uv_is_closing(handle));
}

/** Run until *@done. Return: whether it came to that in time; if not, the test fails. */
static inline bool loop_until(uv_loop_t *loop, const bool *done)
{
    bool late = false;
    uv_timer_t deadline = {.data = &late};
    uv_timer_init(loop, &deadline);
    uv_timer_start(&deadline, loop_on_deadline, LOOP_PATIENCE_MS, 0);
    while (!*done && !late)
        uv_run(loop, UV_RUN_ONCE);
    uv_close((uv_handle_t *)&deadline, NULL);
    uv_run(loop, UV_RUN_NOWAIT);
    CHECK(*done);
    return *done;
}

/** Check that nothing is left on it, and close it. */
static inline void loop_close(uv_loop_t *loop)
{
    uv_walk(loop, loop_on_leak, NULL);
    uv_run(loop, UV_RUN_DEFAULT);
    CHECK_INT(uv_loop_close(loop), 0);
}

#endif
