/* SPDX-License-Identifier: MIT */
/* The watch's user value 1 is the function that it calls. It stays in the registry, under its
 * address, until it is closed. */
#include "interp/bind_input.h"

#include "interp/bind.h"
#include "interp/host.h"
#include "runtime/input_watch.h"

#include <lauxlib.h>
#include <poll.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define INPUT "qemunet.input"

struct lua_input {
    struct host *host;
    struct input_watch watch;
};

static void on_ready(uv_poll_t *poll, int status, int events)
{
    struct lua_input *self = poll->data;
    lua_State *L = self->host->L;
    (void)status;
    (void)events;
    uv_poll_stop(poll);
    lua_rawgetp(L, LUA_REGISTRYINDEX, self);
    lua_getiuservalue(L, -1, 1);
    lua_remove(L, -2);
    host_call(self->host, 0);
}

static bool is_ready(void)
{
    struct pollfd fd = {.fd = STDIN_FILENO, .events = POLLIN};
    return poll(&fd, 1, 0) > 0;
}

/* core.input(fn()) -> watch, which calls fn once, when the standard input has something to read, or
 * its end; while it is open the run is no deadlock. Or nil: reading does not wait */
static int open_input(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    if (is_ready())
        return 0;
    struct lua_input *self = lua_newuserdatauv(L, sizeof(*self), 1);
    *self = (struct lua_input){.host = host_of(L)};
    luaL_setmetatable(L, INPUT);
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, -2, 1);
    int err = input_watch_open(&self->watch, &self->host->loop, self);
    if (err)
        return push_outcome(L, err);
    self->host->reading++;
    err = uv_poll_start(self->watch.poll, UV_READABLE, on_ready);
    if (err)
        return push_outcome(L, err);
    bind_anchor(L, -1, self);
    return 1;
}

/* watch:close(); idempotent */
static int close_method(lua_State *L)
{
    struct lua_input *self = luaL_checkudata(L, 1, INPUT);
    if (!self->watch.poll)
        return 0;
    self->host->reading--;
    input_watch_close(&self->watch);
    bind_unanchor(L, self);
    return 0;
}

/* What was read ahead would not show that it is there. A file is never waited for. */
static void read_no_further(void)
{
    struct stat status;
    if (fstat(STDIN_FILENO, &status) == 0 && !S_ISREG(status.st_mode))
        setvbuf(stdin, NULL, _IONBF, 0);
}

void input_bind(lua_State *L)
{
    static const luaL_Reg functions[] = {{"input", open_input}, {NULL, NULL}};
    static const luaL_Reg methods[] = {{"close", close_method}, {NULL, NULL}};
    read_no_further();
    bind_type(L, INPUT, methods, close_method);
    luaL_setfuncs(L, functions, 0);
}
