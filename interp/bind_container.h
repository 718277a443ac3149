/* SPDX-License-Identifier: MIT */
/* Containers and their network stacks in Lua; see stdlib/nodes/host.lua. */
#ifndef QN_INTERP_BIND_CONTAINER_H
#define QN_INTERP_BIND_CONTAINER_H

#include <lua.h>

struct host;

/** Add the functions to the table on top of the stack. May raise. */
void container_bind(lua_State *L);

/** Give back what containers share. */
void container_unbind(struct host *host);

#endif
