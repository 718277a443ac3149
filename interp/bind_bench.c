/* SPDX-License-Identifier: MIT */
/* Loads, relays and what else benchmarks of the fabric need. */
#include "interp/bind_bench.h"

#include "interp/bind.h"
#include "runtime/bench/load.h"
#include "runtime/bench/netspace.h"
#include "runtime/bench/relay.h"
#include "runtime/bench/vde.h"
#include "runtime/clock.h"
#include "vmctl/child.h"

#include <errno.h>
#include <lauxlib.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define LOAD "qemunet.load"
#define RELAY "qemunet.relay"
#define VDE "qemunet.vde"
#define CHILD "qemunet.child"
#define FDS_MAX 4096

/* core.bench_affinity(processor from 0, or nil for all): where the calling thread, and what it
 * starts from now on, may run */
static int affinity(lua_State *L)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    if (lua_isnoneornil(L, 1))
        memset(&set, 0xff, sizeof(set));
    else
        CPU_SET((size_t)luaL_checkinteger(L, 1), &set);
    return push_outcome(L, sched_setaffinity(0, sizeof(set), &set) ? -errno : 0);
}

/* core.bench_pair() -> two descriptors of connected datagram sockets, to be closed by
 * core.close_fd() */
static int pair(lua_State *L)
{
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, fds))
        return push_outcome(L, -errno);
    lua_pushinteger(L, fds[0]);
    lua_pushinteger(L, fds[1]);
    return 2;
}

static size_t read_fds(lua_State *L, const char *name, int *fds)
{
    lua_getfield(L, 1, name);
    size_t n = lua_istable(L, -1) ? lua_rawlen(L, -1) : 0;
    if (n > FDS_MAX)
        luaL_error(L, "more than %d descriptors", FDS_MAX);
    for (size_t i = 0; i < n; i++) {
        lua_rawgeti(L, -1, (lua_Integer)i + 1);
        fds[i] = (int)luaL_checkinteger(L, -1);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    return n;
}

static lua_Integer integer_field(lua_State *L, const char *name)
{
    lua_getfield(L, 1, name);
    lua_Integer value = luaL_optinteger(L, -1, 0);
    lua_pop(L, 1);
    return value;
}

/* core.bench_load{from={fd, ...}, to={fd, ...}, frame=bytes, burst=, rate=frames a second or 0}
 * -> load; or nil and why */
static int load_new(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    int *from = lua_newuserdatauv(L, 2 * FDS_MAX * sizeof(int), 0), *to = from + FDS_MAX;
    size_t len;
    lua_getfield(L, 1, "frame");
    struct load_config c = {.from = from, .to = to, .frame = luaL_checklstring(L, -1, &len)};
    c.n_from = read_fds(L, "from", from);
    c.n_to = read_fds(L, "to", to);
    c.len = (uint32_t)len;
    c.burst = (uint32_t)integer_field(L, "burst");
    c.rate = (uint64_t)integer_field(L, "rate");
    struct load **slot = lua_newuserdatauv(L, sizeof(*slot), 0);
    *slot = NULL;
    luaL_setmetatable(L, LOAD);
    int err = load_start(slot, &c);
    return err ? push_outcome(L, err) : 1;
}

static struct load *check_load(lua_State *L)
{
    struct load **slot = luaL_checkudata(L, 1, LOAD);
    luaL_argcheck(L, *slot, 1, "the load was stopped");
    return *slot;
}

/* load:sent(), load:received() -> frames until now */
static int load_sent_method(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)load_sent(check_load(L)));
    return 1;
}

static int load_received_method(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)load_received(check_load(L)));
    return 1;
}

/* load:stop(); idempotent */
static int load_stop_method(lua_State *L)
{
    struct load **slot = luaL_checkudata(L, 1, LOAD), *load = *slot;
    *slot = NULL;
    load_stop(load);
    return 0;
}

/* core.bench_relay(from fd, to fd, whether they are taps) -> relay; or nil and why */
static int relay_new(lua_State *L)
{
    int from = (int)luaL_checkinteger(L, 1), to = (int)luaL_checkinteger(L, 2);
    bool taps = lua_toboolean(L, 3);
    struct relay **slot = lua_newuserdatauv(L, sizeof(*slot), 0);
    *slot = NULL;
    luaL_setmetatable(L, RELAY);
    int err = relay_start(slot, from, to, taps);
    return err ? push_outcome(L, err) : 1;
}

/* relay:cpu() -> processor time used, in seconds */
static int relay_cpu_method(lua_State *L)
{
    struct relay **slot = luaL_checkudata(L, 1, RELAY);
    lua_pushnumber(L, *slot ? (double)relay_cpu_ns(*slot) / CLOCK_NS_PER_S : 0);
    return 1;
}

/* relay:stop(); idempotent */
static int relay_stop_method(lua_State *L)
{
    struct relay **slot = luaL_checkudata(L, 1, RELAY), *relay = *slot;
    *slot = NULL;
    relay_stop(relay);
    return 0;
}

/* core.bench_vde() -> vde, fd, fd: a vde_switch and its two ports; or nil and why */
static int vde_new(lua_State *L)
{
    struct vde *v = lua_newuserdatauv(L, sizeof(*v), 0);
    memset(v, 0, sizeof(*v));
    v->child.pidfd = -1;
    luaL_setmetatable(L, VDE);
    int err = vde_open(v);
    if (err)
        return push_outcome(L, err);
    lua_pushinteger(L, v->fds[0]);
    lua_pushinteger(L, v->fds[1]);
    return 3;
}

/* vde:stop(); idempotent */
static int vde_stop_method(lua_State *L)
{
    vde_close(luaL_checkudata(L, 1, VDE));
    return 0;
}

/* vde:pid() */
static int vde_pid_method(lua_State *L)
{
    const struct vde *v = luaL_checkudata(L, 1, VDE);
    lua_pushinteger(L, v->child.pid);
    return 1;
}

/* core.bench_child(program, fd, fd) -> child: a program that is given two descriptors and their
 * numbers as arguments; or nil and why */
static int child_new(lua_State *L)
{
    char numbers[2][16];
    int fds[2];
    const char *const argv[] = {luaL_checkstring(L, 1), numbers[0], numbers[1], NULL};
    for (int i = 0; i < 2; i++) {
        fds[i] = (int)luaL_checkinteger(L, 2 + i);
        snprintf(numbers[i], sizeof(numbers[i]), "%d", fds[i]);
    }
    struct child *child = lua_newuserdatauv(L, sizeof(*child), 0);
    *child = (struct child){.pidfd = -1};
    luaL_setmetatable(L, CHILD);
    struct child_spec spec = {
        .argv = argv, .inherit = fds, .n_inherit = 2, .death_signal = SIGKILL};
    spec.stdout_fd = spec.stderr_fd = -1;
    int err = child_spawn(&spec, child);
    return err ? push_outcome(L, err) : 1;
}

/* child:stop(); idempotent */
static int child_stop_method(lua_State *L)
{
    struct child *child = luaL_checkudata(L, 1, CHILD);
    child_stop(child, 0);
    child_close(child);
    return 0;
}

/* child:pid() */
static int child_pid_method(lua_State *L)
{
    const struct child *child = luaL_checkudata(L, 1, CHILD);
    lua_pushinteger(L, child->pid);
    return 1;
}

static int push_result(lua_State *L, int64_t result)
{
    if (result < 0)
        return push_outcome(L, (int)result);
    lua_pushinteger(L, (lua_Integer)result);
    return 1;
}

static int check_ns(lua_State *L)
{
    return (int)luaL_checkinteger(L, 1);
}

/* core.bench_netns() -> the descriptor of a new network namespace; or nil and why */
static int ns_new(lua_State *L)
{
    return push_result(L, netspace_new());
}

/* core.bench_netns_run(ns, command) -> exit status; or nil and why */
static int ns_run(lua_State *L)
{
    return push_result(L, netspace_run(check_ns(L), luaL_checkstring(L, 2)));
}

/* core.bench_netns_tap(ns, name) -> fd; or nil and why */
static int ns_tap(lua_State *L)
{
    return push_result(L, netspace_tap(check_ns(L), luaL_checkstring(L, 2)));
}

/* core.bench_netns_packet(ns, interface) -> fd; or nil and why */
static int ns_packet(lua_State *L)
{
    return push_result(L, netspace_packet(check_ns(L), luaL_checkstring(L, 2)));
}

/* core.bench_netns_sink(ns, port) -> fd; or nil and why */
static int ns_sink(lua_State *L)
{
    return push_result(L, netspace_sink(check_ns(L), (uint16_t)luaL_checkinteger(L, 2)));
}

/* core.bench_netns_received(ns, interface) -> packets; or nil and why */
static int ns_received(lua_State *L)
{
    return push_result(L, netspace_received(check_ns(L), luaL_checkstring(L, 2)));
}

static void bind_types(lua_State *L)
{
    static const luaL_Reg load_methods[] = {{"sent", load_sent_method},
                                            {"received", load_received_method},
                                            {"stop", load_stop_method},
                                            {NULL, NULL}};
    static const luaL_Reg relay_methods[] = {
        {"cpu", relay_cpu_method}, {"stop", relay_stop_method}, {NULL, NULL}};
    static const luaL_Reg vde_methods[] = {
        {"pid", vde_pid_method}, {"stop", vde_stop_method}, {NULL, NULL}};
    bind_type(L, LOAD, load_methods, load_stop_method);
    bind_type(L, RELAY, relay_methods, relay_stop_method);
    static const luaL_Reg child_methods[] = {
        {"pid", child_pid_method}, {"stop", child_stop_method}, {NULL, NULL}};
    bind_type(L, VDE, vde_methods, vde_stop_method);
    bind_type(L, CHILD, child_methods, child_stop_method);
}

void bench_bind(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"bench_affinity", affinity},
        {"bench_pair", pair},
        {"bench_load", load_new},
        {"bench_relay", relay_new},
        {"bench_vde", vde_new},
        {"bench_child", child_new},
        {"bench_netns", ns_new},
        {"bench_netns_run", ns_run},
        {"bench_netns_tap", ns_tap},
        {"bench_netns_packet", ns_packet},
        {"bench_netns_sink", ns_sink},
        {"bench_netns_received", ns_received},
        {NULL, NULL},
    };
    bind_types(L);
    luaL_setfuncs(L, functions, 0);
}
