/* SPDX-License-Identifier: MIT */
#ifndef QN_INTERP_BIND_MACHINE_H
#define QN_INTERP_BIND_MACHINE_H

#include <lua.h>

/** Add machine(config) to the table on top of the stack; see stdlib/nodes/vm.lua for its use. May
 * raise.
 */
void machine_bind(lua_State *L);

#endif
