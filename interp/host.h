/* SPDX-License-Identifier: MIT */
/* What one qemunet process holds while it runs an experiment. */
#ifndef QN_INTERP_HOST_H
#define QN_INTERP_HOST_H

#include "interp/watchdog.h"
#include "runtime/netns.h"

#include <lua.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct fabric;
struct link_samples;
struct record;
struct progress;
struct strain;
struct lua_terminal;
struct timers;
struct scheduler;

struct host {
    uv_loop_t loop;
    lua_State *L;
    size_t lua_bytes, lua_bytes_max; /* what its values take, and may */
    struct timers *timers;
    struct scheduler *scheduler;
    struct progress *progress;
    struct netns netns;
    struct fabric *fabric;             /* NULL until the first link */
    struct link_samples *link_samples; /* NULL while there is no link */
    struct record *record;             /* NULL until the run's folder is made */
    struct strain *strain;             /* NULL while nothing is measured */
    uv_poll_t *packets;                /* NULL until a trigger is wanted */
    struct watchdog watchdog;
    uint64_t seed;
    int container_program;         /* 0: not made yet; see container_program() */
    int container_users;           /* 0: not made yet; see netns_make_users() */
    int machines;                  /* open ones, containers included */
    int watching;                  /* triggers that may fire, and servers */
    int reading;                   /* tasks that wait for the standard input */
    struct lua_terminal *terminal; /* NULL: nobody is to be asked for a line */
    bool output_lost;              /* standard output did not take what was printed */
    bool finished;
    int status; /* the process's exit status, once finished */
};

/** Return: the host that @L belongs to, any thread of it. */
struct host *host_of(lua_State *L);

/** Call the Lua function below @n_args arguments on the stack, from the loop: its error, which
 * would be one of ours, ends the run. Stack: pops function and arguments. Does not raise. */
void host_call(struct host *host, int n_args);

/** End the run with exit status @status and a message on standard error. */
void host_fail(struct host *host, int status, const char *message);

/** Return: whether the run was asked to end (SIGINT, SIGTERM or its time limit), for long calls. */
int host_interrupted(void);

#endif
