/* SPDX-License-Identifier: MIT */
/* The way out of the private network, and its gateways. A gateway's user value 1 is the function
 * that is called when it ends; it stays in the registry, under its address, until it has ended. */
#include "interp/bind_nat.h"

#include "interp/bind.h"
#include "interp/host.h"
#include "runtime/nat.h"
#include "runtime/stream.h"

#include <arpa/inet.h>
#include <lauxlib.h>
#include <string.h>

#define NAT "qemunet.nat"
#define GATEWAY "qemunet.gateway"

struct lua_gateway {
    struct host *host;
    struct stream *life; /* NULL: it has ended */
};

static void on_data(void *arg, const char *data, size_t n)
{
    (void)arg;
    (void)data;
    (void)n;
}

static void end_gateway(lua_State *L, struct lua_gateway *gateway)
{
    if (gateway->life)
        stream_close(gateway->life);
    gateway->life = NULL;
    bind_unanchor(L, gateway);
}

static void on_end(void *arg, int err)
{
    struct lua_gateway *gateway = arg;
    lua_State *L = gateway->host->L;
    (void)err;
    lua_rawgetp(L, LUA_REGISTRYINDEX, gateway);
    lua_getiuservalue(L, -1, 1);
    end_gateway(L, gateway);
    host_call(gateway->host, 0);
    lua_pop(L, 1);
}

static const struct stream_handler life_handler = {.data = on_data, .end = on_end};

static struct in_addr address_field(lua_State *L, const char *name)
{
    struct in_addr address;
    lua_getfield(L, 2, name);
    if (inet_pton(AF_INET, luaL_checkstring(L, -1), &address) != 1)
        luaL_error(L, "%s: not an address", name);
    lua_pop(L, 1);
    return address;
}

static void read_config(lua_State *L, struct gateway_config *config)
{
    *config = (struct gateway_config){
        .network = address_field(L, "network"),
        .mask = address_field(L, "mask"),
        .gateway = address_field(L, "gateway"),
        .nameserver = address_field(L, "nameserver"),
        .node = address_field(L, "node"),
    };
    lua_getfield(L, 2, "mtu");
    config->mtu = (size_t)luaL_optinteger(L, -1, 0);
    lua_getfield(L, 2, "host_loopback");
    config->host_loopback = lua_toboolean(L, -1);
    lua_pop(L, 2);
}

/* nat:open({network=, mask=, gateway=, nameserver=, node=, mtu=, host_loopback=}, fd, on_end())
 * -> gateway that serves the frames of the descriptor, a copy of which it takes; or nil and why */
static int nat_open_method(lua_State *L)
{
    struct gateway_config config;
    struct nat *nat = luaL_checkudata(L, 1, NAT);
    int frames = (int)luaL_checkinteger(L, 3);
    luaL_checktype(L, 4, LUA_TFUNCTION);
    read_config(L, &config);
    struct lua_gateway *gateway = lua_newuserdatauv(L, sizeof(*gateway), 1);
    *gateway = (struct lua_gateway){.host = host_of(L)};
    luaL_setmetatable(L, GATEWAY);
    lua_pushvalue(L, 4);
    lua_setiuservalue(L, -2, 1);
    bind_anchor(L, -1, gateway);
    int life = nat_open(nat, &config, frames);
    int err = life < 0
                  ? life
                  : stream_open(&gateway->life, &gateway->host->loop, life, &life_handler, gateway);
    if (!err)
        return 1;
    end_gateway(L, gateway);
    return push_outcome(L, err);
}

/* gateway:close(): it ends, and on_end is not called; idempotent */
static int gateway_close(lua_State *L)
{
    end_gateway(L, luaL_checkudata(L, 1, GATEWAY));
    return 0;
}

static int nat_gc(lua_State *L)
{
    nat_stop(luaL_checkudata(L, 1, NAT));
    return 0;
}

/* core.nat_start() -> nat, or nil and why; to be called before isolate() */
static int start(lua_State *L)
{
    struct nat *nat = lua_newuserdatauv(L, sizeof(*nat), 0);
    *nat = (struct nat){0};
    luaL_setmetatable(L, NAT);
    int err = nat_start(nat);
    return err ? push_outcome(L, err) : 1;
}

void nat_bind(lua_State *L)
{
    static const luaL_Reg nat_methods[] = {{"open", nat_open_method}, {NULL, NULL}};
    static const luaL_Reg gateway_methods[] = {{"close", gateway_close}, {NULL, NULL}};
    bind_type(L, NAT, nat_methods, nat_gc);
    bind_type(L, GATEWAY, gateway_methods, gateway_close);
    lua_pushcfunction(L, start);
    lua_setfield(L, -2, "nat_start");
}
