/* SPDX-License-Identifier: MIT */
#include "interp/bind_strain.h"

#include "interp/bind.h"
#include "interp/bind_fabric.h"
#include "interp/host.h"
#include "runtime/strain.h"

#include <errno.h>
#include <lauxlib.h>

/* core.strain_start() -> true, or nil and why: measures how this machine keeps up, from now on */
static int start(lua_State *L)
{
    struct host *host = host_of(L);
    return push_outcome(L, host->strain ? 0 : strain_open(&host->strain, &host->loop));
}

/* core.strain_stop() -> how late the loop was (as a link's lateness), or nil if nothing was
 * started; ends what is watched */
static int stop(lua_State *L)
{
    struct host *host = host_of(L);
    if (!host->strain)
        return 0;
    fabric_push_lateness(L, strain_lateness(host->strain));
    strain_close(host->strain);
    host->strain = NULL;
    return 1;
}

/* core.strain_watch(pid) -> true, or nil and why: how long the process's threads wait for a
 * processor, from now on */
static int watch(lua_State *L)
{
    struct host *host = host_of(L);
    pid_t pid = (pid_t)luaL_checkinteger(L, 1);
    return push_outcome(L, host->strain ? strain_watch(host->strain, pid) : -ENOENT);
}

/* core.strain_unwatch(pid) -> { watched = s, waited = s, worst = share, worst_at = experiment
 * second }, or nil when it is not watched */
static int unwatch(lua_State *L)
{
    struct strain_waits waits;
    struct host *host = host_of(L);
    pid_t pid = (pid_t)luaL_checkinteger(L, 1);
    if (!host->strain || strain_unwatch(host->strain, pid, &waits))
        return 0;
    lua_createtable(L, 0, 4);
    fabric_set_seconds(L, "watched", (double)waits.watched);
    fabric_set_seconds(L, "waited", (double)waits.waited);
    fabric_set_seconds(L, "worst_at", (double)waits.worst_at);
    lua_pushnumber(L, waits.worst);
    lua_setfield(L, -2, "worst");
    return 1;
}

void strain_bind(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"strain_start", start},     {"strain_stop", stop}, {"strain_watch", watch},
        {"strain_unwatch", unwatch}, {NULL, NULL},
    };
    luaL_setfuncs(L, functions, 0);
}
