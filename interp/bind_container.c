/* SPDX-License-Identifier: MIT */
/* Containers and network stacks as Lua objects. A container's user value 1 is the table of its
 * callbacks; it stays in the registry, under its address, until it has ended. */
#include "interp/bind_container.h"

#include "interp/bind.h"
#include "interp/bind_fabric.h"
#include "interp/bind_job.h"
#include "interp/host.h"
#include "runtime/container.h"
#include "runtime/netlink.h"
#include "runtime/netns.h"
#include "runtime/stack.h"

#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <string.h>
#include <unistd.h>

#define CONTAINER "qemunet.container"
#define STACK "qemunet.stack"

struct lua_container {
    struct host *host;
    struct container *container; /* NULL: not open */
};

struct lua_stack {
    int fd; /* -1: closed */
};

/* Push nil and the words of @err, with what to do. */
static int push_failure(lua_State *L, int err)
{
    lua_pushnil(L);
    lua_pushfstring(L, "%s%s", strerror(-err), stack_advice(err));
    return 2;
}

/* Network stacks */

static struct lua_stack *check_stack(lua_State *L, int arg)
{
    struct lua_stack *stack = luaL_checkudata(L, arg, STACK);
    luaL_argcheck(L, stack->fd >= 0, arg, "the network stack is closed");
    return stack;
}

/* The user namespace of all confined containers. */
static int users_of(struct host *host)
{
    if (host->container_users <= 0)
        host->container_users = netns_make_users();
    return host->container_users;
}

/* core.stack(confined) -> network stack, or nil and why */
static int open_stack(lua_State *L)
{
    int users = lua_toboolean(L, 1) ? users_of(host_of(L)) : -1;
    if (lua_toboolean(L, 1) && users < 0) {
        lua_pushnil(L);
        lua_pushfstring(L, "no user namespace to keep its commands off this machine (%s)",
                        strerror(-users));
        return 2;
    }
    struct lua_stack *stack = lua_newuserdatauv(L, sizeof(*stack), 0);
    stack->fd = -1;
    luaL_setmetatable(L, STACK);
    int fd = stack_open(users);
    if (fd < 0)
        return push_failure(L, fd);
    stack->fd = fd;
    return 1;
}

static int close_stack(lua_State *L)
{
    struct lua_stack *stack = luaL_checkudata(L, 1, STACK);
    if (stack->fd >= 0)
        close(stack->fd);
    stack->fd = -1;
    return 0;
}

/* stack:add_tap(name) -> port of the fabric, descriptor of the tap, to be closed by
 * core.close_fd(); or nil and why */
static int add_tap(lua_State *L)
{
    struct lua_stack *stack = check_stack(L, 1);
    struct fabric *fabric = fabric_of(L);
    int tap = stack_add_tap(stack->fd, luaL_checkstring(L, 2));
    if (tap < 0)
        return push_failure(L, tap);
    int own = fcntl(tap, F_DUPFD_CLOEXEC, 0);
    int port = own < 0 ? -errno : fabric_port_add(fabric, tap);
    if (own < 0)
        close(tap);
    else if (port < 0)
        close(own);
    if (port < 0)
        return push_failure(L, port);
    lua_pushinteger(L, port);
    lua_pushinteger(L, own);
    return 2;
}

static void read_bytes(lua_State *L, const char *name, void *to, size_t want)
{
    size_t n;
    lua_getfield(L, 2, name);
    const char *bytes = luaL_optlstring(L, -1, NULL, &n);
    if (bytes && n != want)
        luaL_error(L, "%s: want %d bytes", name, (int)want);
    if (bytes)
        memcpy(to, bytes, want);
    lua_pop(L, 1);
}

/* core.release_tap(descriptor of a tap): the interface goes when this and the port are closed */
static int release_tap(lua_State *L)
{
    return push_outcome(L, stack_release_tap((int)luaL_checkinteger(L, 1)));
}

/* stack:configure{name=, mac=6 bytes, mtu=, ip=4 bytes, prefix=, gateway=4 bytes} -> true, or nil
 * and why */
static int configure(lua_State *L)
{
    struct lua_stack *stack = check_stack(L, 1);
    luaL_checktype(L, 2, LUA_TTABLE);
    struct netlink_interface interface = {
        .mtu = (unsigned)fabric_number(L, 2, "mtu"),
        .prefix = (uint8_t)fabric_number(L, 2, "prefix"),
    };
    read_bytes(L, "mac", interface.mac, sizeof(interface.mac));
    read_bytes(L, "ip", &interface.ip, sizeof(interface.ip));
    read_bytes(L, "gateway", &interface.gateway, sizeof(interface.gateway));
    lua_getfield(L, 2, "name");
    interface.name = luaL_checkstring(L, -1);
    return push_outcome(L, stack_configure(stack->fd, &interface));
}

/* core.quiet_tap(descriptor of a tap): bring the interface down */
static int quiet_tap(lua_State *L)
{
    return push_outcome(L, stack_quiet((int)luaL_checkinteger(L, 1)));
}

/* stack:take_tap(descriptor of a tap, name): have the interface here, under this name */
static int take_tap(lua_State *L)
{
    int stack = check_stack(L, 1)->fd;
    return push_outcome(L, stack_move((int)luaL_checkinteger(L, 2), stack, luaL_checkstring(L, 3)));
}

/* core.set_carrier(descriptor of a tap, up) -> true, or nil and why */
static int set_carrier(lua_State *L)
{
    int tap = (int)luaL_checkinteger(L, 1);
    return push_outcome(L, stack_set_carrier(tap, lua_toboolean(L, 2)));
}

/* Containers */

static struct container *check_container(lua_State *L)
{
    const struct lua_container *container = luaL_checkudata(L, 1, CONTAINER);
    luaL_argcheck(L, container->container, 1, "the container is closed");
    return container->container;
}

static void on_up(void *arg)
{
    struct lua_container *container = arg;
    if (bind_push_callback(container->host->L, container, "on_up"))
        host_call(container->host, 0);
}

static void on_end(void *arg, enum container_end end, const char *why)
{
    struct lua_container *container = arg;
    lua_State *L = container->host->L;
    if (!bind_push_callback(L, container, "on_end"))
        return;
    lua_pushstring(L, end == CONTAINER_DOWN ? "down" : "crashed");
    lua_pushstring(L, why);
    host_call(container->host, 2);
}

static const struct container_handler handler = {.up = on_up, .ended = on_end};

static int program_of(struct host *host)
{
    if (host->container_program <= 0)
        host->container_program = container_program();
    return host->container_program;
}

/* core.container{name=, stack=, confined= as its stack is, on_up=fn(), on_end=fn(state, why)} ->
 * container, or nil and why */
static int open_container(lua_State *L)
{
    struct host *host = host_of(L);
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    lua_getfield(L, 1, "stack");
    lua_getfield(L, 1, "name");
    lua_getfield(L, 1, "confined");
    bool confined = lua_toboolean(L, 4);
    lua_settop(L, 3);
    struct container_config config = {.name = luaL_checkstring(L, 3),
                                      .confined = confined,
                                      .stack = check_stack(L, 2)->fd,
                                      .program = program_of(host),
                                      .handler = &handler};
    struct lua_container *container = lua_newuserdatauv(L, sizeof(*container), 1);
    *container = (struct lua_container){.host = host};
    luaL_setmetatable(L, CONTAINER);
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, 4, 1);
    config.arg = container;
    bind_anchor(L, 4, container);
    int err = config.program < 0
                  ? config.program
                  : container_open(&container->container, &host->loop, host->timers, &config);
    if (err) {
        bind_unanchor(L, container);
        return push_failure(L, err);
    }
    host->machines++;
    return 1;
}

static int start_in(void *container, const struct job_spec *spec, struct job **out)
{
    return container_start(container, spec, out);
}

/* container:start{...} -> job, or nil and why; see job_start_method() */
static int start(lua_State *L)
{
    return job_start_method(L, start_in, check_container(L));
}

/* container:set_hosts(text) */
static int set_hosts(lua_State *L)
{
    size_t n;
    const char *text = luaL_checklstring(L, 2, &n);
    return push_outcome(L, container_set_hosts(check_container(L), text, n));
}

/* container:crash(): kill everything in it */
static int crash(lua_State *L)
{
    container_crash(check_container(L));
    return 0;
}

/* container:shut_down(patience in ms) */
static int shut_down(lua_State *L)
{
    unsigned patience = (unsigned)luaL_checkinteger(L, 2);
    return push_outcome(L, container_shut_down(check_container(L), patience));
}

/* container:pause(whether) */
static int pause_container(lua_State *L)
{
    return push_outcome(L, container_pause(check_container(L), lua_toboolean(L, 2)));
}

/* container:close(): kill everything in it, and collect; idempotent */
static int close_container(lua_State *L)
{
    struct lua_container *container = luaL_checkudata(L, 1, CONTAINER);
    if (!container->container)
        return 0;
    container_close(container->container);
    container->container = NULL;
    container->host->machines--;
    bind_unanchor(L, container);
    return 0;
}

void container_bind(lua_State *L)
{
    static const luaL_Reg stack_methods[] = {
        {"add_tap", add_tap},   {"configure", configure},
        {"take_tap", take_tap}, {"close", close_stack},
        {NULL, NULL},
    };
    static const luaL_Reg container_methods[] = {
        {"start", start},
        {"set_hosts", set_hosts},
        {"crash", crash},
        {"shut_down", shut_down},
        {"pause", pause_container},
        {"close", close_container},
        {NULL, NULL},
    };
    static const luaL_Reg functions[] = {
        {"stack", open_stack},        {"container", open_container}, {"quiet_tap", quiet_tap},
        {"set_carrier", set_carrier}, {"release_tap", release_tap},  {NULL, NULL},
    };
    bind_type(L, STACK, stack_methods, close_stack);
    bind_type(L, CONTAINER, container_methods, close_container);
    luaL_setfuncs(L, functions, 0);
}

void container_unbind(struct host *host)
{
    if (host->container_program > 0)
        close(host->container_program);
    if (host->container_users > 0)
        close(host->container_users);
    host->container_program = host->container_users = 0;
}
