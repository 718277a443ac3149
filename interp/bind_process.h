/* SPDX-License-Identifier: MIT */
/* Child processes of ours as Lua objects: other runs of this program. */
#ifndef QN_INTERP_BIND_PROCESS_H
#define QN_INTERP_BIND_PROCESS_H

#include <lua.h>

/** Add process() to the table on top of the stack. */
void process_bind(lua_State *L);

#endif
