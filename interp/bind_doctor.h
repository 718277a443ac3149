/* SPDX-License-Identifier: MIT */
/* What `qemunet doctor` asks of this host that Lua cannot. */
#ifndef QN_INTERP_BIND_DOCTOR_H
#define QN_INTERP_BIND_DOCTOR_H

#include <lua.h>

/** Add the functions to the table on top of the stack. */
void doctor_bind(lua_State *L);

#endif
