/* SPDX-License-Identifier: MIT */
#ifndef QN_INTERP_BIND_TRIGGER_H
#define QN_INTERP_BIND_TRIGGER_H

#include <lua.h>

/** Add the functions of packet triggers to the table on top of the stack; see
 * stdlib/network/trigger.lua. May raise. */
void trigger_bind(lua_State *L);

struct host;

/** Stop listening for packets, before the fabric ends. */
void trigger_unbind(struct host *host);

#endif
