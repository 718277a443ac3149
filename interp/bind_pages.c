/* SPDX-License-Identifier: MIT */
/* The server's user value 1 is the function that gives its pages. It stays in the registry, under
 * its address, until it is closed. */
#include "interp/bind_pages.h"

#include "interp/bind.h"
#include "interp/host.h"
#include "runtime/pages.h"

#include <lauxlib.h>

#define PAGES "qemunet.pages"

struct lua_pages {
    struct host *host;
    struct pages *pages; /* NULL: closed */
};

static void on_get(void *arg, struct pages_request *request, const char *path)
{
    struct lua_pages *self = arg;
    lua_State *L = self->host->L;
    int top = lua_gettop(L);
    lua_rawgetp(L, LUA_REGISTRYINDEX, self);
    lua_getiuservalue(L, -1, 1);
    lua_pushstring(L, path);
    if (lua_pcall(L, 1, 3, 0) != LUA_OK) {
        host_fail(self->host, 3, lua_tostring(L, -1));
    } else if (lua_type(L, -3) == LUA_TSTRING) {
        struct page page = {.type = luaL_optstring(L, -2, "text/plain"),
                            .policy = luaL_optstring(L, -1, "default-src 'none'")};
        page.body = lua_tolstring(L, -3, &page.size);
        pages_answer(request, &page);
    }
    lua_settop(L, top);
}

static struct lua_pages *check_pages(lua_State *L)
{
    return luaL_checkudata(L, 1, PAGES);
}

/* core.pages(fn(path)) -> server, whose pages are what fn gives: their body, type and policy; or
 * nil, where there is none. While it is open the run is no deadlock. Or nil and why */
static int open_pages(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    struct lua_pages *self = lua_newuserdatauv(L, sizeof(*self), 1);
    *self = (struct lua_pages){.host = host_of(L)};
    luaL_setmetatable(L, PAGES);
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, -2, 1);
    int err = pages_open(&self->pages, &self->host->loop, on_get, self);
    if (err)
        return push_outcome(L, err);
    self->host->watching++;
    bind_anchor(L, -1, self);
    return 1;
}

/* server:address() -> "http://127.0.0.1:PORT/TOKEN/" */
static int address_method(lua_State *L)
{
    const struct lua_pages *self = check_pages(L);
    lua_pushstring(L, self->pages ? pages_address(self->pages) : NULL);
    return 1;
}

/* server:close(); idempotent */
static int close_method(lua_State *L)
{
    struct lua_pages *self = check_pages(L);
    if (self->pages)
        self->host->watching--;
    pages_close(self->pages);
    self->pages = NULL;
    bind_unanchor(L, self);
    return 0;
}

void pages_bind(lua_State *L)
{
    static const luaL_Reg functions[] = {{"pages", open_pages}, {NULL, NULL}};
    static const luaL_Reg methods[] = {
        {"address", address_method}, {"close", close_method}, {NULL, NULL}};
    bind_type(L, PAGES, methods, close_method);
    luaL_setfuncs(L, functions, 0);
}
