/* SPDX-License-Identifier: MIT */
#include "interp/bind_doctor.h"

#include "interp/bind.h"
#include "runtime/trial.h"
#include "vmctl/cache.h"

#include <errno.h>
#include <lauxlib.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* Return values: true; or nil and why not. */
static int push_trial(lua_State *L, int err, const struct trial *trial)
{
    if (err || trial->worked)
        return push_outcome(L, err);
    lua_pushnil(L);
    lua_pushstring(L, trial->why);
    return 2;
}

/* core.try_user_namespace() -> true when an ordinary user may have a network of its own; or nil and
 * why */
static int try_user_namespace(lua_State *L)
{
    struct trial trial;
    int err = trial_user_namespace(&trial);
    return push_trial(L, err, &trial);
}

/* core.try_tap() -> true when we may have a tap in a network of our own; or nil and why */
static int try_tap(lua_State *L)
{
    struct trial trial;
    int err = trial_tap(&trial);
    return push_trial(L, err, &trial);
}

/* core.cache_folder() -> the path of the user's cache folder, made if need be; or nil and why */
static int find_cache_folder(lua_State *L)
{
    char *path = cache_folder();
    if (!path)
        return push_outcome(L, -errno);
    int failed = access(path, W_OK | X_OK) ? -errno : 0;
    lua_pushstring(L, path);
    free(path);
    return failed ? push_outcome(L, failed) : 1;
}

/* core.disk_free(path) -> the bytes that its file system has left for us; or nil and why */
static int disk_free(lua_State *L)
{
    struct statvfs fs;
    if (statvfs(luaL_checkstring(L, 1), &fs))
        return push_outcome(L, -errno);
    lua_pushinteger(L, (lua_Integer)fs.f_bavail * (lua_Integer)fs.f_frsize);
    return 1;
}

void doctor_bind(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"try_user_namespace", try_user_namespace},
        {"try_tap", try_tap},
        {"cache_folder", find_cache_folder},
        {"disk_free", disk_free},
        {NULL, NULL},
    };
    luaL_setfuncs(L, functions, 0);
}
