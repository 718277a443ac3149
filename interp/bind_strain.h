/* SPDX-License-Identifier: MIT */
/* Bindings: whether this machine keeps up (runtime/strain.h). */
#ifndef QN_INTERP_BIND_STRAIN_H
#define QN_INTERP_BIND_STRAIN_H

#include <lua.h>

/** Set the functions in the table at the top of the stack. */
void strain_bind(lua_State *L);

#endif
