/* SPDX-License-Identifier: MIT */
#ifndef QN_INTERP_BIND_FABRIC_H
#define QN_INTERP_BIND_FABRIC_H

#include <lua.h>

/** Add the fabric's functions to the table on top of the stack; see stdlib/link.lua. May raise. */
void fabric_bind(lua_State *L);

#endif
