/* SPDX-License-Identifier: MIT */
/* What the bindings share: types of objects, and the two ways in which a call comes out. */
#ifndef QN_INTERP_BIND_H
#define QN_INTERP_BIND_H

#include "vmctl/arch.h"

#include <lauxlib.h>
#include <stdbool.h>

/** Make the metatable @name with @methods, found by their names in its objects. @gc: called when
 * one is collected, or NULL. Leaves the stack as it was. */
void bind_type(lua_State *L, const char *name, const luaL_Reg *methods, lua_CFunction gc);

/** Push true, or for a negative errno @err nil and why. Return: the number of values. */
int push_outcome(lua_State *L, int err);

/** Push nil and @why, which is freed, or if that is NULL or empty, the text of the negative errno
 * @err. Return: the number of values. */
int push_problem(lua_State *L, int err, char *why);

/** Return: the text of a field of the table at 1, which stays on the stack; NULL if absent. Raises.
 */
const char *text_field(lua_State *L, const char *name);

/** Return: the architecture that the argument names; the default if it is absent. Raises. */
const struct arch *check_arch(lua_State *L, int arg);

/** Keep the object at @index in the registry under @key, its address; let go of it. */
void bind_anchor(lua_State *L, int index, const void *key);
void bind_unanchor(lua_State *L, const void *key);

/** Push field @name of user value 1 of the object anchored under @key. Return: whether it is a
 * function there; if not, nothing is pushed. */
bool bind_push_callback(lua_State *L, const void *key, const char *name);

#endif
