/* SPDX-License-Identifier: MIT */
#include "interp/machine_config.h"

#include "interp/bind.h"

#include <lauxlib.h>
#include <stdio.h>

lua_Number config_number(lua_State *L, const char *name, lua_Number otherwise)
{
    lua_getfield(L, 1, name);
    return luaL_optnumber(L, -1, otherwise);
}

static size_t read_nics(lua_State *L, struct qemu_nic *nics)
{
    lua_getfield(L, 1, "nics");
    size_t n = lua_istable(L, -1) ? lua_rawlen(L, -1) : 0;
    if (n > CONFIG_NICS)
        luaL_error(L, "more than %d network interfaces", CONFIG_NICS);
    for (size_t i = 0; i < n; i++) {
        lua_rawgeti(L, -1, (lua_Integer)i + 1);
        lua_getfield(L, -1, "fd");
        nics[i].fd = (int)luaL_checkinteger(L, -1);
        lua_getfield(L, -2, "number");
        nics[i].number = (unsigned)luaL_checkinteger(L, -1);
        lua_getfield(L, -3, "mac");
        unsigned m[6];
        if (sscanf(luaL_checkstring(L, -1), "%2x:%2x:%2x:%2x:%2x:%2x", &m[0], &m[1], &m[2], &m[3],
                   &m[4], &m[5]) != 6)
            luaL_error(L, "bad MAC address");
        for (int k = 0; k < 6; k++)
            nics[i].mac[k] = (uint8_t)m[k];
        lua_pop(L, 4);
    }
    lua_pop(L, 1);
    return n;
}

static void read_extra(lua_State *L, const char **extra)
{
    lua_getfield(L, 1, "extra");
    size_t n = lua_istable(L, -1) ? lua_rawlen(L, -1) : 0;
    if (n > CONFIG_EXTRA)
        luaL_error(L, "more than %d extra arguments", CONFIG_EXTRA);
    for (size_t i = 0; i < n; i++) {
        lua_rawgeti(L, -1, (lua_Integer)i + 1);
        extra[i] = luaL_checkstring(L, -1);
        lua_pop(L, 1);
    }
    extra[n] = NULL;
    lua_pop(L, 1);
}

static bool flag_field(lua_State *L, const char *name)
{
    lua_getfield(L, 1, name);
    return lua_toboolean(L, -1);
}

void config_read(lua_State *L, struct lua_config *config)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_checkstack(L, 32, NULL);
    config->qemu = (struct qemu_config){
        .name = text_field(L, "name"),
        .kernel = text_field(L, "kernel"),
        .initrd = text_field(L, "initrd"),
        .append = text_field(L, "append"),
        .disk = text_field(L, "disk"),
        .disk_format = text_field(L, "disk_format"),
        .root = text_field(L, "root"),
        .disk_writable = flag_field(L, "disk_writable"),
        .memory = (uint64_t)config_number(L, "memory", 0),
        .cpus = (unsigned)config_number(L, "cpus", 1),
        .kvm = flag_field(L, "kvm"),
        .confined = flag_field(L, "confined"),
        .generation_id = flag_field(L, "generation_id"),
        .nics = config->nics,
        .n_nics = read_nics(L, config->nics),
        .extra = config->extra,
    };
    read_extra(L, config->extra);
    const char *arch = text_field(L, "arch");
    config->qemu.arch = arch ? arch_find(arch) : arch_default();
    luaL_argcheck(L, config->qemu.arch, 1, "unknown architecture");
}
