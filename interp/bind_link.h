/* SPDX-License-Identifier: MIT */
#ifndef QN_INTERP_BIND_LINK_H
#define QN_INTERP_BIND_LINK_H

#include <lua.h>

/** Add the functions of links to the table on top of the stack; see stdlib/network/link.lua. May
 * raise. */
void link_bind(lua_State *L);

#endif
