/* SPDX-License-Identifier: MIT */
#ifndef QN_INTERP_BIND_EXPECT_H
#define QN_INTERP_BIND_EXPECT_H

#include <lua.h>

/** Add regex(pattern, stream) and expect() to the table on top of the stack; see stdlib/re.lua and
 * stdlib/nodes/console.lua for their use. May raise. */
void expect_bind(lua_State *L);

#endif
