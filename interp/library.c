/* SPDX-License-Identifier: MIT */
#include "interp/library.h"

#include "interp/bind_bench.h"
#include "interp/bind_container.h"
#include "interp/bind_control.h"
#include "interp/bind_doctor.h"
#include "interp/bind_expect.h"
#include "interp/bind_fabric.h"
#include "interp/bind_files.h"
#include "interp/bind_image.h"
#include "interp/bind_input.h"
#include "interp/bind_job.h"
#include "interp/bind_link.h"
#include "interp/bind_machine.h"
#include "interp/bind_nat.h"
#include "interp/bind_pages.h"
#include "interp/bind_process.h"
#include "interp/bind_radio.h"
#include "interp/bind_rng.h"
#include "interp/bind_strain.h"
#include "interp/bind_stream.h"
#include "interp/bind_system.h"
#include "interp/bind_template.h"
#include "interp/bind_terminal.h"
#include "interp/bind_traffic.h"
#include "interp/bind_trigger.h"
#include "interp/bind_xml.h"
#include "interp/embed.h"
#include "interp/host.h"
#include "interp/json.h"
#include "interp/place.h"
#include "interp/stop.h"
#include "interp/task.h"

#include <errno.h>
#include <lauxlib.h>
#include <lualib.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PREFIX "qemunet."

/* The part of this machine's memory that a script's values may take: a quarter; the rest is for
 * machines. */
#define MEMORY_SHARE 4

/* Pushes two strings; returns the last, the file of a module: "network/link.lua" of network.link.
 */
static const char *push_path(lua_State *L, const char *name)
{
    return lua_pushfstring(L, "%s.lua", luaL_gsub(L, name, ".", LUA_DIRSEP));
}

static int load_from_folder(lua_State *L, const char *folder, const char *name)
{
    const char *path = lua_pushfstring(L, "%s/%s", folder, push_path(L, name));
    if (luaL_loadfile(L, path) != LUA_OK)
        return lua_error(L);
    lua_pushvalue(L, -2);
    return 2;
}

/* Push the chunk of a file. Return: whether the table has it, and this Lua takes it; if not,
 * nothing is pushed. */
static bool push_compiled(lua_State *L, const char *path)
{
    const struct embedded_file *file = embedded_find(compiled_stdlib, path);
    if (file && luaL_loadbufferx(L, (const char *)file->data, file->size, path, "b") == LUA_OK)
        return true;
    lua_pop(L, file ? 1 : 0);
    return false;
}

/* The text is for a Lua of another machine than that of the build. */
static int load_embedded(lua_State *L, const char *name)
{
    const char *path = push_path(L, name), *chunk = lua_pushfstring(L, "@stdlib/%s", path);
    const struct embedded_file *file = embedded_find(embedded_stdlib, path);
    if (!file) {
        lua_pushfstring(L, "\n\tno module '%s' in qemunet's library", name);
        return 1;
    }
    if (!push_compiled(L, path) &&
        luaL_loadbufferx(L, (const char *)file->data, file->size, chunk, "t") != LUA_OK)
        return lua_error(L);
    lua_pushstring(L, chunk);
    return 2;
}

/* core.sources() -> the text of each file of the library that is compiled in, by its name */
static int library_sources(lua_State *L)
{
    lua_newtable(L);
    for (const struct embedded_file *file = embedded_stdlib; file->name; file++) {
        lua_pushlstring(L, (const char *)file->data, file->size);
        lua_setfield(L, -2, file->name);
    }
    return 1;
}

/* A package searcher: module name -> loader, where it is from. */
static int search_stdlib(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1), *folder = getenv("QEMUNET_STDLIB");
    if (strncmp(name, PREFIX, strlen(PREFIX)) != 0)
        return 0;
    name += strlen(PREFIX);
    return folder ? load_from_folder(L, folder, name) : load_embedded(L, name);
}

static int open_core(lua_State *L)
{
    lua_newtable(L);
    task_bind(L);
    place_bind(L);
    input_bind(L);
    job_bind(L);
    machine_bind(L);
    template_bind(L);
    terminal_bind(L);
    container_bind(L);
    control_bind(L);
    doctor_bind(L);
    expect_bind(L);
    fabric_bind(L);
    link_bind(L);
    radio_bind(L);
    rng_bind(L);
    traffic_bind(L);
    bench_bind(L);
    trigger_bind(L);
    files_bind(L);
    image_bind(L);
    nat_bind(L);
    pages_bind(L);
    process_bind(L);
    strain_bind(L);
    stream_bind(L);
    system_bind(L);
    json_bind(L);
    xml_bind(L);
    lua_pushcfunction(L, library_sources);
    lua_setfield(L, -2, "sources");
    return 1;
}

static void add_searcher(lua_State *L)
{
    lua_getglobal(L, "package");
    lua_getfield(L, -1, "searchers");
    for (lua_Integer i = (lua_Integer)lua_rawlen(L, -1); i >= 2; i--) {
        lua_rawgeti(L, -1, i);
        lua_rawseti(L, -2, i + 1);
    }
    lua_pushcfunction(L, search_stdlib);
    lua_rawseti(L, -2, 2);
    lua_pop(L, 2);
}

static int fill(lua_State *L)
{
    luaL_openlibs(L);
    add_searcher(L);
    luaL_requiref(L, PREFIX "core", open_core, 0);
    return 0;
}

/* A collection as often as the collector can, to find what is used and not anchored: a new cycle at
 * once after the last, and each step a whole one. QN_GC_STRESS=0 in the environment: not in this
 * process, for tests of what Lua does by itself, which has no handles and would take minutes. */
static void stress_collector(lua_State *L)
{
#ifdef QN_GC_STRESS
    const char *wanted = getenv("QN_GC_STRESS");
    if (!wanted || strcmp(wanted, "0") != 0)
        lua_gc(L, LUA_GCINC, 1, 1000, 1);
#else
    (void)L;
#endif
}

/* A script that takes more memory than this machine has would have the kernel end others, too. */
static void *allocate(void *arg, void *block, size_t before, size_t n)
{
    struct host *host = arg;
    if (!block)
        before = 0; /* it is the kind of the object */
    if (n == 0) {
        free(block);
        host->lua_bytes -= before;
        return NULL;
    }
    if (n > before && n - before > host->lua_bytes_max - host->lua_bytes)
        return NULL;
    void *moved = realloc(block, n);
    if (moved)
        host->lua_bytes += n - before;
    return moved;
}

static int on_panic(lua_State *L)
{
    fprintf(stderr, "qemunet: an error outside of any call: %s\n", lua_tostring(L, -1));
    return 0; /* Lua aborts */
}

/* Bytes that a script's values may take. */
static size_t memory_share(void)
{
    long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
    return pages > 0 && size > 0 ? (size_t)pages * (size_t)size / MEMORY_SHARE : SIZE_MAX / 2;
}

int library_open(struct host *host)
{
    host->lua_bytes_max = memory_share();
    lua_State *L = lua_newstate(allocate, host);
    if (!L)
        return -ENOMEM;
    lua_atpanic(L, on_panic);
    host->L = L;
    memcpy(lua_getextraspace(L), &host, sizeof(host));
    stress_collector(L);
    stop_hook(L);
    lua_pushcfunction(L, fill);
    if (lua_pcall(L, 0, 0, 0) != LUA_OK) {
        fprintf(stderr, "qemunet: %s\n", lua_tostring(L, -1));
        return -ENOMEM;
    }
    return 0;
}
