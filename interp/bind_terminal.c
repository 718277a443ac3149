/* SPDX-License-Identifier: MIT */
/* The functions that the library gives are in the registry: complete and keys under the address of
 * the terminal, the one that takes the line under that of its request. */
#include "interp/bind_terminal.h"

#include "interp/bind.h"
#include "interp/host.h"
#include "interp/stop.h"
#include "interp/task.h"
#include "runtime/progress.h"
#include "runtime/terminal.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

struct lua_terminal {
    struct host *host;
    struct terminal *terminal;
    void (*turn)(struct host *host);
    char *prompt, *text; /* of the line that is asked for; NULL: none is */
    bool editing;
    bool taking;    /* the keys, unedited */
    bool prompting; /* there is a prompt to go back to */
};

static const char line_key; /* its address is the key of the function that takes the line */

static void call_handler(struct lua_terminal *self, const char *name, const char *data, size_t n)
{
    lua_State *L = self->host->L;
    lua_rawgetp(L, LUA_REGISTRYINDEX, self);
    lua_getfield(L, -1, name);
    lua_replace(L, -2);
    lua_pushlstring(L, data, n);
    host_call(self->host, 1);
}

static bool on_turn(void *arg)
{
    struct lua_terminal *self = arg;
    self->turn(self->host);
    return !self->host->finished;
}

static void on_complete(void *arg, const char *before, size_t n)
{
    call_handler(arg, "complete", before, n);
}

static void on_keys(void *arg, const char *data, size_t n)
{
    call_handler(arg, "keys", data, n);
}

static const struct terminal_handler terminal_handler = {
    .turn = on_turn, .complete = on_complete, .keys = on_keys};

static struct lua_terminal *check_terminal(lua_State *L)
{
    struct lua_terminal *self = host_of(L)->terminal;
    if (!self)
        luaL_error(L, "the terminal is not open");
    return self;
}

/* core.is_terminal() -> whether standard input and output are terminals */
static int is_terminal(lua_State *L)
{
    lua_pushboolean(L, terminal_is_there());
    return 1;
}

/* core.terminal_open{complete=fn(text before the cursor), keys=fn(data)} -> true, or nil and why */
static int open_terminal(lua_State *L)
{
    struct host *host = host_of(L);
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_argcheck(L, !host->terminal, 1, "the terminal is open already");
    struct lua_terminal *self = calloc(1, sizeof(*self));
    if (!self)
        return luaL_error(L, "out of memory");
    self->host = host;
    int err = terminal_open(&self->terminal, &host->loop, &terminal_handler, self);
    if (err) {
        free(self);
        return push_outcome(L, err);
    }
    host->terminal = self;
    bind_anchor(L, 1, self);
    return push_outcome(L, 0);
}

static void forget_request(struct lua_terminal *self)
{
    free(self->prompt);
    free(self->text);
    self->prompt = self->text = NULL;
}

static void hide(void *arg)
{
    const struct lua_terminal *self = arg;
    terminal_hide(self->terminal);
}

/* core.edit(prompt, text, fn): have a line read, with the text typed already, as soon as the loop
 * turns. Calls fn(how, line): "line", "end" (of the input), "interrupted", "stopped", "too long".
 */
static int edit(lua_State *L)
{
    struct lua_terminal *self = check_terminal(L);
    const char *prompt = luaL_checkstring(L, 1), *text = luaL_checkstring(L, 2);
    luaL_checktype(L, 3, LUA_TFUNCTION);
    luaL_argcheck(L, !self->prompt, 1, "a line is asked for already");
    self->prompt = strdup(prompt);
    self->text = strdup(text);
    if (!self->prompt || !self->text) {
        forget_request(self);
        return luaL_error(L, "out of memory");
    }
    lua_pushvalue(L, 3);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &line_key);
    uv_stop(&self->host->loop); /* the line comes first */
    return 0;
}

/* core.edit_stop() -> whether fn is called yet: the line is not wanted any more */
static int stop_edit(lua_State *L)
{
    struct lua_terminal *self = check_terminal(L);
    if (self->editing)
        terminal_stop(self->terminal);
    else
        forget_request(self);
    lua_pushboolean(L, self->editing);
    return 1;
}

/* core.insert(text): at the cursor; from complete() */
static int insert(lua_State *L)
{
    terminal_insert(check_terminal(L)->terminal, luaL_checkstring(L, 1));
    return 0;
}

/* core.remember(line): for the arrow keys */
static int remember(lua_State *L)
{
    terminal_remember(check_terminal(L)->terminal, luaL_checkstring(L, 1));
    return 0;
}

/* core.take_keys() -> true, or nil and why: keys() gets them unedited until core.give_keys() */
static int take_keys(lua_State *L)
{
    struct lua_terminal *self = check_terminal(L);
    progress_hold(self->host->progress, true);
    self->taking = true;
    return push_outcome(L, terminal_take_keys(self->terminal));
}

/* core.give_keys(): idempotent */
static int give_keys(lua_State *L)
{
    struct lua_terminal *self = check_terminal(L);
    progress_hold(self->host->progress, false);
    self->taking = false;
    terminal_give_keys(self->terminal);
    return 0;
}

/* core.prompting(boolean): whether there is a prompt to go back to, so that Ctrl-C ends no more
 * than a call, and a run in which all wait is no deadlock */
static int set_prompting(lua_State *L)
{
    struct lua_terminal *self = check_terminal(L);
    self->prompting = lua_toboolean(L, 1) && terminal_is_there();
    stop_calls_only(self->prompting);
    if (!self->prompting)
        terminal_restore();
    return 0;
}

bool terminal_wanted(const struct host *host)
{
    return host->terminal && host->terminal->prompt && !host->terminal->editing;
}

static void tell(struct host *host, enum terminal_outcome outcome, const char *line, size_t size)
{
    static const char *const names[] = {
        [TERMINAL_LINE] = "line",
        [TERMINAL_END] = "end",
        [TERMINAL_INTERRUPTED] = "interrupted",
        [TERMINAL_STOPPED] = "stopped",
        [TERMINAL_TOO_LONG] = "too long",
    };
    lua_State *L = host->L;
    lua_rawgetp(L, LUA_REGISTRYINDEX, &line_key);
    lua_pushstring(L, names[outcome]);
    if (line)
        lua_pushlstring(L, line, size);
    else
        lua_pushnil(L);
    host_call(host, 2);
}

void terminal_serve(struct host *host, void (*turn)(struct host *host))
{
    struct lua_terminal *self = host->terminal;
    char *line = NULL, *prompt = self->prompt, *text = self->text;
    size_t size;
    self->prompt = self->text = NULL;
    self->turn = turn;
    self->editing = true;
    if (terminal_is_there())
        progress_edit(host->progress, hide, self);
    enum terminal_outcome outcome = terminal_edit(self->terminal, prompt, text, &line, &size);
    progress_edit(host->progress, NULL, NULL);
    self->editing = false;
    tell(host, outcome, line, size);
    free(prompt);
    free(text);
    free(line);
}

bool terminal_attended(const struct host *host)
{
    const struct lua_terminal *self = host->terminal;
    return self && (self->editing || self->prompting || self->taking);
}

bool terminal_interrupted(struct host *host)
{
    return host->terminal && terminal_interrupt(host->terminal->terminal);
}

void terminal_unbind(struct host *host)
{
    struct lua_terminal *self = host->terminal;
    if (!self)
        return;
    terminal_close(self->terminal);
    forget_request(self);
    free(self);
    host->terminal = NULL;
}

void terminal_bind(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"is_terminal", is_terminal},
        {"terminal_open", open_terminal},
        {"edit", edit},
        {"edit_stop", stop_edit},
        {"insert", insert},
        {"remember", remember},
        {"take_keys", take_keys},
        {"give_keys", give_keys},
        {"prompting", set_prompting},
        {NULL, NULL},
    };
    luaL_setfuncs(L, functions, 0);
}
