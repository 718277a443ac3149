/* SPDX-License-Identifier: MIT */
/* core.control_*: the socket at which a run can be asked, and the asking. */
#ifndef QN_INTERP_BIND_CONTROL_H
#define QN_INTERP_BIND_CONTROL_H

#include <lua.h>

/** Add the functions to the table on top of the stack; see stdlib/live/control.lua. May raise. */
void control_bind(lua_State *L);

#endif
