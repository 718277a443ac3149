/* SPDX-License-Identifier: MIT */
/* A process's user value 1 is the table that it was made from; it stays in the registry, under its
 * address, until it has ended. */
#include "interp/bind_process.h"

#include "interp/bind.h"
#include "interp/host.h"
#include "runtime/stream.h"
#include "vmctl/child.h"

#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROCESS "qemunet.process"

/* How long it has to see to its own end when it is let go of. */
#define GRACE_MS 5000

/* What is still taken of what a source holds once the process has ended. Others may hold it open,
 * and write without end. */
#define DRAIN_MAX (1 << 20)

/* More is not queued for one that does not read. */
#define PENDING_MAX (1 << 20)

/* What is read of it: its outputs, and its messages, by a socket that is its standard input. */
enum { OUTPUT, ERRORS, MESSAGES, SOURCES };

struct source {
    struct lua_process *process;
    struct stream *stream; /* NULL: not wanted, or at its end */
};

struct lua_process {
    struct host *host;
    struct child child;
    uv_poll_t *poll; /* NULL: it has ended, or was never started */
    struct source sources[SOURCES];
};

static void close_source(struct source *source)
{
    stream_close(source->stream);
    source->stream = NULL;
}

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
    for (int i = 0; i < SOURCES; i++)
        close_source(&process->sources[i]);
    process->host->machines--;
    bind_unanchor(L, process);
}

static void tell(struct source *source, const char *data, size_t n)
{
    struct lua_process *process = source->process;
    lua_State *L = process->host->L;
    bool is_message = source == &process->sources[MESSAGES];
    if (!bind_push_callback(L, process, is_message ? "on_message" : "on_output"))
        return;
    lua_pushlstring(L, data, n);
    if (!is_message)
        lua_pushstring(L, source == &process->sources[ERRORS] ? "stderr" : "stdout");
    host_call(process->host, is_message ? 1 : 2);
}

/* Take what is there without waiting for the loop. A callback may close the process. */
static void drain(struct source *source)
{
    char data[4096];
    for (size_t taken = 0; source->stream && taken < DRAIN_MAX;) {
        ssize_t n = read(stream_fd(source->stream), data, sizeof(data));
        if (n <= 0)
            return;
        tell(source, data, (size_t)n);
        taken += (size_t)n;
    }
}

/* What it has put out before a message is told before the message. */
static void on_data(void *arg, const char *data, size_t n)
{
    struct source *source = arg;
    struct lua_process *process = source->process;
    lua_State *L = process->host->L;
    lua_rawgetp(L, LUA_REGISTRYINDEX, process); /* keeps it while callbacks run */
    if (source == &process->sources[MESSAGES]) {
        drain(&process->sources[OUTPUT]);
        drain(&process->sources[ERRORS]);
    }
    tell(source, data, n);
    lua_pop(L, 1);
}

static void on_end(void *arg, int err)
{
    (void)err;
    close_source(arg);
}

static const struct stream_handler source_handler = {.data = on_data, .end = on_end};

/* Push exit status or nil, signal or 0. */
static void push_end(lua_State *L, int status)
{
    if (WIFEXITED(status))
        lua_pushinteger(L, WEXITSTATUS(status));
    else
        lua_pushnil(L);
    lua_pushinteger(L, WIFSIGNALED(status) ? WTERMSIG(status) : 0);
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
    lua_rawgetp(L, LUA_REGISTRYINDEX, process);
    for (int i = 0; i < SOURCES; i++)
        drain(&process->sources[i]);
    bool called = process->poll && bind_push_callback(L, process, "on_end");
    forget(L, process);
    child_close(&process->child);
    if (called) {
        push_end(L, status);
        host_call(host, 2);
    }
    lua_pop(L, 1);
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

/* Return: the process's end of a new source, or negative errno. */
static int open_source(struct lua_process *process, int kind)
{
    int ends[2];
    struct source *source = &process->sources[kind];
    if (kind == MESSAGES ? socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends)
                         : pipe2(ends, O_CLOEXEC))
        return -errno;
    *source = (struct source){.process = process};
    int err = stream_open(&source->stream, &process->host->loop, ends[0], &source_handler, source);
    if (!err)
        return ends[1];
    close(ends[1]);
    return err;
}

static int open_output(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    return fd < 0 ? -errno : fd;
}

/* @output: path of a file for both outputs; NULL: they are read. */
static int start(struct lua_process *process, const char *const *words, const char *output,
                 bool messages)
{
    int ends[SOURCES] = {0}, err = 0;
    for (int i = 0; i < SOURCES && !err; i++) {
        if (i == MESSAGES && !messages)
            continue;
        ends[i] = i != MESSAGES && output ? open_output(output) : open_source(process, i);
        err = ends[i] < 0 ? ends[i] : 0;
    }
    const struct child_spec spec = {.argv = words,
                                    .stdin_fd = ends[MESSAGES],
                                    .stdout_fd = ends[OUTPUT],
                                    .stderr_fd = ends[ERRORS],
                                    .death_signal = SIGTERM};
    if (!err)
        err = child_spawn(&spec, &process->child);
    for (int i = 0; i < SOURCES; i++) {
        if (ends[i] > 0)
            close(ends[i]);
    }
    return err ? err : watch(process);
}

static bool has_function(lua_State *L, const char *name)
{
    bool has = lua_getfield(L, 1, name) == LUA_TFUNCTION;
    lua_pop(L, 1);
    return has;
}

static void give_up(lua_State *L, struct lua_process *process)
{
    if (process->poll) {
        forget(L, process);
    } else {
        for (int i = 0; i < SOURCES; i++)
            close_source(&process->sources[i]);
        bind_unanchor(L, process);
    }
    child_stop(&process->child, 0);
    child_close(&process->child);
}

/* core.process{program, word, ..., output=path of a file that both its outputs are added to, or
 * on_output=fn(data, "stdout" or "stderr"), on_message=fn(data) of what it writes to the socket
 * that is its standard input, on_end=fn(status or nil, signal or 0), after all else} -> process,
 * which ends when we do; or nil and why */
static int open_process(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    const char *output = text_field(L, "output");
    luaL_argcheck(L, output || has_function(L, "on_output"), 1, "output is missing");
    bool messages = has_function(L, "on_message");
    int top = lua_gettop(L);
    const char *const *words = push_words(L);
    struct lua_process *process = lua_newuserdatauv(L, sizeof(*process), 1);
    *process = (struct lua_process){.host = host_of(L), .child.pidfd = -1};
    luaL_setmetatable(L, PROCESS);
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, top + 2, 1);
    bind_anchor(L, top + 2, process);
    int err = start(process, words, output, messages);
    if (!err)
        return 1;
    give_up(L, process);
    return push_outcome(L, err);
}

/* process:write(data, fd) -> true, or nil and why: to its standard input, with on_message, as long
 * as it takes what is written; with a copy of the descriptor, if one is given: then all that was
 * written before has to be taken */
static int write_message(lua_State *L)
{
    size_t n;
    const struct lua_process *process = luaL_checkudata(L, 1, PROCESS);
    const char *data = luaL_checklstring(L, 2, &n);
    lua_Integer fd = luaL_optinteger(L, 3, -1);
    struct stream *stream = process->sources[MESSAGES].stream;
    if (!stream)
        return push_outcome(L, -EPIPE);
    if (stream_pending(stream) > PENDING_MAX)
        return push_outcome(L, -ENOBUFS);
    return push_outcome(L, fd < 0 ? stream_write(stream, data, n)
                                  : stream_send_fd(stream, data, n, (int)fd));
}

/* process:stop(): ask it to end, as by SIGTERM; on_end is called when it has */
static int stop(lua_State *L)
{
    const struct lua_process *process = luaL_checkudata(L, 1, PROCESS);
    if (process->poll && process->child.pid)
        kill(process->child.pid, SIGTERM);
    return 0;
}

/* process:kill(): end it, and its process group, at once; on_end is called when it has */
static int kill_process(lua_State *L)
{
    const struct lua_process *process = luaL_checkudata(L, 1, PROCESS);
    if (process->poll && process->child.pid)
        kill(-process->child.pid, SIGKILL);
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
    static const luaL_Reg methods[] = {{"write", write_message},
                                       {"stop", stop},
                                       {"kill", kill_process},
                                       {"close", close_process},
                                       {NULL, NULL}};
    bind_type(L, PROCESS, methods, close_process);
    luaL_setfuncs(L, functions, 0);
}
