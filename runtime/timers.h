/* SPDX-License-Identifier: MIT */
/* Deadlines on the control thread's loop, in experiment time with the kernel's full resolution
 * (libuv's own timers count milliseconds). Equal deadlines fire in the order in which they were
 * started. */
#ifndef QN_RUNTIME_TIMERS_H
#define QN_RUNTIME_TIMERS_H

#include <stddef.h>
#include <stdint.h>
#include <uv.h>

struct timers;

/* Owned by its user; zeroed it is stopped. */
struct timer {
    void (*fn)(void *arg); /* may start or stop any timer, this one too */
    void *arg;
    int64_t deadline;
    uint64_t seq;
    size_t place; /* 0: stopped */
};

/** Return: 0 or negative errno. */
int timers_open(struct timers **out, uv_loop_t *loop);
void timers_close(struct timers *timers);

/** Start, or start anew, for experiment time @deadline_ns. Return: 0 or -ENOMEM. */
int timer_start(struct timers *timers, struct timer *timer, int64_t deadline_ns);

/** Stop; a stopped timer is left alone. */
void timer_stop(struct timers *timers, struct timer *timer);

/** Return: how many are running. */
size_t timers_running(const struct timers *timers);

#endif
