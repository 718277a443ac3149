/* SPDX-License-Identifier: MIT */
#include "interp/bind_link.h"

#include "interp/bind.h"
#include "interp/bind_fabric.h"
#include "interp/host.h"
#include "runtime/clock.h"
#include "runtime/fabric/fabric.h"
#include "runtime/link_samples.h"

#include <lauxlib.h>
#include <math.h>
#include <stdlib.h>

#define SERIES "qemunet.series"
#define SERIES_MAX (1 << 24)

/* core.series{seconds, ...} -> a series for a link's samples or trace */
static int series(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    size_t n = lua_rawlen(L, 1);
    luaL_argcheck(L, n > 0 && n <= SERIES_MAX, 1, "want 1 to 16777216 numbers");
    int64_t *values = lua_newuserdatauv(L, n * sizeof(*values), 0);
    for (size_t i = 0; i < n; i++) {
        lua_rawgeti(L, 1, (lua_Integer)i + 1);
        double seconds = luaL_checknumber(L, -1);
        if (!(fabs(seconds) <= (double)LINK_DELAY_MAX_NS / CLOCK_NS_PER_S))
            luaL_error(L, "number %d is out of range", (int)i + 1);
        values[i] = llround(seconds * CLOCK_NS_PER_S);
        lua_pop(L, 1);
    }
    struct link_series **slot = lua_newuserdatauv(L, sizeof(*slot), 0);
    *slot = NULL;
    luaL_setmetatable(L, SERIES);
    *slot = link_series_new(values, n);
    return *slot ? 1 : luaL_error(L, "out of memory");
}

static int series_gc(lua_State *L)
{
    struct link_series **slot = luaL_checkudata(L, 1, SERIES);
    link_series_unref(*slot);
    *slot = NULL;
    return 0;
}

/* Borrowed from the userdata in the table, which outlives the call. */
static struct link_series *series_field(lua_State *L, int table, const char *name)
{
    lua_getfield(L, table, name);
    struct link_series **slot = lua_isnil(L, -1) ? NULL : luaL_checkudata(L, -1, SERIES);
    lua_pop(L, 1);
    return slot ? *slot : NULL;
}

/* Return: which of @names a field is; the first when it is absent. */
static int choice_field(lua_State *L, int table, const char *name, const char *const names[])
{
    lua_getfield(L, table, name);
    int choice = luaL_checkoption(L, -1, names[0], names);
    lua_pop(L, 1);
    return choice;
}

/* Burst, red and codel, as {burst_p=, ...}. */
static void read_nested(lua_State *L, int table, struct link_config *c)
{
    c->burst = (struct link_burst){
        .p = fabric_number(L, table, "burst_p"),
        .r = fabric_number(L, table, "burst_r"),
        .h = fabric_number(L, table, "burst_h"),
        .k = fabric_number(L, table, "burst_k"),
    };
    c->red = (struct link_red){
        .min = fabric_number(L, table, "red_min"),
        .max = fabric_number(L, table, "red_max"),
        .p = fabric_number(L, table, "red_p"),
        .weight = fabric_number(L, table, "red_weight"),
    };
    c->codel_target_ns = fabric_duration(L, table, "codel_target");
    c->codel_interval_ns = fabric_duration(L, table, "codel_interval");
}

/* A direction's configuration: the names of struct link_config, without units, what is nested flat;
 * seconds, fractions and bit/s. May raise. */
static void read_config(lua_State *L, int table, struct link_config *config)
{
    static const char *const distributions[] = {"uniform", "normal", "pareto", "trace", NULL};
    static const char *const disciplines[] = {"fifo", "red", "codel", NULL};
    luaL_checktype(L, table, LUA_TTABLE);
    *config = (struct link_config){
        .delay_ns = fabric_duration(L, table, "delay"),
        .jitter_ns = fabric_duration(L, table, "jitter"),
        .distribution =
            (enum link_distribution)choice_field(L, table, "distribution", distributions),
        .correlation = fabric_number(L, table, "correlation"),
        .samples = series_field(L, table, "samples"),
        .loss = fabric_number(L, table, "loss"),
        .duplicate = fabric_number(L, table, "duplicate"),
        .corrupt = fabric_number(L, table, "corrupt"),
        .reorder = fabric_number(L, table, "reorder"),
        .rate_bps = fabric_count(L, table, "rate", INT64_MAX),
        .trace = series_field(L, table, "trace"),
        .queue_packets = (uint32_t)fabric_count(L, table, "queue_packets", UINT32_MAX),
        .queue_bytes = fabric_count(L, table, "queue_bytes", INT64_MAX),
        .discipline = (enum link_discipline)choice_field(L, table, "discipline", disciplines),
        .mtu = (uint32_t)fabric_count(L, table, "mtu", UINT32_MAX),
    };
    read_nested(L, table, config);
}

/* As read_config(), and possible. */
static void check_config(lua_State *L, int table, struct link_config *config)
{
    read_config(L, table, config);
    const char *wrong = link_config_check(config);
    if (wrong)
        luaL_error(L, "%s", wrong);
}

/* core.link_check(config) -> nil, or what is impossible about it */
static int link_check(lua_State *L)
{
    struct link_config config;
    read_config(L, 1, &config);
    lua_pushstring(L, link_config_check(&config));
    return 1;
}

static struct fabric_end read_end(lua_State *L, int arg)
{
    static const char *const kinds[] = {"port", "switch", "radio", "station", NULL};
    return (struct fabric_end){(enum fabric_kind)luaL_checkoption(L, arg, NULL, kinds),
                               (int)luaL_checkinteger(L, arg + 1)};
}

/* Without memory for them, there are none. */
static void begin_samples(struct host *host)
{
    if (!host->link_samples)
        link_samples_open(&host->link_samples, &host->loop, host->fabric);
}

/* core.link_add(kind of a, a, kind of b, b, config ab, config ba) -> link; a kind is "port",
 * "switch", "radio" or "station" */
static int link_add(lua_State *L)
{
    struct link_config config[2];
    struct fabric_end a = read_end(L, 1), b = read_end(L, 3);
    check_config(L, 5, &config[0]);
    check_config(L, 6, &config[1]);
    int id = fabric_link_add(fabric_of(L), a, b, config);
    lua_pushinteger(L, fabric_check(L, id, "cannot make a link"));
    begin_samples(host_of(L));
    return 1;
}

static int check_link(lua_State *L)
{
    return (int)luaL_checkinteger(L, 1);
}

/* core.link_set(link, config ab, config ba) */
static int link_set(lua_State *L)
{
    struct link_config config[2];
    check_config(L, 2, &config[0]);
    check_config(L, 3, &config[1]);
    fabric_check(L, fabric_link_set_both(fabric_of(L), check_link(L), config),
                 "cannot set the link");
    return 0;
}

/* core.link_up(link, up) */
static int link_up(lua_State *L)
{
    fabric_check(L, fabric_link_up(fabric_of(L), check_link(L), lua_toboolean(L, 2)),
                 "cannot switch the link");
    return 0;
}

/* core.link_remove(link) */
static int link_remove(lua_State *L)
{
    struct host *host = host_of(L);
    if (host->link_samples)
        link_samples_take(host->link_samples);
    fabric_check(L, fabric_link_remove(fabric_of(L), check_link(L)), "cannot remove the link");
    return 0;
}

/* core.link_send(link, direction 0 or 1, bytes) -> true; or nil and why */
static int link_send(lua_State *L)
{
    size_t n;
    int dir = (int)luaL_checkinteger(L, 2);
    const char *data = luaL_checklstring(L, 3, &n);
    uint32_t len = n > FABRIC_FRAME_MAX ? UINT32_MAX : (uint32_t)n;
    return push_outcome(L, fabric_link_send(fabric_of(L), check_link(L), dir, data, len));
}

/* The name of a link in the table at 2. */
static const char *name_of(void *arg, int link)
{
    lua_State *L = arg;
    lua_rawgeti(L, 2, link);
    const char *name = lua_tostring(L, -1); /* the table keeps it */
    lua_pop(L, 1);
    return name;
}

/* core.link_samples_end(path or nil, {[link] = cell}) -> true; or nil and why: the links' samples
 * go into the file, if there are any, and are forgotten; the next link begins new ones */
static int end_samples(lua_State *L)
{
    struct host *host = host_of(L);
    struct link_samples *s = host->link_samples;
    const char *path = luaL_optstring(L, 1, NULL);
    int err = 0;
    luaL_checktype(L, 2, LUA_TTABLE);
    host->link_samples = NULL;
    if (s && path) {
        link_samples_take(s);
        err = link_samples_write(s, path, name_of, L);
    }
    link_samples_close(s);
    return push_outcome(L, err);
}

/* core.link_rows(since, {[link] = cell}) -> the rows that links.csv will have, from that experiment
 * second on */
static int rows(lua_State *L)
{
    const struct host *host = host_of(L);
    double since = luaL_checknumber(L, 1);
    luaL_checktype(L, 2, LUA_TTABLE);
    char *text =
        host->link_samples ? link_samples_text(host->link_samples, since, name_of, L) : NULL;
    lua_pushstring(L, text ? text : "");
    free(text);
    return 1;
}

/* Add to field @name of the table at the top of the stack. */
static void add_count(lua_State *L, const char *name, uint64_t n)
{
    lua_getfield(L, -1, name);
    lua_Integer sum = lua_tointeger(L, -1) + (lua_Integer)n;
    lua_pop(L, 1);
    lua_pushinteger(L, sum);
    lua_setfield(L, -2, name);
}

/* Stack: the table of links at the top. */
static void add_recent(void *arg, const struct fabric_sample *sample)
{
    lua_State *L = arg;
    if (lua_rawgeti(L, -1, sample->link) == LUA_TNIL) {
        lua_pop(L, 1);
        lua_newtable(L);
        lua_pushvalue(L, -1);
        lua_rawseti(L, -3, sample->link);
    }
    add_count(L, sample->dir ? "ba" : "ab", sample->bytes);
    add_count(L, "lost", sample->lost);
    lua_pop(L, 1);
}

/* core.link_recent() -> {[link] = {ab=bytes, ba=bytes, lost=frames}} of about the last second, of
 * those on which something happened; the seconds that it covers */
static int recent(lua_State *L)
{
    const struct host *host = host_of(L);
    lua_newtable(L);
    lua_pushnumber(L,
                   host->link_samples ? link_samples_recent(host->link_samples, add_recent, L) : 1);
    return 2;
}

static void push_stats(lua_State *L, const struct link_stats *s)
{
    lua_createtable(L, 0, 16);
    fabric_set_count(L, "sent", s->sent);
    fabric_set_count(L, "delivered", s->delivered);
    fabric_set_count(L, "bytes", s->bytes);
    fabric_set_count(L, "lost", s->lost);
    fabric_set_count(L, "queue_drops", s->queue_drops);
    fabric_set_count(L, "early_drops", s->early_drops);
    fabric_set_count(L, "down_drops", s->down_drops);
    fabric_set_count(L, "mtu_drops", s->mtu_drops);
    fabric_set_count(L, "overruns", s->overruns);
    fabric_set_count(L, "trigger_drops", s->trigger_drops);
    fabric_set_count(L, "duplicated", s->duplicated);
    fabric_set_count(L, "corrupted", s->corrupted);
    fabric_set_count(L, "reordered", s->reordered);
    fabric_set_count(L, "in_flight", s->in_flight);
    fabric_push_lateness(L, &s->lateness);
    lua_setfield(L, -2, "lateness");
}

/* core.link_stats(link) -> ab, ba */
static int link_stats(lua_State *L)
{
    struct link_stats stats[2];
    fabric_check(L, fabric_link_stats(fabric_of(L), check_link(L), stats), "cannot read the link");
    push_stats(L, &stats[0]);
    push_stats(L, &stats[1]);
    return 2;
}

void link_bind(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"series", series},         {"link_check", link_check},   {"link_add", link_add},
        {"link_set", link_set},     {"link_send", link_send},     {"link_up", link_up},
        {"link_stats", link_stats}, {"link_remove", link_remove}, {"link_samples_end", end_samples},
        {"link_recent", recent},    {"link_rows", rows},          {NULL, NULL},
    };
    static const luaL_Reg none[] = {{NULL, NULL}};
    bind_type(L, SERIES, none, series_gc);
    luaL_setfuncs(L, functions, 0);
}
