/* SPDX-License-Identifier: MIT */
/* Tasks and futures: the only code that resumes or yields a Lua coroutine of ours.
 *
 * A task is a coroutine that the loop resumes. It waits on futures, each set once, by Lua or by an
 * event of the loop. All functions below push or pop as they say; none yields but core.wait. */
#ifndef QN_INTERP_TASK_H
#define QN_INTERP_TASK_H

#include <lua.h>
#include <stdbool.h>

struct host;
struct scheduler;
struct task;

/** Return: 0 or negative errno. */
int scheduler_open(struct host *host);
void scheduler_close(struct host *host);

/** Add future(), wait(), spawn() and what else tasks need to the table on top of the stack. May
 * raise. */
void task_bind(lua_State *L);

/** Run every task that can go on, once. Return: whether some still can. */
bool scheduler_run(struct host *host);

/** Return: whether every task waits, and for no timer. */
bool scheduler_stalled(const struct host *host);

/** Stop what runs, as by a signal: raises CANCEL in every task but the first, which sees to the
 * end. */
void scheduler_cancel_all(struct host *host);

/** Cancel the task that the person waits for, if there is one. */
void scheduler_cancel_foreground(struct host *host);

/** Return: whether the running task is that one. */
bool scheduler_in_foreground(const struct host *host);

/** Return: the coroutine that runs now, or NULL. For the signal handler. */
lua_State *scheduler_running(const struct host *host);

/** Something happened that a script may look for: core.activity() is told. */
void scheduler_activity(struct host *host);

/** Push the value that cancellation raises. */
void task_push_cancel(lua_State *L);

#endif
