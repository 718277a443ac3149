/* SPDX-License-Identifier: MIT */
/* The watch's user value 1 is the function that it calls. It stays in the registry, under its
 * address, until it is closed. */
#include "interp/bind_input.h"

#include "interp/bind.h"
#include "interp/host.h"

#include <errno.h>
#include <lauxlib.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#define INPUT "qemunet.input"

/* The loop would make a descriptor that it watches non-blocking, for all who have it open: it
 * watches one of ours, which watches the standard input. */
struct lua_input {
    struct host *host;
    uv_poll_t *poll; /* NULL: closed */
    int fd;
};

static void on_ready(uv_poll_t *poll, int status, int events)
{
    struct lua_input *self = poll->data;
    lua_State *L = self->host->L;
    (void)status;
    (void)events;
    uv_poll_stop(poll);
    lua_rawgetp(L, LUA_REGISTRYINDEX, self);
    lua_getiuservalue(L, -1, 1);
    lua_remove(L, -2);
    host_call(self->host, 0);
}

static void on_freed(uv_handle_t *handle)
{
    free(handle);
}

/* Return: 0 or negative errno; -EPERM: what the standard input is cannot be watched, as a file. */
static int watch_input(int *out)
{
    struct epoll_event event = {.events = EPOLLIN};
    int fd = epoll_create1(EPOLL_CLOEXEC);
    if (fd < 0)
        return -errno;
    if (epoll_ctl(fd, EPOLL_CTL_ADD, STDIN_FILENO, &event)) {
        int err = -errno;
        close(fd);
        return err;
    }
    *out = fd;
    return 0;
}

static int begin(struct lua_input *self)
{
    int err = watch_input(&self->fd);
    if (err)
        return err;
    uv_poll_t *poll = malloc(sizeof(*poll));
    err = poll ? uv_poll_init(&self->host->loop, poll, self->fd) : -ENOMEM;
    if (err) {
        free(poll);
        close(self->fd);
        return err;
    }
    poll->data = self;
    self->poll = poll;
    self->host->reading++;
    return uv_poll_start(poll, UV_READABLE, on_ready);
}

static bool is_ready(void)
{
    struct pollfd fd = {.fd = STDIN_FILENO, .events = POLLIN};
    return poll(&fd, 1, 0) > 0;
}

/* core.input(fn()) -> watch, which calls fn once, when the standard input has something to read, or
 * its end; while it is open the run is no deadlock. Or nil: reading does not wait */
static int open_input(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    if (is_ready())
        return 0;
    struct lua_input *self = lua_newuserdatauv(L, sizeof(*self), 1);
    *self = (struct lua_input){.host = host_of(L)};
    luaL_setmetatable(L, INPUT);
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, -2, 1);
    int err = begin(self);
    if (err)
        return push_outcome(L, err);
    bind_anchor(L, -1, self);
    return 1;
}

/* watch:close(); idempotent */
static int close_method(lua_State *L)
{
    struct lua_input *self = luaL_checkudata(L, 1, INPUT);
    if (!self->poll)
        return 0;
    self->host->reading--;
    uv_close((uv_handle_t *)self->poll, on_freed);
    close(self->fd);
    self->poll = NULL;
    bind_unanchor(L, self);
    return 0;
}

/* What was read ahead would not show that it is there. A file is never waited for. */
static void read_no_further(void)
{
    struct stat status;
    if (fstat(STDIN_FILENO, &status) == 0 && !S_ISREG(status.st_mode))
        setvbuf(stdin, NULL, _IONBF, 0);
}

void input_bind(lua_State *L)
{
    static const luaL_Reg functions[] = {{"input", open_input}, {NULL, NULL}};
    static const luaL_Reg methods[] = {{"close", close_method}, {NULL, NULL}};
    read_no_further();
    bind_type(L, INPUT, methods, close_method);
    luaL_setfuncs(L, functions, 0);
}
