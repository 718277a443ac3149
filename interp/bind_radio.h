/* SPDX-License-Identifier: MIT */
/* Bindings: radio media and the places of their members. */
#ifndef QN_INTERP_BIND_RADIO_H
#define QN_INTERP_BIND_RADIO_H

#include <lua.h>

/** Set the functions in the table at the top of the stack. */
void radio_bind(lua_State *L);

#endif
