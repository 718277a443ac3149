/* SPDX-License-Identifier: MIT */
#include "interp/chunk.h"

#include "interp/host.h"
#include "interp/library.h"

#include <errno.h>
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>

/* The function is at the bottom of the stack. */
struct chunk {
    struct host host;
};

static int report(lua_State *L)
{
    fprintf(stderr, "chunk: %s\n", luaL_tolstring(L, -1, NULL));
    lua_pop(L, 2);
    return -EINVAL;
}

static int with_traceback(lua_State *L)
{
    luaL_traceback(L, L, luaL_tolstring(L, 1, NULL), 1);
    return 1;
}

int chunk_open(struct chunk **out, const char *source)
{
    struct chunk *chunk = calloc(1, sizeof(*chunk));
    if (!chunk)
        return -ENOMEM;
    int err = library_open(&chunk->host);
    if (!err && (luaL_loadstring(chunk->host.L, source) || lua_pcall(chunk->host.L, 0, 1, 0)))
        err = report(chunk->host.L);
    if (err) {
        chunk_close(chunk);
        return err;
    }
    *out = chunk;
    return 0;
}

static int call(lua_State *L)
{
    lua_pushlstring(L, lua_touserdata(L, 2), (size_t)lua_tointeger(L, 3));
    lua_replace(L, 2);
    lua_settop(L, 2);
    lua_call(L, 1, 0);
    return 0;
}

int chunk_call(struct chunk *chunk, const void *data, size_t n)
{
    lua_State *L = chunk->host.L;
    lua_settop(L, 1);
    lua_pushcfunction(L, with_traceback);
    lua_pushcfunction(L, call);
    lua_pushvalue(L, 1);
    lua_pushlightuserdata(L, (void *)data);
    lua_pushinteger(L, (lua_Integer)n);
    return lua_pcall(L, 3, 0, 2) == LUA_OK ? 0 : report(L);
}

void chunk_close(struct chunk *chunk)
{
    if (chunk->host.L)
        lua_close(chunk->host.L);
    free(chunk);
}
