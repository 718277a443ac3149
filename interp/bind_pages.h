/* SPDX-License-Identifier: MIT */
/* core.pages: pages for a browser on this machine. */
#ifndef QN_INTERP_BIND_PAGES_H
#define QN_INTERP_BIND_PAGES_H

#include <lua.h>

/** Add the function to the table on top of the stack. May raise. */
void pages_bind(lua_State *L);

#endif
