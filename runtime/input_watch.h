/* SPDX-License-Identifier: MIT */
/* Watching the standard input. The loop would make a descriptor that it watches non-blocking, for
 * all who have it open: it watches one of ours, which watches the standard input. */
#ifndef QN_RUNTIME_INPUT_WATCH_H
#define QN_RUNTIME_INPUT_WATCH_H

#include <uv.h>

struct input_watch {
    uv_poll_t *poll; /* to be started and stopped; NULL: closed */
    int fd;
};

/** @data: of the poll. Return: 0, or negative errno, with @watch closed; -EPERM: the standard input
 * is a plain file, which can always be read. */
int input_watch_open(struct input_watch *watch, uv_loop_t *loop, void *data);

/** Idempotent. */
void input_watch_close(struct input_watch *watch);

#endif
