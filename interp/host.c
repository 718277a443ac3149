/* SPDX-License-Identifier: MIT */
#include "interp/host.h"

#include "interp/task.h"

#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

struct host *host_of(lua_State *L)
{
    struct host *host;
    memcpy(&host, lua_getextraspace(L), sizeof(host));
    return host;
}

void host_fail(struct host *host, int status, const char *message)
{
    fprintf(stderr, "qemunet: internal error: %s\n", message ? message : "?");
    host->status = status;
    host->finished = true;
}

static int add_traceback(lua_State *L)
{
    luaL_traceback(L, L, luaL_tolstring(L, 1, NULL), 1);
    return 1;
}

void host_call(struct host *host, int n_args)
{
    lua_State *L = host->L;
    int base = lua_gettop(L) - n_args;
    scheduler_activity(host);
    lua_pushcfunction(L, add_traceback);
    lua_insert(L, base);
    if (lua_pcall(L, n_args, 0, base) != LUA_OK) {
        host_fail(host, 3, lua_tostring(L, -1));
        lua_pop(L, 1);
    }
    lua_remove(L, base);
}
