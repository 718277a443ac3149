/* SPDX-License-Identifier: MIT */
#include "interp/bind_fabric.h"

#include "interp/host.h"
#include "runtime/clock.h"
#include "runtime/fabric/fabric.h"

#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* The fabric's thread starts with the first use. May raise. */
static struct fabric *fabric(lua_State *L)
{
    struct host *host = host_of(L);
    if (!host->fabric)
        host->fabric = fabric_start(host->seed);
    if (!host->fabric)
        luaL_error(L, "cannot start the packet fabric: %s", strerror(errno));
    return host->fabric;
}

/* Return: @code, when it is no error. */
static int check(lua_State *L, int code, const char *what)
{
    return code >= 0 ? code : luaL_error(L, "%s: %s", what, strerror(-code));
}

static int check_int(lua_State *L, int arg)
{
    return (int)luaL_checkinteger(L, arg);
}

/* core.port_add() -> port, fd: a port, and the descriptor of its other end, to be closed by
 * core.close_fd() */
static int port_add(lua_State *L)
{
    struct fabric *f = fabric(L);
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair))
        return luaL_error(L, "cannot make a port: %s", strerror(errno));
    int port = fabric_port_add(f, pair[0]);
    if (port < 0) {
        close(pair[1]);
        return check(L, port, "cannot make a port");
    }
    lua_pushinteger(L, port);
    lua_pushinteger(L, pair[1]);
    return 2;
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
    lua_pushinteger(L,
                    check(L, fabric_switch_add(fabric(L), ageing, flags), "cannot make a switch"));
    return 1;
}

static double number_field(lua_State *L, int table, const char *name)
{
    lua_getfield(L, table, name);
    double value = luaL_optnumber(L, -1, 0);
    lua_pop(L, 1);
    return value;
}

/* A table {delay=s, loss=, rate=bit/s, queue_packets=, queue_bytes=, mtu=}. May raise. */
static void read_config(lua_State *L, int table, struct link_config *config)
{
    luaL_checktype(L, table, LUA_TTABLE);
    *config = (struct link_config){
        .delay_ns = (int64_t)(number_field(L, table, "delay") * CLOCK_NS_PER_S + 0.5),
        .loss = number_field(L, table, "loss"),
        .rate_bps = (uint64_t)number_field(L, table, "rate"),
        .queue_packets = (uint32_t)number_field(L, table, "queue_packets"),
        .queue_bytes = (uint64_t)number_field(L, table, "queue_bytes"),
        .mtu = (uint32_t)number_field(L, table, "mtu"),
    };
    const char *wrong = link_config_check(config);
    if (wrong)
        luaL_error(L, "%s", wrong);
}

/* core.link_check(config): raises what is impossible about it */
static int link_check(lua_State *L)
{
    struct link_config config;
    read_config(L, 1, &config);
    return 0;
}

/* core.link_add(a is a switch, a, b is a switch, b, config ab, config ba) -> link */
static int link_add(lua_State *L)
{
    struct link_config config[2];
    struct fabric_end a = {lua_toboolean(L, 1) ? FABRIC_SWITCH : FABRIC_PORT, check_int(L, 2)};
    struct fabric_end b = {lua_toboolean(L, 3) ? FABRIC_SWITCH : FABRIC_PORT, check_int(L, 4)};
    read_config(L, 5, &config[0]);
    read_config(L, 6, &config[1]);
    lua_pushinteger(L, check(L, fabric_link_add(fabric(L), a, b, config), "cannot make a link"));
    return 1;
}

/* core.link_set(link, config ab, config ba) */
static int link_set(lua_State *L)
{
    struct link_config config[2];
    read_config(L, 2, &config[0]);
    read_config(L, 3, &config[1]);
    check(L, fabric_link_set_both(fabric(L), check_int(L, 1), config), "cannot set the link");
    return 0;
}

/* core.link_up(link, up) */
static int link_up(lua_State *L)
{
    check(L, fabric_link_up(fabric(L), check_int(L, 1), lua_toboolean(L, 2)),
          "cannot switch the link");
    return 0;
}

/* core.link_remove(link) */
static int link_remove(lua_State *L)
{
    check(L, fabric_link_remove(fabric(L), check_int(L, 1)), "cannot remove the link");
    return 0;
}

/* core.port_remove(port) */
static int port_remove(lua_State *L)
{
    check(L, fabric_port_remove(fabric(L), check_int(L, 1)), "cannot remove the port");
    return 0;
}

static void set_count(lua_State *L, const char *name, uint64_t value)
{
    lua_pushinteger(L, (lua_Integer)value);
    lua_setfield(L, -2, name);
}

static void push_stats(lua_State *L, const struct link_stats *stats)
{
    lua_createtable(L, 0, 12);
    set_count(L, "sent", stats->sent);
    set_count(L, "delivered", stats->delivered);
    set_count(L, "bytes", stats->bytes);
    set_count(L, "lost", stats->lost);
    set_count(L, "queue_drops", stats->queue_drops);
    set_count(L, "down_drops", stats->down_drops);
    set_count(L, "mtu_drops", stats->mtu_drops);
    set_count(L, "overruns", stats->overruns);
    set_count(L, "in_flight", stats->in_flight);
}

/* core.link_stats(link) -> ab, ba */
static int link_stats(lua_State *L)
{
    struct link_stats stats[2];
    check(L, fabric_link_stats(fabric(L), check_int(L, 1), stats), "cannot read the link");
    push_stats(L, &stats[0]);
    push_stats(L, &stats[1]);
    return 2;
}

/* core.fabric_totals() -> table, or nil when there is no fabric */
static int totals(lua_State *L)
{
    struct fabric_totals t;
    struct host *host = host_of(L);
    if (!host->fabric || fabric_totals(host->fabric, &t))
        return 0;
    lua_createtable(L, 0, 12);
    set_count(L, "received", t.received);
    set_count(L, "transmitted", t.transmitted);
    set_count(L, "overruns", t.overruns);
    set_count(L, "unreachable", t.unreachable);
    set_count(L, "malformed", t.malformed);
    set_count(L, "unlinked", t.unlinked);
    set_count(L, "hop_drops", t.hop_drops);
    set_count(L, "releases", t.lateness.count);
    lua_pushnumber(L, (double)t.lateness.max_ns / CLOCK_NS_PER_S);
    lua_setfield(L, -2, "lateness_max");
    double mean = t.lateness.count ? (double)t.lateness.sum_ns / (double)t.lateness.count : 0;
    lua_pushnumber(L, mean / CLOCK_NS_PER_S);
    lua_setfield(L, -2, "lateness_mean");
    return 1;
}

void fabric_bind(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"port_add", port_add},
        {"port_drain", port_drain},
        {"port_remove", port_remove},
        {"close_fd", close_fd},
        {"switch_add", switch_add},
        {"link_check", link_check},
        {"link_add", link_add},
        {"link_set", link_set},
        {"link_up", link_up},
        {"link_stats", link_stats},
        {"link_remove", link_remove},
        {"fabric_totals", totals},
        {NULL, NULL},
    };
    luaL_setfuncs(L, functions, 0);
}
