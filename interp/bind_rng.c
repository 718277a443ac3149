/* SPDX-License-Identifier: MIT */
#include "interp/bind_rng.h"

#include "interp/bind.h"
#include "interp/host.h"
#include "runtime/fabric/rng.h"

#include <lauxlib.h>

#define GENERATOR "qemunet.generator"

/* core.generator(stream) -> a generator of the run's seed and of this number. Those with the second
 * bit set, from 1 << 62, are the library's; the fabric's own have it clear. */
static int generator(lua_State *L)
{
    uint64_t stream = (uint64_t)luaL_checkinteger(L, 1);
    struct rng *r = lua_newuserdatauv(L, sizeof(*r), 0);
    rng_seed(r, host_of(L)->seed, stream);
    luaL_setmetatable(L, GENERATOR);
    return 1;
}

/* generator:unit() -> a number from 0 to below 1 */
static int unit(lua_State *L)
{
    lua_pushnumber(L, rng_unit(luaL_checkudata(L, 1, GENERATOR)));
    return 1;
}

void rng_bind(lua_State *L)
{
    static const luaL_Reg functions[] = {{"generator", generator}, {NULL, NULL}};
    static const luaL_Reg methods[] = {{"unit", unit}, {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
    bind_type(L, GENERATOR, methods, NULL);
}
