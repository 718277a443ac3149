/* SPDX-License-Identifier: MIT */
#include "interp/bind_fabric.h"

#include "interp/host.h"
#include "runtime/clock.h"
#include "runtime/fabric/fabric.h"

#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <math.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define DURATION_MAX_NS 9e18 /* what 64 bits hold */

struct fabric *fabric_of(lua_State *L)
{
    struct host *host = host_of(L);
    if (!host->fabric)
        host->fabric = fabric_start(host->seed);
    if (!host->fabric)
        luaL_error(L, "cannot start the packet fabric: %s", strerror(errno));
    return host->fabric;
}

int fabric_check(lua_State *L, int code, const char *what)
{
    return code >= 0 ? code : luaL_error(L, "%s: %s", what, strerror(-code));
}

double fabric_number(lua_State *L, int table, const char *name)
{
    lua_getfield(L, table, name);
    double value = luaL_optnumber(L, -1, 0);
    lua_pop(L, 1);
    return value;
}

uint64_t fabric_count(lua_State *L, int table, const char *name, uint64_t max)
{
    double value = fabric_number(L, table, name);
    if (!(value >= 0 && value <= (double)max))
        luaL_error(L, "%s is out of range", name);
    return (uint64_t)value;
}

bool fabric_flag(lua_State *L, int table, const char *name)
{
    lua_getfield(L, table, name);
    bool value = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return value;
}

int64_t fabric_duration(lua_State *L, int table, const char *name)
{
    double ns = fabric_number(L, table, name) * CLOCK_NS_PER_S;
    if (!(fabs(ns) <= DURATION_MAX_NS))
        luaL_error(L, "%s is out of range", name);
    return llround(ns);
}

void fabric_set_count(lua_State *L, const char *name, uint64_t value)
{
    lua_pushinteger(L, (lua_Integer)value);
    lua_setfield(L, -2, name);
}

void fabric_set_seconds(lua_State *L, const char *name, double ns)
{
    lua_pushnumber(L, ns / CLOCK_NS_PER_S);
    lua_setfield(L, -2, name);
}

/* Return: the upper end of the bucket that holds quantile @q, in ns. */
static double lateness_quantile(const struct fabric_lateness *l, double q)
{
    double left = q * (double)l->count;
    for (int i = 0; i < FABRIC_LATENESS_BUCKETS; i++) {
        left -= (double)l->buckets[i];
        if (left <= 0)
            return fmin((double)fabric_lateness_bound(i), (double)l->max_ns);
    }
    return (double)l->max_ns;
}

/* An array in JSON also while it is empty. */
static void push_list(lua_State *L)
{
    lua_newtable(L);
    lua_createtable(L, 0, 1);
    lua_pushliteral(L, "array");
    lua_setfield(L, -2, "__jsontype");
    lua_setmetatable(L, -2);
}

void fabric_push_lateness(lua_State *L, const struct fabric_lateness *l)
{
    lua_createtable(L, 0, 7);
    fabric_set_count(L, "count", l->count);
    fabric_set_seconds(L, "mean", l->count ? (double)l->sum_ns / (double)l->count : 0);
    fabric_set_seconds(L, "p50", lateness_quantile(l, 0.5));
    fabric_set_seconds(L, "p99", lateness_quantile(l, 0.99));
    fabric_set_seconds(L, "max", (double)l->max_ns);
    fabric_set_seconds(L, "max_at", (double)l->max_at);
    push_list(L);
    for (int i = 0; i < FABRIC_LATENESS_BUCKETS; i++) {
        if (!l->buckets[i])
            continue;
        lua_createtable(L, 0, 2);
        fabric_set_seconds(L, "below", (double)fabric_lateness_bound(i));
        fabric_set_count(L, "count", l->buckets[i]);
        lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
    }
    lua_setfield(L, -2, "histogram");
}

static int check_int(lua_State *L, int arg)
{
    return (int)luaL_checkinteger(L, arg);
}

/* core.port_add() -> port, fd: a port, and the descriptor of its other end, to be closed by
 * core.close_fd() */
static int port_add(lua_State *L)
{
    struct fabric *f = fabric_of(L);
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair))
        return luaL_error(L, "cannot make a port: %s", strerror(errno));
    int port = fabric_port_add(f, pair[0]);
    if (port < 0) {
        close(pair[1]);
        return fabric_check(L, port, "cannot make a port");
    }
    lua_pushinteger(L, port);
    lua_pushinteger(L, pair[1]);
    return 2;
}

/* core.tap_add(fd) -> port: over a tap, whose descriptor is the fabric's from here on */
static int tap_add(lua_State *L)
{
    int port = fabric_port_add(fabric_of(L), check_int(L, 1));
    lua_pushinteger(L, fabric_check(L, port, "cannot make a port of the tap"));
    return 1;
}

/* core.port_desert(port, deserted): whether the machine at its other end is switched off */
static int port_desert(lua_State *L)
{
    struct fabric *f = fabric_of(L);
    int err = fabric_port_desert(f, check_int(L, 1), lua_toboolean(L, 2));
    fabric_check(L, err, "cannot change a port");
    return 0;
}

/* core.port_drain(fd): throw away the frames that wait at a port's other end */
static int port_drain(lua_State *L)
{
    char frame[64];
    int fd = check_int(L, 1);
    while (recv(fd, frame, sizeof(frame), MSG_DONTWAIT) >= 0)
        ;
    return 0;
}

/* core.close_fd(fd) */
static int close_fd(lua_State *L)
{
    close(check_int(L, 1));
    return 0;
}

/* core.switch_add(ageing in seconds, is a hub) -> switch */
static int switch_add(lua_State *L)
{
    int64_t ageing = (int64_t)(luaL_checknumber(L, 1) * CLOCK_NS_PER_S);
    unsigned flags = lua_toboolean(L, 2) ? FABRIC_SWITCH_HUB : 0;
    lua_pushinteger(
        L, fabric_check(L, fabric_switch_add(fabric_of(L), ageing, flags), "cannot make a switch"));
    return 1;
}

/* core.switch_remove(switch): with its links */
static int switch_remove(lua_State *L)
{
    int err = fabric_switch_remove(fabric_of(L), check_int(L, 1));
    fabric_check(L, err, "cannot remove the switch");
    return 0;
}

/* core.switch_stats(switch) -> table */
static int switch_stats(lua_State *L)
{
    struct fabric_switch_stats s;
    fabric_check(L, fabric_switch_stats(fabric_of(L), check_int(L, 1), &s),
                 "cannot read the switch");
    lua_createtable(L, 0, 6);
    fabric_set_count(L, "frames", s.frames);
    fabric_set_count(L, "floods", s.floods);
    fabric_set_count(L, "moves", s.moves);
    fabric_set_count(L, "hop_drops", s.hop_drops);
    fabric_set_count(L, "storms", s.storms);
    fabric_set_count(L, "storm_drops", s.storm_drops);
    return 1;
}

/* core.station_add(mac, ip) -> station; both as bytes */
static int station_add(lua_State *L)
{
    struct fabric_station_config config;
    size_t n_mac, n_ip;
    const char *mac = luaL_checklstring(L, 1, &n_mac), *ip = luaL_checklstring(L, 2, &n_ip);
    luaL_argcheck(L, n_mac == sizeof(config.mac), 1, "want 6 bytes");
    luaL_argcheck(L, n_ip == sizeof(config.ip), 2, "want 4 bytes");
    memcpy(config.mac, mac, sizeof(config.mac));
    memcpy(config.ip, ip, sizeof(config.ip));
    int id = fabric_station_add(fabric_of(L), &config);
    lua_pushinteger(L, fabric_check(L, id, "cannot make a station"));
    return 1;
}

/* core.station_remove(station) */
static int station_remove(lua_State *L)
{
    fabric_check(L, fabric_station_remove(fabric_of(L), check_int(L, 1)),
                 "cannot remove the station");
    return 0;
}

/* core.port_remove(port) */
static int port_remove(lua_State *L)
{
    fabric_check(L, fabric_port_remove(fabric_of(L), check_int(L, 1)), "cannot remove the port");
    return 0;
}

/* core.fabric_totals() -> table, or nil when there is no fabric */
static int totals(lua_State *L)
{
    struct fabric_totals t;
    struct host *host = host_of(L);
    if (!host->fabric || fabric_totals(host->fabric, &t))
        return 0;
    lua_createtable(L, 0, 16);
    fabric_set_count(L, "received", t.received);
    fabric_set_count(L, "transmitted", t.transmitted);
    fabric_set_count(L, "overruns", t.overruns);
    fabric_set_count(L, "unreachable", t.unreachable);
    fabric_set_count(L, "malformed", t.malformed);
    fabric_set_count(L, "unlinked", t.unlinked);
    fabric_set_count(L, "hop_drops", t.hop_drops);
    fabric_set_count(L, "storm_drops", t.storm_drops);
    fabric_set_count(L, "no_memory", t.no_memory);
    fabric_set_count(L, "triggers_missed", t.triggers_missed);
    fabric_set_count(L, "verdicts_missed", t.verdicts_missed);
    fabric_set_count(L, "turns", t.turns);
    fabric_set_seconds(L, "lost_at", (double)t.lost_at);
    fabric_set_seconds(L, "cpu", (double)t.cpu_ns);
    lua_pushboolean(L, t.realtime);
    lua_setfield(L, -2, "realtime");
    fabric_push_lateness(L, &t.lateness);
    lua_setfield(L, -2, "lateness");
    return 1;
}

void fabric_bind(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"port_add", port_add},
        {"port_desert", port_desert},
        {"port_drain", port_drain},
        {"tap_add", tap_add},
        {"port_remove", port_remove},
        {"close_fd", close_fd},
        {"switch_add", switch_add},
        {"switch_remove", switch_remove},
        {"switch_stats", switch_stats},
        {"station_add", station_add},
        {"station_remove", station_remove},
        {"fabric_totals", totals},
        {NULL, NULL},
    };
    luaL_setfuncs(L, functions, 0);
}
