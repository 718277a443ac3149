/* SPDX-License-Identifier: MIT */
/* The function that takes packets is in the registry under the address of `handler_key`. */
#include "interp/bind_trigger.h"

#include "interp/bind.h"
#include "interp/bind_fabric.h"
#include "interp/host.h"
#include "runtime/clock.h"
#include "runtime/fabric/fabric.h"

#include <errno.h>
#include <lauxlib.h>
#include <stdlib.h>

#define WHY_ROOM 256
#define EVENTS_A_TURN 256 /* then timers, commands and tasks have theirs */

static const char handler_key;

static void free_handle(uv_handle_t *handle)
{
    free(handle);
}

static void hand_over(struct host *host, const struct fabric_event *e)
{
    lua_State *L = host->L;
    lua_rawgetp(L, LUA_REGISTRYINDEX, &handler_key);
    lua_pushinteger(L, e->trigger);
    lua_pushinteger(L, e->dir);
    lua_pushnumber(L, (double)e->time / CLOCK_NS_PER_S);
    lua_pushlstring(L, (const char *)e->data, e->len);
    lua_pushinteger(L, (lua_Integer)e->held);
    lua_pushboolean(L, e->last);
    host_call(host, 6);
}

static void on_events(uv_poll_t *poll, int status, int what)
{
    struct host *host = poll->data;
    struct fabric_event *e;
    (void)status;
    (void)what;
    for (int i = 0; i < EVENTS_A_TURN && (e = fabric_event_take(host->fabric)); i++) {
        hand_over(host, e);
        free(e);
    }
}

static int listen_for_events(struct host *host, struct fabric *f)
{
    uv_poll_t *poll = malloc(sizeof(*poll));
    if (!poll)
        return -ENOMEM;
    int err = uv_poll_init(&host->loop, poll, fabric_event_fd(f));
    if (err) {
        free(poll);
        return err;
    }
    poll->data = host;
    host->packets = poll;
    return uv_poll_start(poll, UV_READABLE, on_events);
}

void trigger_unbind(struct host *host)
{
    if (host->packets)
        uv_close((uv_handle_t *)host->packets, free_handle);
    host->packets = NULL;
}

/* core.on_packets(fn): fn(trigger, direction, time in s, bytes, held or 0, whether it was the last)
 * is called for each packet that a trigger fires for */
static int on_packets(lua_State *L)
{
    struct host *host = host_of(L);
    luaL_checktype(L, 1, LUA_TFUNCTION);
    lua_settop(L, 1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &handler_key);
    if (!host->packets)
        fabric_check(L, listen_for_events(host, fabric_of(L)), "cannot listen for packets");
    return 0;
}

static bool flag_field(lua_State *L, const char *name)
{
    lua_getfield(L, 1, name);
    bool value = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return value;
}

/* core.trigger_add{link=, ab=, ba=, filter=, first=, count=, hold=, drop=} -> trigger; or nil and
 * what is wrong with the filter */
static int trigger_add(lua_State *L)
{
    char why[WHY_ROOM] = "";
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_getfield(L, 1, "filter");
    struct fabric_trigger_config c = {
        .link = (int)fabric_number(L, 1, "link"),
        .on = {flag_field(L, "ab"), flag_field(L, "ba")},
        .filter = luaL_checkstring(L, -1),
        .first = (uint64_t)fabric_number(L, 1, "first"),
        .count = (uint64_t)fabric_number(L, 1, "count"),
        .hold = flag_field(L, "hold"),
        .drop = flag_field(L, "drop"),
    };
    int id = fabric_trigger_add(fabric_of(L), &c, why, sizeof(why));
    if (id < 0 && *why) {
        lua_pushnil(L);
        lua_pushstring(L, why);
        return 2;
    }
    lua_pushinteger(L, fabric_check(L, id, "cannot add the trigger"));
    return 1;
}

/* core.trigger_remove(trigger) -> true; or nil and why */
static int trigger_remove(lua_State *L)
{
    return push_outcome(L, fabric_trigger_remove(fabric_of(L), (int)luaL_checkinteger(L, 1)));
}

/* core.verdict(held, drop, delay in s, bytes instead or nil) -> true; or nil and why */
static int verdict(lua_State *L)
{
    size_t n = 0;
    const char *data = luaL_optlstring(L, 4, NULL, &n);
    struct fabric_verdict v = {
        .held = (uint64_t)luaL_checkinteger(L, 1),
        .drop = lua_toboolean(L, 2),
        .delay_ns = (int64_t)(luaL_optnumber(L, 3, 0) * CLOCK_NS_PER_S),
        .data = (const uint8_t *)data,
        .len = (uint32_t)n,
    };
    return push_outcome(L, fabric_verdict(fabric_of(L), &v));
}

/* core.watching_packets(n): how many triggers may still fire, for which a run that has nothing else
 * to do waits */
static int watching_packets(lua_State *L)
{
    host_of(L)->watching = (int)luaL_checkinteger(L, 1);
    return 0;
}

void trigger_bind(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"on_packets", on_packets},
        {"trigger_add", trigger_add},
        {"trigger_remove", trigger_remove},
        {"verdict", verdict},
        {"watching_packets", watching_packets},
        {NULL, NULL},
    };
    luaL_setfuncs(L, functions, 0);
}
