/* SPDX-License-Identifier: MIT */
/* How a run is stopped from outside: SIGINT, SIGTERM, its time limit; and when nothing can happen
 * any more. Works against a script that computes without end, too. A second SIGINT or SIGTERM ends
 * the process at once; the kernel then ends its children. */
#ifndef QN_INTERP_STOP_H
#define QN_INTERP_STOP_H

#include <lua.h>
#include <stdbool.h>

struct host;

/** Install the handlers and watch for them on the host's loop. Return: 0 or negative errno. */
int stop_open(struct host *host);
void stop_close(struct host *host);

/** Make @L, and every coroutine made from it, look for a stop now and then. */
void stop_hook(lua_State *L);

/** Whether a SIGINT from now on interrupts the edited line or the foreground's task, and not the
 * run: there is a prompt to go back to. */
void stop_calls_only(bool only);

/** Ask for a stop after @seconds of wall-clock time. */
void stop_after(double seconds);

/** Ask for a stop because every task waits for what cannot come. */
void stop_deadlock(struct host *host);

/** Ask for a stop because the script wants to end. */
void stop_exit(struct host *host);

/** From now on, what a stop cancels has @tidy seconds to tidy up; then it is cancelled again, every
 * second, and after @more seconds the process ends at once, with the exit status of the stop.
 * @alone: nobody watches it, and a second signal changes nothing. Without this a stop takes as long
 * as it takes. */
void stop_within(unsigned tidy, unsigned more, bool alone);

/** The script has ended, and its run is wound up: that has a minute, should it be stopped or have
 * been. */
void stop_wind_up(void);

/** Return: whether a signal has come that the loop is to look at. */
bool stop_is_near(void);

/** Return: why a stop was asked for, or NULL. */
const char *stop_reason(void);

#endif
