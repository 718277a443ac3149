/* SPDX-License-Identifier: MIT */
/* core.input: waiting for the standard input. */
#ifndef QN_INTERP_BIND_INPUT_H
#define QN_INTERP_BIND_INPUT_H

#include <lua.h>

/** Add the function to the table on top of the stack. May raise. */
void input_bind(lua_State *L);

#endif
