/* SPDX-License-Identifier: MIT */
/* Where in a script: its frames on a coroutine's stack, those of our library left out. */
#ifndef QN_INTERP_PLACE_H
#define QN_INTERP_PLACE_H

#include <lua.h>
#include <stddef.h>

/** Write the innermost line of the script on the stack of @L, "FILE:LINE", to @text, of size @n;
 * where there is none, the library's; "a task", if there is no line at all. */
void place_text(lua_State *L, char *text, size_t n);

/** Add core.place() to the table on top of the stack. */
void place_bind(lua_State *L);

#endif
