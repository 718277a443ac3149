/* SPDX-License-Identifier: MIT */
/* Notices a script that computes for long without waiting: meanwhile no other task runs, and no
 * timer or callback is served. Packets and machines go on: they have threads and processes of their
 * own. */
#ifndef QN_INTERP_WATCHDOG_H
#define QN_INTERP_WATCHDOG_H

#include <lua.h>
#include <stdint.h>

struct host;

struct watchdog {
    int64_t since; /* experiment time at which the running task was resumed, ns */
    int64_t tell;  /* it is told of after so much, ns; doubled each time */
};

/** A task is resumed. */
void watchdog_begin(struct watchdog *watchdog);

/** Look, from the count hook of the coroutine @L that runs, whether it is long; says so, with the
 * script's line. */
void watchdog_look(struct host *host, lua_State *L);

/** The task of the coroutine @co waits or has ended. */
void watchdog_end(struct host *host, lua_State *co);

/** What the running task did until now is work that was announced otherwise, such as the building
 * of an image. */
void watchdog_excuse(struct watchdog *watchdog);

#endif
