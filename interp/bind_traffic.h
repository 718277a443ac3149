/* SPDX-License-Identifier: MIT */
#ifndef QN_INTERP_BIND_TRAFFIC_H
#define QN_INTERP_BIND_TRAFFIC_H

#include <lua.h>

/** Add the functions of flows and captures to the table on top of the stack; see
 * stdlib/traffic/source.lua. May raise. */
void traffic_bind(lua_State *L);

#endif
