/* SPDX-License-Identifier: MIT */
/* The only source of experiment time: tasks, timers, fabric and records all read it here. */
#ifndef QN_RUNTIME_CLOCK_H
#define QN_RUNTIME_CLOCK_H

#include <stdint.h>

#define CLOCK_NS_PER_S 1000000000LL
#define CLOCK_NS_PER_MS 1000000LL
#define CLOCK_NS_PER_US 1000LL

/** Make the present instant experiment time 0. Call once, before any thread starts. */
void clock_start(void);

/** Return: nanoseconds of experiment time, monotonic; callable from any thread. */
int64_t clock_now(void);

/** Return: experiment time @ns as an absolute CLOCK_MONOTONIC time, for timerfd_settime(). */
int64_t clock_to_monotonic(int64_t ns);

/** Return: the absolute CLOCK_MONOTONIC time @ns as experiment time. */
int64_t clock_from_monotonic(int64_t ns);

/** Return: the wall-clock time (ns since the Unix epoch) of experiment time 0. */
int64_t clock_wall_at_start(void);

/** Return: the wall-clock time now, which the system may have set since: ns since the Unix epoch.
 */
int64_t clock_wall_now(void);

#endif
