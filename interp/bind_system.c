/* SPDX-License-Identifier: MIT */
#include "interp/bind_system.h"

#include "interp/bind.h"
#include "interp/embed.h"
#include "interp/host.h"
#include "interp/json.h"
#include "interp/stop.h"
#include "runtime/clock.h"
#include "runtime/progress.h"
#include "runtime/record.h"
#include "vmctl/qemu.h"

#include <errno.h>
#include <lauxlib.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/utsname.h>
#include <unistd.h>

/* core.now() -> experiment seconds */
static int now(lua_State *L)
{
    lua_pushnumber(L, (double)clock_now() / CLOCK_NS_PER_S);
    return 1;
}

/* core.wall_start() -> the Unix time of experiment second 0 */
static int wall_start(lua_State *L)
{
    lua_pushnumber(L, (double)clock_wall_at_start() / CLOCK_NS_PER_S);
    return 1;
}

/* core.monotonic_start() -> experiment second 0 by CLOCK_MONOTONIC, in nanoseconds */
static int monotonic_start(lua_State *L)
{
    lua_pushinteger(L, clock_to_monotonic(0));
    return 1;
}

/* core.program() -> the path of this program's file; nil if it cannot be told */
static int program(lua_State *L)
{
    char path[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", path, sizeof(path));
    if (n <= 0 || n == sizeof(path))
        return 0;
    lua_pushlstring(L, path, (size_t)n);
    return 1;
}

/* core.wall() -> the Unix time now, in nanoseconds */
static int wall(lua_State *L)
{
    lua_pushinteger(L, clock_wall_now());
    return 1;
}

/* core.isolate() -> whether we are in a network namespace of our own now, and if not, why. To be
 * called before the first link. */
static int isolate(lua_State *L)
{
    struct host *host = host_of(L);
    netns_enter(&host->netns);
    lua_pushboolean(L, host->netns.is_private);
    lua_pushstring(L, host->netns.why);
    return 2;
}

/* core.finish(status): the process ends with this exit status when the loop turns */
static int finish(lua_State *L)
{
    struct host *host = host_of(L);
    host->status = (int)luaL_checkinteger(L, 1);
    host->finished = true;
    return 0;
}

/* core.set_seed(n): of every random choice of the network; before the first link */
static int set_seed(lua_State *L)
{
    host_of(L)->seed = (uint64_t)luaL_checkinteger(L, 1);
    return 0;
}

/* core.random_seed() -> a number that a person can type again */
static int random_seed(lua_State *L)
{
    uint32_t seed = 1;
    if (getrandom(&seed, sizeof(seed), 0) < 0)
        seed = (uint32_t)clock_wall_at_start();
    lua_pushinteger(L, seed % 1000000000);
    return 1;
}

/* core.arch_is_native(name) -> whether this machine's processors can run it */
static int is_native(lua_State *L)
{
    lua_pushboolean(L, arch_is_native(check_arch(L, 1)));
    return 1;
}

/* core.qemu_version(arch) -> "7.2.22", or nil and why */
static int version(lua_State *L)
{
    const struct arch *arch = check_arch(L, 1);
    int v = qemu_version(arch);
    if (v == -ENOENT)
        return push_problem(L, v, qemu_missing(arch));
    if (v < 0) {
        lua_pushnil(L);
        lua_pushfstring(L, "%s --version says nothing that is known", arch->program);
        return 2;
    }
    lua_pushfstring(L, "%d.%d.%d", v / 10000, v / 100 % 100, v % 100);
    return 1;
}

/* core.host_facts() -> table */
static int host_facts(lua_State *L)
{
    struct utsname name;
    uname(&name);
    lua_createtable(L, 0, 6);
    lua_pushstring(L, name.release);
    lua_setfield(L, -2, "kernel");
    lua_pushstring(L, name.machine);
    lua_setfield(L, -2, "machine");
    lua_pushinteger(L, sysconf(_SC_NPROCESSORS_ONLN));
    lua_setfield(L, -2, "cpus");
    lua_pushinteger(L, sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE));
    lua_setfield(L, -2, "memory");
    lua_pushstring(L, uv_version_string());
    lua_setfield(L, -2, "libuv");
    return 1;
}

/* Records */

/* core.record_open(folder or nil, name) -> the run's folder, or nil and why */
static int open_record(lua_State *L)
{
    struct host *host = host_of(L);
    int err = record_open(&host->record, luaL_optstring(L, 1, NULL), luaL_checkstring(L, 2));
    if (err == -EEXIST)
        return push_problem(L, err,
                            strdup("it holds an earlier run; remove it, or name another folder"));
    if (err)
        return push_problem(L, err, NULL);
    lua_pushstring(L, record_folder(host->record));
    return 1;
}

/* core.record_close(): nothing more is recorded in the run's folder, if there is one */
static int close_record(lua_State *L)
{
    struct host *host = host_of(L);
    record_close(host->record);
    host->record = NULL;
    return 0;
}

/* core.record_is_whole() -> whether every event so far was written, and all that was printed */
static int is_record_whole(lua_State *L)
{
    const struct host *host = host_of(L);
    lua_pushboolean(L, !host->output_lost && (!host->record || !record_problem(host->record)));
    return 1;
}

static json_t *check_json(lua_State *L, int arg)
{
    const char *why;
    json_t *value = json_from_lua(L, arg, &why);
    if (!value)
        luaL_argerror(L, arg, why);
    return value;
}

static void tell_lost(struct host *host, int err)
{
    char text[256];
    snprintf(text, sizeof(text),
             "cannot write events.jsonl: %s; from here on the run goes on without it",
             strerror(-err));
    if (host->progress)
        progress_log(host->progress, -1, text);
}

/* core.event(table): a line of events.jsonl, if there is a run's folder; once one could not be
 * written, none is */
static int event(lua_State *L)
{
    struct host *host = host_of(L);
    if (!host->record || record_problem(host->record))
        return 0;
    int err = record_event(host->record, check_json(L, 1));
    if (err)
        tell_lost(host, err);
    return 0;
}

/* core.sample(line) -> true, or nil and why: a line of series.csv, "t,series,unit,value\n" */
static int sample(lua_State *L)
{
    struct host *host = host_of(L);
    const char *line = luaL_checkstring(L, 1);
    return push_outcome(L, host->record ? record_sample(host->record, line) : -ENOENT);
}

/* core.result(table) -> true, or nil and why */
static int result(lua_State *L)
{
    const char *why;
    struct host *host = host_of(L);
    json_t *value = json_from_lua(L, 1, &why);
    if (value)
        return push_outcome(L, host->record ? record_result(host->record, value) : -ENOENT);
    lua_pushnil(L);
    lua_pushstring(L, why);
    return 2;
}

/* core.report_page(name) -> the page that every "report" or "comparison" begins as; nil where the
 * program was built without */
static int report_page(lua_State *L)
{
    const char *name = lua_pushfstring(L, "%s.html", luaL_checkstring(L, 1));
    const struct embedded_file *page = embedded_find(embedded_report, name);
    if (page)
        lua_pushlstring(L, (const char *)page->data, page->size);
    else
        lua_pushnil(L);
    return 1;
}

/* Progress */

/* core.progress_open(level) */
static int open_progress(lua_State *L)
{
    struct host *host = host_of(L);
    if (progress_open(&host->progress, &host->loop, (int)luaL_checkinteger(L, 1)))
        return luaL_error(L, "out of memory");
    return 0;
}

/* core.waiting(key, text, in_status): show that this is waited for; text nil: the wait is over;
 * in_status: the status shows it where there is one */
static int waiting(lua_State *L)
{
    struct host *host = host_of(L);
    const char *key = luaL_checkstring(L, 1), *text = luaL_optstring(L, 2, NULL);
    if (!host->progress)
        return 0;
    if (text)
        progress_wait(host->progress, key, text, lua_toboolean(L, 3));
    else
        progress_done(host->progress, key);
    return 0;
}

static const char status_key; /* its address is the key of the function that gives it */

/* Not by host_call(): that something is shown is no activity, and if it fails the run goes on. */
static char *status_of(void *arg)
{
    struct host *host = arg;
    lua_State *L = host->L;
    char *text = NULL;
    lua_rawgetp(L, LUA_REGISTRYINDEX, &status_key);
    if (lua_pcall(L, 0, 1, 0) == LUA_OK) {
        const char *given = lua_tostring(L, -1);
        text = given ? strdup(given) : NULL;
    }
    lua_pop(L, 1);
    return text;
}

/* core.status(fn): on a terminal, fn() gives lines that are shown while the run goes on; nil: none
 */
static int set_status(lua_State *L)
{
    struct host *host = host_of(L);
    bool on = lua_isfunction(L, 1);
    lua_settop(L, 1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &status_key);
    if (host->progress)
        progress_status(host->progress, on ? status_of : NULL, host);
    return 0;
}

/* core.log(level, text): to standard error; -1 error, 0 normal, 1 verbose */
static int log_line(lua_State *L)
{
    struct host *host = host_of(L);
    int level = (int)luaL_checkinteger(L, 1);
    const char *text = luaL_checkstring(L, 2);
    if (host->progress)
        progress_log(host->progress, level, text);
    else if (level <= 0)
        fprintf(stderr, "%s\n", text);
    return 0;
}

/* Who reads no further wants no more of it; any other loss is told of once. */
static void check_output(struct host *host, int err)
{
    if (err == 0 || err == -EPIPE || host->output_lost)
        return;
    host->output_lost = true;
    char text[256];
    snprintf(text, sizeof(text), "cannot write the standard output: %s; what is printed is lost",
             strerror(-err));
    progress_log(host->progress, -1, text);
}

static int print_to(lua_State *L, FILE *to)
{
    size_t n;
    struct host *host = host_of(L);
    const char *text = luaL_checklstring(L, 1, &n);
    if (host->progress) {
        int err = progress_print(host->progress, to, text, n);
        if (to == stdout)
            check_output(host, err);
    } else {
        fwrite(text, 1, n, to);
        fflush(to);
    }
    return 0;
}

/* core.print(text): to standard output */
static int print(lua_State *L)
{
    return print_to(L, stdout);
}

/* core.print_error(text): to standard error, at any level */
static int print_error(lua_State *L)
{
    return print_to(L, stderr);
}

/* core.stop_reason() -> nil, "interrupted", "timed out", "deadlock" or "exit" */
static int stop_reason_of(lua_State *L)
{
    lua_pushstring(L, stop_reason());
    return 1;
}

/* core.time_limit(seconds): after this the run is stopped, whatever it does */
static int time_limit(lua_State *L)
{
    stop_after(luaL_checknumber(L, 1));
    return 0;
}

/* core.stop(): the run is stopped because the script wants to end */
static int stop(lua_State *L)
{
    stop_exit(host_of(L));
    return 0;
}

/* core.stop_within(tidy, more, alone): see stop_within() */
static int set_stop_within(lua_State *L)
{
    stop_within((unsigned)luaL_checkinteger(L, 1), (unsigned)luaL_checkinteger(L, 2),
                lua_toboolean(L, 3));
    return 0;
}

/* core.wind_up(): the script has ended; see stop_wind_up() */
static int wind_up(lua_State *L)
{
    (void)L;
    stop_wind_up();
    return 0;
}

void system_bind(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"now", now},
        {"wall_start", wall_start},
        {"monotonic_start", monotonic_start},
        {"program", program},
        {"wall", wall},
        {"isolate", isolate},
        {"finish", finish},
        {"set_seed", set_seed},
        {"random_seed", random_seed},
        {"arch_is_native", is_native},
        {"qemu_version", version},
        {"host_facts", host_facts},
        {"record_open", open_record},
        {"record_close", close_record},
        {"record_is_whole", is_record_whole},
        {"event", event},
        {"result", result},
        {"sample", sample},
        {"report_page", report_page},
        {"progress_open", open_progress},
        {"waiting", waiting},
        {"status", set_status},
        {"log", log_line},
        {"print", print},
        {"print_error", print_error},
        {"stop_reason", stop_reason_of},
        {"stop", stop},
        {"stop_within", set_stop_within},
        {"wind_up", wind_up},
        {"time_limit", time_limit},
        {NULL, NULL},
    };
    luaL_setfuncs(L, functions, 0);
    lua_pushliteral(L, QN_VERSION);
    lua_setfield(L, -2, "VERSION");
}
