/* SPDX-License-Identifier: MIT */
/* core.stat, core.chmod, core.sum: what Lua lacks for files that go to a guest and back. */
#ifndef QN_INTERP_BIND_FILES_H
#define QN_INTERP_BIND_FILES_H

#include <lua.h>

/** Add the functions to the table on top of the stack. */
void files_bind(lua_State *L);

#endif
