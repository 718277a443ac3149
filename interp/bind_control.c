/* SPDX-License-Identifier: MIT */
/* The socket's user value 1 is the function that takes what its visitors send. It stays in the
 * registry, under its address, until it is closed. */
#include "interp/bind_control.h"

#include "interp/bind.h"
#include "interp/bind_stream.h"
#include "interp/host.h"
#include "runtime/control.h"

#include <errno.h>
#include <lauxlib.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#define CONTROL "qemunet.control"

struct lua_control {
    struct host *host;
    struct control *control; /* NULL: closed */
};

/* core.control_folder() -> the folder of the sockets of this user's runs; see control_folder() */
static int folder(lua_State *L)
{
    char *path = control_folder();
    lua_pushstring(L, path);
    free(path);
    return 1;
}

/* core.control_check(folder) -> true; nil, why, and whether it is only not there */
static int check(lua_State *L)
{
    int err = control_check(luaL_checkstring(L, 1));
    int n = push_outcome(L, err);
    lua_pushboolean(L, err == -ENOENT);
    return n + 1;
}

static void on_connected(void *arg, int fd)
{
    struct lua_control *self = arg;
    lua_State *L = self->host->L;
    int top = lua_gettop(L);
    lua_rawgetp(L, LUA_REGISTRYINDEX, self);
    lua_getiuservalue(L, -1, 1);
    if (stream_push_session(L, top + 2, fd) == 1) {
        lua_pushliteral(L, "");
        host_call(self->host, 2);
    }
    lua_settop(L, top);
}

/* core.control_open(folder, fn(stream, data)) -> socket, whose visitors' data goes to fn: "" when
 * one has come, nil when it has gone; or nil and why */
static int open_control(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    luaL_checktype(L, 2, LUA_TFUNCTION);
    struct lua_control *self = lua_newuserdatauv(L, sizeof(*self), 1);
    *self = (struct lua_control){.host = host_of(L)};
    luaL_setmetatable(L, CONTROL);
    lua_pushvalue(L, 2);
    lua_setiuservalue(L, -2, 1);
    int err = control_open(&self->control, &self->host->loop, path, on_connected, self);
    if (err)
        return push_outcome(L, err);
    bind_anchor(L, -1, self);
    return 1;
}

/* socket:close(); idempotent */
static int close_method(lua_State *L)
{
    struct lua_control *self = luaL_checkudata(L, 1, CONTROL);
    control_close(self->control);
    self->control = NULL;
    bind_unanchor(L, self);
    return 0;
}

/* core.control_connect(path, fn(stream, data)) -> stream to the run whose socket that is; nil, why,
 * and whether the run is gone */
static int connect_control(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    luaL_checktype(L, 2, LUA_TFUNCTION);
    int fd = control_connect(path), n = stream_push_session(L, 2, fd);
    if (n == 1)
        return 1;
    lua_pushboolean(L, fd == -ECONNREFUSED);
    return n + 1;
}

/* core.process_id() -> our number */
static int process_id(lua_State *L)
{
    lua_pushinteger(L, getpid());
    return 1;
}

/* core.is_process(number) -> whether there is such a process */
static int is_process(lua_State *L)
{
    lua_pushboolean(L, kill((pid_t)luaL_checkinteger(L, 1), 0) == 0 || errno != ESRCH);
    return 1;
}

void control_bind(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"control_folder", folder},
        {"control_check", check},
        {"control_open", open_control},
        {"control_connect", connect_control},
        {"process_id", process_id},
        {"is_process", is_process},
        {NULL, NULL},
    };
    static const luaL_Reg methods[] = {{"close", close_method}, {NULL, NULL}};
    bind_type(L, CONTROL, methods, close_method);
    luaL_setfuncs(L, functions, 0);
}
