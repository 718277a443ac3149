/* SPDX-License-Identifier: MIT */
/* The functions that take packets and storms are in the registry, each under the address of its
 * key. */
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

/* Events that are handed over before other things have their turn. */
#define EVENTS_BATCH 256

static const char packet_key, storm_key;

static void free_handle(uv_handle_t *handle)
{
    free(handle);
}

static void hand_over_storm(struct host *host, const struct fabric_event *e)
{
    lua_State *L = host->L;
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &storm_key) != LUA_TFUNCTION) {
        lua_pop(L, 1);
        return;
    }
    lua_pushinteger(L, e->sw);
    lua_pushnumber(L, (double)e->time / CLOCK_NS_PER_S);
    host_call(host, 2);
}

static void hand_over_packet(struct host *host, const struct fabric_event *e)
{
    lua_State *L = host->L;
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &packet_key) != LUA_TFUNCTION) {
        lua_pop(L, 1);
        return;
    }
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
    (void)status;
    (void)what;
    for (int i = 0; i < EVENTS_BATCH; i++) {
        struct fabric_event *e = fabric_event_take(host->fabric);
        if (!e)
            break;
        if (e->kind == FABRIC_EVENT_STORM)
            hand_over_storm(host, e);
        else
            hand_over_packet(host, e);
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

static int set_handler(lua_State *L, const char *key)
{
    struct host *host = host_of(L);
    luaL_checktype(L, 1, LUA_TFUNCTION);
    lua_settop(L, 1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, key);
    if (!host->packets)
        fabric_check(L, listen_for_events(host, fabric_of(L)), "cannot listen for packets");
    return 0;
}

/* core.on_packets(fn): fn(trigger, direction, time in s, bytes, held or 0, whether it was the last)
 * is called for each packet that a trigger fires for */
static int on_packets(lua_State *L)
{
    return set_handler(L, &packet_key);
}

/* core.on_storms(fn): fn(switch, time in s) is called when a switch sees the first storm */
static int on_storms(lua_State *L)
{
    return set_handler(L, &storm_key);
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
        .on = {fabric_flag(L, 1, "ab"), fabric_flag(L, 1, "ba")},
        .filter = luaL_checkstring(L, -1),
        .first = fabric_count(L, 1, "first", INT64_MAX),
        .count = fabric_count(L, 1, "count", INT64_MAX),
        .hold = fabric_flag(L, 1, "hold"),
        .drop = fabric_flag(L, 1, "drop"),
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
        {"on_storms", on_storms},
        {"trigger_add", trigger_add},
        {"trigger_remove", trigger_remove},
        {"verdict", verdict},
        {"watching_packets", watching_packets},
        {NULL, NULL},
    };
    luaL_setfuncs(L, functions, 0);
    lua_pushinteger(L, FABRIC_STORM_FLOODS);
    lua_setfield(L, -2, "STORM_FLOODS");
}
