/* SPDX-License-Identifier: MIT */
#include "interp/bind_radio.h"

#include "interp/bind_fabric.h"
#include "runtime/clock.h"
#include "runtime/fabric/fabric.h"

#include <lauxlib.h>
#include <math.h>

static double number_field(lua_State *L, const char *name)
{
    return fabric_number(L, 1, name);
}

/* core.radio_add{range=m, log_distance=, tx=dBm, exponent=, reference=m, reference_loss=dB,
 * shadowing=dB, sensitivity=dBm, rate=bit/s, queue=packets, promiscuous=} -> radio; raises what is
 * impossible about it */
static int radio_add(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    struct fabric_radio_config config = {
        .range_m = number_field(L, "range"),
        .log_distance = fabric_flag(L, 1, "log_distance"),
        .tx_dbm = number_field(L, "tx"),
        .exponent = number_field(L, "exponent"),
        .reference_m = number_field(L, "reference"),
        .reference_loss_db = number_field(L, "reference_loss"),
        .shadowing_db = number_field(L, "shadowing"),
        .sensitivity_dbm = number_field(L, "sensitivity"),
        .rate_bps = fabric_count(L, 1, "rate", LINK_RATE_MAX_BPS),
        .queue_packets = (uint32_t)fabric_count(L, 1, "queue", LINK_QUEUE_PACKETS_MAX),
        .promiscuous = fabric_flag(L, 1, "promiscuous"),
    };
    const char *wrong = fabric_radio_check(&config);
    if (wrong)
        return luaL_error(L, "%s", wrong);
    int id = fabric_radio_add(fabric_of(L), &config);
    lua_pushinteger(L, fabric_check(L, id, "cannot make a radio"));
    return 1;
}

static int check_int(lua_State *L, int arg)
{
    return (int)luaL_checkinteger(L, arg);
}

/* core.radio_remove(radio), and its links */
static int radio_remove(lua_State *L)
{
    int err = fabric_radio_remove(fabric_of(L), check_int(L, 1));
    fabric_check(L, err, "cannot remove the radio");
    return 0;
}

static int64_t check_seconds(lua_State *L, int arg)
{
    double ns = luaL_checknumber(L, arg) * (double)CLOCK_NS_PER_S;
    luaL_argcheck(L, ns >= 0 && ns <= (double)FABRIC_MOTION_MAX_NS, arg, "out of range");
    return llround(ns);
}

/* core.radio_move(radio, link, x, y, vx, vy, start, duration): metres, metres per second, and
 * experiment seconds */
static int radio_move(lua_State *L)
{
    struct fabric_motion m = {
        .from = {luaL_checknumber(L, 3), luaL_checknumber(L, 4)},
        .velocity = {luaL_checknumber(L, 5), luaL_checknumber(L, 6)},
        .start_ns = check_seconds(L, 7),
        .duration_ns = check_seconds(L, 8),
    };
    int err = fabric_radio_move(fabric_of(L), check_int(L, 1), check_int(L, 2), &m);
    fabric_check(L, err, "cannot move the node");
    return 0;
}

/* core.radio_position(radio, link) -> x, y */
static int radio_position(lua_State *L)
{
    double xy[2];
    int err = fabric_radio_position(fabric_of(L), check_int(L, 1), check_int(L, 2), xy);
    fabric_check(L, err, "cannot find the node");
    lua_pushnumber(L, xy[0]);
    lua_pushnumber(L, xy[1]);
    return 2;
}

/* core.radio_stats(radio, link) -> {sent, unheard, dropped, heard, missed, waiting} */
static int radio_stats(lua_State *L)
{
    struct fabric_radio_stats s;
    int err = fabric_radio_stats(fabric_of(L), check_int(L, 1), check_int(L, 2), &s);
    fabric_check(L, err, "cannot read the radio");
    lua_createtable(L, 0, 6);
    fabric_set_count(L, "sent", s.sent);
    fabric_set_count(L, "unheard", s.unheard);
    fabric_set_count(L, "dropped", s.dropped);
    fabric_set_count(L, "heard", s.heard);
    fabric_set_count(L, "missed", s.missed);
    fabric_set_count(L, "waiting", s.waiting);
    return 1;
}

void radio_bind(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"radio_add", radio_add},     {"radio_remove", radio_remove},
        {"radio_move", radio_move},   {"radio_position", radio_position},
        {"radio_stats", radio_stats}, {NULL, NULL},
    };
    luaL_setfuncs(L, functions, 0);
}
