/* SPDX-License-Identifier: MIT */
/* A stream's user value 1 is the function that takes its data. It stays in the registry, under its
 * address, until it is closed. */
#include "interp/bind_stream.h"

#include "interp/bind.h"
#include "interp/host.h"
#include "runtime/stream.h"

#include <errno.h>
#include <lauxlib.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define STREAM "qemunet.stream"

struct lua_stream {
    struct host *host;
    struct stream *stream; /* NULL: closed */
};

static void on_data(void *arg, const char *data, size_t n)
{
    struct lua_stream *stream = arg;
    lua_State *L = stream->host->L;
    lua_rawgetp(L, LUA_REGISTRYINDEX, stream);
    lua_getiuservalue(L, -1, 1);
    lua_replace(L, -2);
    lua_pushlstring(L, data, n);
    host_call(stream->host, 1);
}

static void on_end(void *arg, int err)
{
    (void)arg; /* who waits for an answer has a deadline */
    (void)err;
}

static const struct stream_handler stream_handler = {.data = on_data, .end = on_end};

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

/* core.connect(name, fn(data)) -> stream to the socket of that name in Linux's abstract namespace;
 * or nil and why */
static int connect_stream(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1);
    luaL_checktype(L, 2, LUA_TFUNCTION);
    struct lua_stream *stream = lua_newuserdatauv(L, sizeof(*stream), 1);
    *stream = (struct lua_stream){.host = host_of(L)};
    luaL_setmetatable(L, STREAM);
    lua_pushvalue(L, 2);
    lua_setiuservalue(L, -2, 1);
    int fd = connect_abstract(name);
    int err = fd < 0
                  ? fd
                  : stream_open(&stream->stream, &stream->host->loop, fd, &stream_handler, stream);
    if (err)
        return push_outcome(L, err);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, stream);
    return 1;
}

void stream_bind(lua_State *L)
{
    static const luaL_Reg methods[] = {
        {"write", write_method}, {"close", close_method}, {NULL, NULL}};
    bind_type(L, STREAM, methods, close_method);
    lua_pushcfunction(L, connect_stream);
    lua_setfield(L, -2, "connect");
}
