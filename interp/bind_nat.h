/* SPDX-License-Identifier: MIT */
#ifndef QN_INTERP_BIND_NAT_H
#define QN_INTERP_BIND_NAT_H

#include <lua.h>

/** Add nat_start() to the table on top of the stack; see stdlib/network/nat.lua for its use. May
 * raise. */
void nat_bind(lua_State *L);

#endif
