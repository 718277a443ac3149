/* SPDX-License-Identifier: MIT */
#include "interp/bind_traffic.h"

#include "interp/bind_fabric.h"
#include "runtime/clock.h"
#include "runtime/fabric/fabric.h"

#include <errno.h>
#include <lauxlib.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

static int check_id(lua_State *L)
{
    return (int)luaL_checkinteger(L, 1);
}

static enum fabric_pattern pattern_field(lua_State *L, int table)
{
    static const char *const patterns[] = {"cbr", "poisson", "onoff", "video", NULL};
    lua_getfield(L, table, "pattern");
    int choice = luaL_checkoption(L, -1, NULL, patterns);
    lua_pop(L, 1);
    return (enum fabric_pattern)choice;
}

static void read_header(lua_State *L, int table, struct fabric_flow_config *c)
{
    size_t n;
    lua_getfield(L, table, "header");
    const char *header = luaL_checklstring(L, -1, &n);
    if (n != sizeof(c->header))
        luaL_error(L, "flow: a header has %d bytes", (int)sizeof(c->header));
    memcpy(c->header, header, n);
    lua_pop(L, 1);
}

/* The flows of the list at @arg; their number goes to *@n. The array is left on the stack. */
static int *push_ids(lua_State *L, int arg, size_t *n)
{
    luaL_checktype(L, arg, LUA_TTABLE);
    *n = lua_rawlen(L, arg);
    int *ids = lua_newuserdatauv(L, (*n + 1) * sizeof(*ids), 0);
    for (size_t i = 0; i < *n; i++) {
        lua_rawgeti(L, arg, (lua_Integer)i + 1);
        ids[i] = (int)luaL_checkinteger(L, -1);
        lua_pop(L, 1);
    }
    return ids;
}

static void push_list(lua_State *L, const int *ids, size_t n)
{
    lua_createtable(L, (int)n, 0);
    for (size_t i = 0; i < n; i++) {
        lua_pushinteger(L, ids[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
}

/* core.flow_add({from=link, from_dir=, to=link or -1, to_dir=, deliver=, header=bytes, rtp=,
 * rtp_type=, rtp_step=, pattern=, rate=bit/s, size=, on=s, off=s, fps=, key_interval=, key_ratio=,
 * count=, playout=s}, n=1) -> {flow, ...}, so many alike */
static int flow_add(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    struct fabric_flow_config c = {
        .from_link = (int)fabric_number(L, 1, "from"),
        .from_dir = (int)fabric_number(L, 1, "from_dir"),
        .to_link = (int)fabric_number(L, 1, "to"),
        .to_dir = (int)fabric_number(L, 1, "to_dir"),
        .deliver = fabric_flag(L, 1, "deliver"),
        .rtp = fabric_flag(L, 1, "rtp"),
        .rtp_type = (uint8_t)fabric_count(L, 1, "rtp_type", UINT8_MAX),
        .rtp_step = (uint32_t)fabric_count(L, 1, "rtp_step", UINT32_MAX),
        .pattern = pattern_field(L, 1),
        .rate_bps = fabric_count(L, 1, "rate", LINK_RATE_MAX_BPS),
        .size = (uint32_t)fabric_count(L, 1, "size", FABRIC_FLOW_MAX),
        .on_ns = fabric_duration(L, 1, "on"),
        .off_ns = fabric_duration(L, 1, "off"),
        .fps = fabric_number(L, 1, "fps"),
        .key_interval = (uint32_t)fabric_count(L, 1, "key_interval", UINT32_MAX),
        .key_ratio = fabric_number(L, 1, "key_ratio"),
        .count = fabric_count(L, 1, "count", INT64_MAX),
        .playout_ns = fabric_duration(L, 1, "playout"),
    };
    lua_Integer n = luaL_optinteger(L, 2, 1);
    luaL_argcheck(L, n >= 1 && n <= INT_MAX, 2, "how many?");
    read_header(L, 1, &c);
    int *ids = lua_newuserdatauv(L, (size_t)n * sizeof(*ids), 0);
    fabric_check(L, fabric_flow_add(fabric_of(L), &c, ids, (size_t)n), "cannot make a flow");
    push_list(L, ids, (size_t)n);
    return 1;
}

/* core.flow_run({flow, ...}, on) */
static int flow_run(lua_State *L)
{
    size_t n;
    const int *ids = push_ids(L, 1, &n);
    int err = fabric_flow_run(fabric_of(L), ids, n, lua_toboolean(L, 2));
    fabric_check(L, err, "cannot start or stop the flow");
    return 0;
}

/* core.flow_remove({flow, ...}) */
static int flow_remove(lua_State *L)
{
    size_t n;
    const int *ids = push_ids(L, 1, &n);
    fabric_check(L, fabric_flow_remove(fabric_of(L), ids, n), "cannot remove the flow");
    return 0;
}

static void push_delays(lua_State *L, const struct fabric_flow_stats *s)
{
    lua_createtable(L, 0, 6);
    fabric_set_seconds(L, "min", (double)s->delay_min_ns);
    fabric_set_seconds(L, "mean", (double)s->delay_mean_ns);
    fabric_set_seconds(L, "p50", (double)s->delay_p50_ns);
    fabric_set_seconds(L, "p95", (double)s->delay_p95_ns);
    fabric_set_seconds(L, "p99", (double)s->delay_p99_ns);
    fabric_set_seconds(L, "max", (double)s->delay_max_ns);
}

/* core.flow_stats{flow, ...} -> of all together {sent, sent_bytes, received, received_bytes,
 * in_flight, duplicates, reordered, late, missed, bursts, rate, delay={min, mean, p50, p95, p99,
 * max}, jitter, played, stalled, running} */
static int flow_stats(lua_State *L)
{
    struct fabric_flow_stats s;
    size_t n;
    const int *ids = push_ids(L, 1, &n);
    fabric_check(L, fabric_flow_stats(fabric_of(L), ids, n, &s), "cannot read the flows");
    lua_createtable(L, 0, 15);
    fabric_set_count(L, "sent", s.sent);
    fabric_set_count(L, "sent_bytes", s.sent_bytes);
    fabric_set_count(L, "received", s.received);
    fabric_set_count(L, "received_bytes", s.received_bytes);
    fabric_set_count(L, "duplicates", s.duplicates);
    fabric_set_count(L, "reordered", s.reordered);
    fabric_set_count(L, "in_flight", s.in_flight);
    fabric_set_count(L, "late", s.late);
    fabric_set_count(L, "missed", s.missed);
    fabric_set_count(L, "bursts", s.bursts);
    lua_pushnumber(L, s.rate_bps);
    lua_setfield(L, -2, "rate");
    push_delays(L, &s);
    lua_setfield(L, -2, "delay");
    fabric_set_seconds(L, "jitter", (double)s.jitter_ns);
    fabric_set_seconds(L, "played", (double)s.played_ns);
    fabric_set_seconds(L, "stalled", (double)s.stalled_ns);
    lua_pushboolean(L, s.running);
    lua_setfield(L, -2, "running");
    return 1;
}

/* Why a capture's file cannot be written, in words. */
static const char *file_problem(int err)
{
    if (err == -ENXIO)
        return "nobody reads the pipe";
    return err == -ETIMEDOUT ? "who reads the pipe is too slow" : strerror(-err);
}

/* core.capture_add(path) -> capture; or nil and why */
static int capture_add(lua_State *L)
{
    int id = fabric_capture_add(fabric_of(L), luaL_checkstring(L, 1));
    if (id < 0) {
        lua_pushnil(L);
        lua_pushstring(L, file_problem(id));
        return 2;
    }
    lua_pushinteger(L, id);
    return 1;
}

/* core.capture_link(capture, link, name) */
static int capture_link(lua_State *L)
{
    int err = fabric_capture_link(fabric_of(L), check_id(L), (int)luaL_checkinteger(L, 2),
                                  luaL_checkstring(L, 3));
    fabric_check(L, err, "cannot capture the link");
    return 0;
}

/* core.capture_remove(capture) -> packets seen, packets not captured, nil or the file's error */
static int capture_remove(lua_State *L)
{
    struct fabric_capture_stats stats = {0};
    int err = fabric_capture_remove(fabric_of(L), check_id(L), &stats);
    lua_pushinteger(L, (lua_Integer)stats.seen);
    lua_pushinteger(L, (lua_Integer)stats.dropped);
    lua_pushstring(L, err ? file_problem(err) : NULL);
    return 3;
}

void traffic_bind(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"flow_add", flow_add},
        {"flow_run", flow_run},
        {"flow_stats", flow_stats},
        {"flow_remove", flow_remove},
        {"capture_add", capture_add},
        {"capture_link", capture_link},
        {"capture_remove", capture_remove},
        {NULL, NULL},
    };
    luaL_setfuncs(L, functions, 0);
}
