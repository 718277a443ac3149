/* SPDX-License-Identifier: MIT */
/* A process's user value 1 is the table that it was made from; it stays in the registry, under its
 * address, until it has ended. */
#include "interp/bind_process.h"

#include "interp/bind.h"
#include "interp/host.h"
#include "vmctl/child.h"

#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROCESS "qemunet.process"

/* How long it has to see to its own end when it is let go of. */
#define GRACE_MS 5000

struct lua_process {
    struct host *host;
    struct child child;
    uv_poll_t *poll; /* NULL: it has ended, or was never started */
};

static void free_handle(uv_handle_t *handle)
{
    free(handle);
}

/* The process has ended, or is about to be ended: nothing more is told of it. */
static void forget(lua_State *L, struct lua_process *process)
{
    if (!process->poll)
        return;
    uv_close((uv_handle_t *)process->poll, free_handle);
    process->poll = NULL;
    process->host->machines--;
    bind_unanchor(L, process);
}

static void on_exit_seen(uv_poll_t *poll, int uv_status, int events)
{
    int status = 0;
    struct lua_process *process = poll->data;
    struct host *host = process->host;
    lua_State *L = host->L;
    (void)uv_status;
    (void)events;
    if (child_reap(&process->child, &status) == 0)
        return;
    bool called = bind_push_callback(L, process, "on_end");
    forget(L, process);
    child_close(&process->child);
    if (!called)
        return;
    if (WIFEXITED(status))
        lua_pushinteger(L, WEXITSTATUS(status));
    else
        lua_pushnil(L);
    lua_pushinteger(L, WIFSIGNALED(status) ? WTERMSIG(status) : 0);
    host_call(host, 2);
}

static int watch(struct lua_process *process)
{
    process->poll = malloc(sizeof(*process->poll));
    if (!process->poll)
        return -ENOMEM;
    int err = uv_poll_init(&process->host->loop, process->poll, process->child.pidfd);
    if (err) {
        free(process->poll);
        process->poll = NULL;
        return err;
    }
    process->poll->data = process;
    process->host->machines++;
    return uv_poll_start(process->poll, UV_READABLE, on_exit_seen);
}

/* Push the words of the table at 1 as a userdata that holds the vector; the table keeps them. */
static const char *const *push_words(lua_State *L)
{
    size_t n = lua_rawlen(L, 1);
    const char **words = lua_newuserdatauv(L, (n + 1) * sizeof(*words), 0);
    for (size_t i = 0; i < n; i++) {
        if (lua_rawgeti(L, 1, (lua_Integer)i + 1) != LUA_TSTRING)
            luaL_error(L, "process: word %d is no string", (int)i + 1);
        words[i] = lua_tostring(L, -1);
        lua_pop(L, 1);
    }
    words[n] = NULL;
    return words;
}

static int start(struct lua_process *process, const char *const *words, const char *output)
{
    int fd = open(output, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (fd < 0)
        return -errno;
    const struct child_spec spec = {
        .argv = words, .stdout_fd = fd, .stderr_fd = fd, .death_signal = SIGTERM};
    int err = child_spawn(&spec, &process->child);
    close(fd);
    return err ? err : watch(process);
}

/* core.process{program, word, ..., output=path of a file that both its outputs are added to,
 * on_end=fn(status or nil, signal or 0)} -> process, which ends when we do; or nil and why */
static int open_process(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    const char *output = text_field(L, "output");
    luaL_argcheck(L, output, 1, "output is missing");
    int top = lua_gettop(L);
    const char *const *words = push_words(L);
    struct lua_process *process = lua_newuserdatauv(L, sizeof(*process), 1);
    *process = (struct lua_process){.host = host_of(L), .child.pidfd = -1};
    luaL_setmetatable(L, PROCESS);
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, top + 2, 1);
    bind_anchor(L, top + 2, process);
    int err = start(process, words, output);
    if (!err)
        return 1;
    if (process->poll)
        forget(L, process);
    else
        bind_unanchor(L, process);
    child_stop(&process->child, 0);
    child_close(&process->child);
    return push_outcome(L, err);
}

/* process:stop(): ask it to end, as by SIGTERM; on_end is called when it has */
static int stop(lua_State *L)
{
    const struct lua_process *process = luaL_checkudata(L, 1, PROCESS);
    if (process->poll && process->child.pid)
        kill(process->child.pid, SIGTERM);
    return 0;
}

/* process:close(): end it, if it runs, without on_end; idempotent */
static int close_process(lua_State *L)
{
    struct lua_process *process = luaL_checkudata(L, 1, PROCESS);
    forget(L, process);
    child_stop(&process->child, GRACE_MS);
    child_close(&process->child);
    return 0;
}

void process_bind(lua_State *L)
{
    static const luaL_Reg functions[] = {{"process", open_process}, {NULL, NULL}};
    static const luaL_Reg methods[] = {{"stop", stop}, {"close", close_process}, {NULL, NULL}};
    bind_type(L, PROCESS, methods, close_process);
    luaL_setfuncs(L, functions, 0);
}
