/* SPDX-License-Identifier: MIT */
#ifndef QN_INTERP_BIND_TERMINAL_H
#define QN_INTERP_BIND_TERMINAL_H

#include <lua.h>
#include <stdbool.h>

struct host;

/** Add the functions of the prompt to the table on top of the stack; see
 * stdlib/repl/terminal.lua. May raise. */
void terminal_bind(lua_State *L);

/** Return: whether a line is asked for, which terminal_serve() is to read. */
bool terminal_wanted(const struct host *host);

/** Read that line, calling @turn for each turn of the loop until it is there, and tell the library
 * what it is. */
void terminal_serve(struct host *host, void (*turn)(struct host *host));

/** Return: whether the person can still do something, when nothing else will happen. */
bool terminal_attended(const struct host *host);

/** The person pressed Ctrl-C: end the edit of the line. Return: whether there was one. */
bool terminal_interrupted(struct host *host);

/** Close it, when nothing is told any more. */
void terminal_unbind(struct host *host);

#endif
