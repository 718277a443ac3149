/* SPDX-License-Identifier: MIT */
#ifndef QN_INTERP_BIND_SYSTEM_H
#define QN_INTERP_BIND_SYSTEM_H

#include <lua.h>

/** Add time, images, records, progress and facts about the host to the table on top of the stack.
 * May raise. */
void system_bind(lua_State *L);

#endif
