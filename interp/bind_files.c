/* SPDX-License-Identifier: MIT */
#include "interp/bind_files.h"

#include "interp/bind.h"
#include "vmctl/cache.h"

#include <dirent.h>
#include <errno.h>
#include <lauxlib.h>
#include <md5.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define SUM "qemunet.sum"

/* core.stat(path) -> "file", "folder" or "other", permission bits, size; or nil and why */
static int file_stat(lua_State *L)
{
    struct stat st;
    if (stat(luaL_checkstring(L, 1), &st))
        return push_outcome(L, -errno);
    lua_pushstring(L, S_ISREG(st.st_mode) ? "file" : S_ISDIR(st.st_mode) ? "folder" : "other");
    lua_pushinteger(L, st.st_mode & 07777);
    lua_pushinteger(L, st.st_size);
    return 3;
}

/* core.chmod(path, permission bits) -> true; or nil and why */
static int file_chmod(lua_State *L)
{
    int failed = chmod(luaL_checkstring(L, 1), (mode_t)luaL_checkinteger(L, 2));
    return push_outcome(L, failed ? -errno : 0);
}

/* core.make_folder(path) -> true; or nil and why: for this user only, and those above it */
static int make_folder(lua_State *L)
{
    char *path = strdup(luaL_checkstring(L, 1));
    int err = path && !cache_make_folders(path) ? 0 : -errno;
    free(path);
    return push_outcome(L, err);
}

/* core.real_path(path) -> the absolute path without links that it leads to; or nil and why */
static int real_path(lua_State *L)
{
    char *path = realpath(luaL_checkstring(L, 1), NULL);
    if (!path)
        return push_outcome(L, -errno);
    lua_pushstring(L, path);
    free(path);
    return 1;
}

/* core.is_link(path) -> whether it is a symbolic link */
static int is_link(lua_State *L)
{
    struct stat st;
    lua_pushboolean(L, lstat(luaL_checkstring(L, 1), &st) == 0 && S_ISLNK(st.st_mode));
    return 1;
}

/* Stack: the list at the top. */
static void add_names(lua_State *L, DIR *folder)
{
    lua_Integer n = 0;
    for (const struct dirent *entry; (entry = readdir(folder));) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        lua_pushstring(L, entry->d_name);
        lua_rawseti(L, -2, ++n);
    }
}

/* core.names(folder) -> list of what is in it, in no order; or nil and why */
static int folder_names(lua_State *L)
{
    DIR *folder = opendir(luaL_checkstring(L, 1));
    if (!folder)
        return push_outcome(L, -errno);
    lua_newtable(L);
    add_names(L, folder);
    closedir(folder);
    return 1;
}

/* core.sum() -> the checksum of nothing yet */
static int new_sum(lua_State *L)
{
    MD5Init(lua_newuserdatauv(L, sizeof(MD5_CTX), 0));
    luaL_setmetatable(L, SUM);
    return 1;
}

/* sum:add(data) */
static int add_to_sum(lua_State *L)
{
    size_t n;
    MD5_CTX *sum = luaL_checkudata(L, 1, SUM);
    const char *data = luaL_checklstring(L, 2, &n);
    MD5Update(sum, (const uint8_t *)data, n);
    return 0;
}

/* sum:text() -> the digits that md5sum prints; more can be added afterwards */
static int sum_text(lua_State *L)
{
    MD5_CTX sum = *(MD5_CTX *)luaL_checkudata(L, 1, SUM);
    char digits[MD5_DIGEST_STRING_LENGTH];
    lua_pushstring(L, MD5End(&sum, digits));
    return 1;
}

void files_bind(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"stat", file_stat},      {"chmod", file_chmod}, {"make_folder", make_folder},
        {"real_path", real_path}, {"is_link", is_link},  {"names", folder_names},
        {"sum", new_sum},         {NULL, NULL}};
    static const luaL_Reg methods[] = {{"add", add_to_sum}, {"text", sum_text}, {NULL, NULL}};
    bind_type(L, SUM, methods, NULL);
    luaL_setfuncs(L, functions, 0);
}
