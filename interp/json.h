/* SPDX-License-Identifier: MIT */
/* Lua values to JSON and back, by jansson. */
#ifndef QN_INTERP_JSON_H
#define QN_INTERP_JSON_H

#include <jansson.h>
#include <lua.h>

/** Convert the value at @index. A table is an array when its keys are 1..n, n > 0 (or its metatable
 * says __jsontype = "array"), else an object; bytes that are not UTF-8 become U+FFFD; NaN and
 * infinities become null. Stack: unchanged. Does not raise.
 * Return: a new reference, or NULL with *why set to a static message. */
json_t *json_from_lua(lua_State *L, int index, const char **why);

/** Push @value. Stack: +1. May raise (memory). null becomes nil. */
void json_to_lua(lua_State *L, json_t *value);

/** Add json_encode(value, pretty) and json_decode(text) to the table on top of the stack. */
void json_bind(lua_State *L);

#endif
