/* SPDX-License-Identifier: MIT */
/* XML for Lua, by expat: an element at a time, with the lines of the file. Nothing is fetched, and
 * no entity is expanded but the five that XML itself has, so that a small file stays small. */
#ifndef QN_INTERP_BIND_XML_H
#define QN_INTERP_BIND_XML_H

#include <lua.h>

/** Add xml_parse() to the table on top of the stack. May raise. */
void xml_bind(lua_State *L);

#endif
