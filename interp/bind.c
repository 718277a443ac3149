/* SPDX-License-Identifier: MIT */
#include "interp/bind.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

void bind_type(lua_State *L, const char *name, const luaL_Reg *methods, lua_CFunction gc)
{
    luaL_newmetatable(L, name);
    lua_newtable(L);
    luaL_setfuncs(L, methods, 0);
    lua_setfield(L, -2, "__index");
    if (gc) {
        lua_pushcfunction(L, gc);
        lua_setfield(L, -2, "__gc");
    }
    lua_pop(L, 1);
}

int push_problem(lua_State *L, int err, char *why)
{
    lua_pushnil(L);
    lua_pushstring(L, why && *why ? why : strerror(-err));
    free(why);
    return 2;
}

const char *text_field(lua_State *L, const char *name)
{
    lua_getfield(L, 1, name);
    return luaL_optstring(L, -1, NULL); /* kept alive by its place in the table */
}

const struct arch *check_arch(lua_State *L, int arg)
{
    const char *name = luaL_optstring(L, arg, NULL);
    const struct arch *arch = name ? arch_find(name) : arch_default();
    luaL_argcheck(L, arch, arg, "unknown architecture");
    return arch;
}

int push_outcome(lua_State *L, int err)
{
    if (!err) {
        lua_pushboolean(L, true);
        return 1;
    }
    lua_pushnil(L);
    lua_pushstring(L, strerror(-err));
    return 2;
}

void bind_anchor(lua_State *L, int index, const void *key)
{
    lua_pushvalue(L, index);
    lua_rawsetp(L, LUA_REGISTRYINDEX, key);
}

void bind_unanchor(lua_State *L, const void *key)
{
    lua_pushnil(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, key);
}

bool bind_push_callback(lua_State *L, const void *key, const char *name)
{
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, key) == LUA_TUSERDATA) {
        lua_getiuservalue(L, -1, 1);
        lua_getfield(L, -1, name);
        lua_replace(L, -3);
        lua_pop(L, 1);
    }
    if (lua_isfunction(L, -1))
        return true;
    lua_pop(L, 1);
    return false;
}
