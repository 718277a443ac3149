/* SPDX-License-Identifier: MIT */
#include "interp/place.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* FNV-1a, 64 bits: offset basis and prime (RFC 9923). */
#define FNV_BASIS UINT64_C(0xcbf29ce484222325)
#define FNV_PRIME UINT64_C(0x100000001b3)

static bool is_library(const char *source)
{
    const char *folder = getenv("QEMUNET_STDLIB");
    if (strncmp(source, "@stdlib/", 8) == 0)
        return true;
    return folder && *source == '@' && strncmp(source + 1, folder, strlen(folder)) == 0;
}

/* Fill @ar for the next frame with lines from *@level on, which moves behind it; of the script, or
 * of @any. */
static bool next_frame(lua_State *L, int *level, lua_Debug *ar, bool any)
{
    while (lua_getstack(L, (*level)++, ar)) {
        lua_getinfo(L, "Sl", ar);
        if (ar->currentline > 0 && (any || !is_library(ar->source)))
            return true;
    }
    return false;
}

void place_text(lua_State *L, char *text, size_t n)
{
    lua_Debug ar;
    int level = 0, of_library = 0;
    if (next_frame(L, &level, &ar, false) || next_frame(L, &of_library, &ar, true))
        snprintf(text, n, "%s:%d", ar.short_src, ar.currentline);
    else
        snprintf(text, n, "a task");
}

static uint64_t add_number(uint64_t hash, uint64_t number)
{
    for (int i = 0; i < 8; i++)
        hash = (hash ^ (number >> (8 * i) & 0xff)) * FNV_PRIME;
    return hash;
}

/* core.place() -> a number that stands for the script's lines on the stack */
static int place(lua_State *L)
{
    lua_Debug ar;
    uint64_t hash = FNV_BASIS;
    for (int level = 0; next_frame(L, &level, &ar, false);) {
        hash = add_number(hash, (uint64_t)ar.currentline);
        hash = add_number(hash, (uint64_t)ar.linedefined);
        for (const char *at = ar.short_src; *at; at++)
            hash = (hash ^ (unsigned char)*at) * FNV_PRIME;
    }
    lua_pushinteger(L, (lua_Integer)hash);
    return 1;
}

void place_bind(lua_State *L)
{
    lua_pushcfunction(L, place);
    lua_setfield(L, -2, "place");
}
