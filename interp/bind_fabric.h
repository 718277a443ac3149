/* SPDX-License-Identifier: MIT */
/* The packet fabric in Lua: ports, switches, radios and stations; and what its other bindings
 * (bind_link, bind_traffic, bind_trigger) share. */
#ifndef QN_INTERP_BIND_FABRIC_H
#define QN_INTERP_BIND_FABRIC_H

#include "runtime/fabric/fabric.h"

#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

/** Add the functions to the table on top of the stack; see stdlib/network/link.lua. May raise. */
void fabric_bind(lua_State *L);

/** Return: the run's fabric, which starts with the first use. May raise. */
struct fabric *fabric_of(lua_State *L);

/** Return: @code when it is no error; else raises, saying @what. */
int fabric_check(lua_State *L, int code, const char *what);

/** Return: a number in a table, 0 when it is absent. May raise. */
double fabric_number(lua_State *L, int table, const char *name);

/** Return: a number in a table, 0 when it is absent. May raise, when it is not within 0 to @max
 * too.
 */
uint64_t fabric_count(lua_State *L, int table, const char *name, uint64_t max);

/** Return: whether a field of a table is true. */
bool fabric_flag(lua_State *L, int table, const char *name);

/** Return: a duration in a table, given in seconds, in nanoseconds. May raise. */
int64_t fabric_duration(lua_State *L, int table, const char *name);

/** Set a field of the table on top of the stack. */
void fabric_set_count(lua_State *L, const char *name, uint64_t value);

/** Set a field of the table on top of the stack to @ns in seconds. */
void fabric_set_seconds(lua_State *L, const char *name, double ns);

/** Push {count, mean, p50, p99, max, histogram={{below, count}, ...}}, in seconds; a quantile is
 * the upper end of its bucket. */
void fabric_push_lateness(lua_State *L, const struct fabric_lateness *l);

#endif
