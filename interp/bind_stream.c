/* SPDX-License-Identifier: MIT */
/* A stream's user value 1 is the function that takes its data. It stays in the registry, under its
 * address, until it is closed. */
#include "interp/bind_stream.h"

#include "interp/bind.h"
#include "interp/host.h"
#include "interp/stop.h"
#include "runtime/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define STREAM "qemunet.stream"

struct lua_stream {
    struct host *host;
    struct stream *stream; /* NULL: closed */
};

/* Push the function that takes the data, and the stream itself above it. */
static lua_State *push_function(struct lua_stream *stream)
{
    lua_State *L = stream->host->L;
    lua_rawgetp(L, LUA_REGISTRYINDEX, stream);
    lua_getiuservalue(L, -1, 1);
    lua_insert(L, -2);
    return L;
}

/* @data: NULL for nil. */
static void push_data(lua_State *L, const char *data, size_t n)
{
    if (data)
        lua_pushlstring(L, data, n);
    else
        lua_pushnil(L);
}

static void on_data(void *arg, const char *data, size_t n)
{
    struct lua_stream *stream = arg;
    lua_State *L = push_function(stream);
    lua_pop(L, 1);
    push_data(L, data, n);
    host_call(stream->host, 1);
}

static void on_end(void *arg, int err)
{
    (void)arg; /* who waits for an answer has a deadline */
    (void)err;
}

static const struct stream_handler stream_handler = {.data = on_data, .end = on_end};

static void on_parent_gone(void *arg, int err)
{
    (void)err;
    if (!stop_reason())
        raise(SIGTERM);
    on_data(arg, NULL, 0);
}

static const struct stream_handler parent_handler = {.data = on_data, .end = on_parent_gone};

static void on_session_data(void *arg, const char *data, size_t n)
{
    struct lua_stream *stream = arg;
    lua_State *L = push_function(stream);
    push_data(L, data, n);
    host_call(stream->host, 2);
}

static void on_session_end(void *arg, int err)
{
    (void)err;
    on_session_data(arg, NULL, 0);
}

static const struct stream_handler session_handler = {.data = on_session_data,
                                                      .end = on_session_end};

static struct lua_stream *check_stream(lua_State *L)
{
    return luaL_checkudata(L, 1, STREAM);
}

/* stream:write(data) -> true; or nil and why */
static int write_method(lua_State *L)
{
    size_t n;
    struct lua_stream *stream = check_stream(L);
    const char *data = luaL_checklstring(L, 2, &n);
    return push_outcome(L, stream->stream ? stream_write(stream->stream, data, n) : -EPIPE);
}

/* stream:pending() -> bytes that the other end has not taken yet */
static int pending_method(lua_State *L)
{
    struct lua_stream *stream = check_stream(L);
    lua_pushinteger(L, stream->stream ? (lua_Integer)stream_pending(stream->stream) : 0);
    return 1;
}

/* stream:finish() -> true: nothing more is written; or nil and why */
static int finish_method(lua_State *L)
{
    struct lua_stream *stream = check_stream(L);
    return push_outcome(L, stream->stream ? stream_finish(stream->stream) : -EPIPE);
}

/* stream:close(); idempotent */
static int close_method(lua_State *L)
{
    struct lua_stream *stream = check_stream(L);
    stream_close(stream->stream);
    stream->stream = NULL;
    lua_pushnil(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, stream);
    return 0;
}

/* Return: a connected socket, or negative errno. */
static int connect_abstract(const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t n = strlen(name);
    if (n + 1 > sizeof(address.sun_path))
        return -ENAMETOOLONG;
    memcpy(address.sun_path + 1, name, n);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + n);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, size)) {
        int err = -errno;
        close(fd);
        return err;
    }
    return fd < 0 ? -errno : fd;
}

/* Push a stream over @fd, which is taken, whose data goes to the function at @fn; for a negative
 * errno, or when it fails, nil and why. Return: the number of values. */
static int push_stream(lua_State *L, int fn, int fd, const struct stream_handler *handler)
{
    if (fd < 0)
        return push_outcome(L, fd);
    struct lua_stream *stream = lua_newuserdatauv(L, sizeof(*stream), 1);
    *stream = (struct lua_stream){.host = host_of(L)};
    luaL_setmetatable(L, STREAM);
    lua_pushvalue(L, fn);
    lua_setiuservalue(L, -2, 1);
    int err = stream_open(&stream->stream, &stream->host->loop, fd, handler, stream);
    if (err)
        return push_outcome(L, err);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, stream);
    return 1;
}

/* core.connect(name, fn(data)) -> stream to the socket of that name in Linux's abstract namespace;
 * or nil and why */
static int connect_stream(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1);
    luaL_checktype(L, 2, LUA_TFUNCTION);
    return push_stream(L, 2, connect_abstract(name), &stream_handler);
}

int stream_push_session(lua_State *L, int fn, int fd)
{
    return push_stream(L, fn, fd, &session_handler);
}

/* Return: the socket that is our standard input, which is /dev/null from then on; or negative
 * errno. */
static int take_input(void)
{
    struct stat st;
    if (fstat(0, &st) || !S_ISSOCK(st.st_mode))
        return -ENOTSOCK;
    int fd = fcntl(0, F_DUPFD_CLOEXEC, 3), null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int err = fd < 0 || null < 0 || dup2(null, 0) < 0 ? -errno : 0;
    if (null >= 0)
        close(null);
    if (err && fd >= 0)
        close(fd);
    return err ? err : fd;
}

/* core.parent(fn(data)) -> stream to the process that has started this one with core.process and
 * on_message: it is our standard input. When that one is gone, this one stops, as by SIGTERM, and
 * data is nil. Or nil and why */
static int open_parent(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    return push_stream(L, 1, take_input(), &parent_handler);
}

void stream_bind(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"connect", connect_stream}, {"parent", open_parent}, {NULL, NULL}};
    static const luaL_Reg methods[] = {
        {"write", write_method},
        {"pending", pending_method},
        {"finish", finish_method},
        {"close", close_method},
        {NULL, NULL},
    };
    bind_type(L, STREAM, methods, close_method);
    luaL_setfuncs(L, functions, 0);
}
