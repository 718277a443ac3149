/* SPDX-License-Identifier: MIT */
/* Warm templates as Lua objects. */
#include "interp/bind_template.h"

#include "interp/bind.h"
#include "interp/machine_config.h"
#include "vmctl/template.h"

#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TEMPLATE "qemunet.template"
#define DRAFT "qemunet.template_draft"
/* Computing a digest of so much took 5 ms. */
#define DIGEST_PIECE (32U << 20)

struct lua_template {
    struct template *t; /* NULL: closed */
};

struct lua_draft {
    struct template_draft *draft; /* NULL: over */
};

/* core.template_key({as core.machine}, more) -> key, or nil and why */
static int key_of(lua_State *L)
{
    struct lua_config config;
    char key[TEMPLATE_KEY_LEN + 1];
    const char *more = luaL_checkstring(L, 2);
    config_read(L, &config);
    int err = template_key(key, &config.qemu, more);
    if (err)
        return push_outcome(L, err);
    lua_pushstring(L, key);
    return 1;
}

/* core.template_open(key) -> template; or nil, why and whether it is damaged */
static int open_template(lua_State *L)
{
    const char *key = luaL_checkstring(L, 1);
    struct lua_template *self = lua_newuserdatauv(L, sizeof(*self), 0);
    self->t = NULL;
    luaL_setmetatable(L, TEMPLATE);
    int err = template_open(&self->t, key);
    if (!err)
        return 1;
    lua_pushnil(L);
    lua_pushstring(L, strerror(-err));
    lua_pushboolean(L, err == -EBADMSG);
    return 3;
}

static struct template *check_template(lua_State *L, int index)
{
    struct lua_template *self = luaL_checkudata(L, index, TEMPLATE);
    luaL_argcheck(L, self->t, index, "the template is closed");
    return self->t;
}

/* Push true when the work is done, false when there is more, or nil and why. */
static int push_progress(lua_State *L, int outcome)
{
    if (outcome < 0)
        return push_outcome(L, outcome);
    lua_pushboolean(L, outcome);
    return 1;
}

/* template:check() -> true when it is good, false when there is more to check; or nil and why */
static int check_method(lua_State *L)
{
    return push_progress(L, template_check(check_template(L, 1), DIGEST_PIECE));
}

/* template:is_unchanged() -> whether its files are as they were when they were checked */
static int unchanged_method(lua_State *L)
{
    lua_pushboolean(L, template_is_unchanged(check_template(L, 1)));
    return 1;
}

/* template:note() -> what draft:commit() was given */
static int note_method(lua_State *L)
{
    size_t n;
    const char *note = template_note(check_template(L, 1), &n);
    lua_pushlstring(L, note, n);
    return 1;
}

/* template:discard(): remove it from the cache; it is closed after that */
static int discard_method(lua_State *L)
{
    struct lua_template *self = luaL_checkudata(L, 1, TEMPLATE);
    if (self->t)
        template_discard(self->t);
    self->t = NULL;
    return 0;
}

/* template:close(): idempotent */
static int close_method(lua_State *L)
{
    struct lua_template *self = luaL_checkudata(L, 1, TEMPLATE);
    template_close(self->t);
    self->t = NULL;
    return 0;
}

/* core.template_begin(key, memory, disk or nil, its format) -> draft; or nil and why, which is nil
 * when another process makes it */
static int begin_template(lua_State *L)
{
    char *why = NULL;
    const char *key = luaL_checkstring(L, 1);
    uint64_t memory = (uint64_t)luaL_checkinteger(L, 2);
    const char *disk = luaL_optstring(L, 3, NULL), *format = luaL_optstring(L, 4, NULL);
    struct lua_draft *self = lua_newuserdatauv(L, sizeof(*self), 0);
    self->draft = NULL;
    luaL_setmetatable(L, DRAFT);
    int err = template_begin(&self->draft, key, memory, disk, format, &why);
    if (!err)
        return 1;
    lua_pushnil(L);
    lua_pushstring(L, err == -EWOULDBLOCK ? NULL : why ? why : strerror(-err));
    free(why);
    return 2;
}

static struct lua_draft *check_draft(lua_State *L, int index)
{
    struct lua_draft *self = luaL_checkudata(L, index, DRAFT);
    luaL_argcheck(L, self->draft, index, "the draft is over");
    return self;
}

/* draft:state_fd() -> the descriptor that the devices' state is to be written to */
static int state_fd_method(lua_State *L)
{
    lua_pushinteger(L, template_draft_files(check_draft(L, 1)->draft).state);
    return 1;
}

/* draft:digest() -> true when its digests are done, false when there is more; or nil and why */
static int digest_method(lua_State *L)
{
    return push_progress(L, template_digest(check_draft(L, 1)->draft, DIGEST_PIECE));
}

/* draft:commit(note) -> the template, or nil and why; it is over after that */
static int commit_method(lua_State *L)
{
    size_t n;
    struct lua_draft *self = check_draft(L, 1);
    const char *note = luaL_checklstring(L, 2, &n);
    struct template_draft *draft = self->draft;
    struct lua_template *made = lua_newuserdatauv(L, sizeof(*made), 0);
    made->t = NULL;
    luaL_setmetatable(L, TEMPLATE);
    self->draft = NULL;
    int err = template_commit(draft, note, n, &made->t);
    return err ? push_outcome(L, err) : 1;
}

/* draft:abort(): idempotent */
static int abort_method(lua_State *L)
{
    struct lua_draft *self = luaL_checkudata(L, 1, DRAFT);
    if (self->draft)
        template_abort(self->draft);
    self->draft = NULL;
    return 0;
}

/* core.template_evict(bytes) -> true, or nil and why */
static int evict(lua_State *L)
{
    return push_outcome(L, template_evict((uint64_t)luaL_checkinteger(L, 1)));
}

struct listing {
    lua_State *L;
    bool remove;
};

static bool list_one(void *arg, const char *path, uint64_t bytes, int64_t used)
{
    const struct listing *listing = arg;
    lua_State *L = listing->L;
    lua_createtable(L, 0, 3);
    lua_pushstring(L, path);
    lua_setfield(L, -2, "path");
    lua_pushinteger(L, (lua_Integer)bytes);
    lua_setfield(L, -2, "bytes");
    lua_pushnumber(L, (lua_Number)used / 1e9);
    lua_setfield(L, -2, "used");
    lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
    return listing->remove;
}

/* core.templates(remove) -> {{path=, bytes=, used=time of day},...}; removes them if asked */
static int list(lua_State *L)
{
    struct listing listing = {.L = L, .remove = lua_toboolean(L, 1)};
    lua_newtable(L);
    int err = template_each(list_one, &listing);
    return err ? push_outcome(L, err) : 1;
}

/* Point the disk at an open file, which is an overlay of the one that was asked for. */
static void use_disk(struct machine_config *config, struct machine_source *source, int fd,
                     bool writable)
{
    if (fd < 0)
        return;
    snprintf(source->disk, sizeof(source->disk), "/proc/self/fd/%d", fd);
    config->qemu.disk = source->disk;
    config->qemu.disk_format = "qcow2";
    config->qemu.disk_writable = writable;
    source->inherited[config->qemu.n_inherited++] = fd;
}

static void use_memory(struct machine_config *config, struct machine_source *source, int fd,
                       bool shared)
{
    config->qemu.memory_in_file = true;
    config->qemu.memory_shared = shared;
    config->qemu.memory_fd = fd;
    config->qemu.inherited = source->inherited;
}

static void go_on_from(lua_State *L, const struct template *t, struct machine_config *config,
                       struct machine_source *source)
{
    char path[32];
    struct template_files files = template_files(t);
    use_memory(config, source, files.memory, false);
    config->qemu.incoming = true;
    config->channel_note = text_field(L, "channel_note");
    luaL_argcheck(L, config->channel_note, 1, "template= goes with channel_note=");
    use_disk(config, source, files.disk, false);
    /* A description of its own: others read from theirs at the same time. */
    snprintf(path, sizeof(path), "/proc/self/fd/%d", files.state);
    source->state = open(path, O_RDONLY | O_CLOEXEC);
    if (source->state < 0)
        luaL_error(L, "cannot open a template's state: %s", strerror(errno));
    config->state_fd = source->state;
    source->inherited[config->qemu.n_inherited++] = source->state;
}

void template_apply(lua_State *L, struct machine_config *config, struct machine_source *source)
{
    source->state = -1;
    lua_getfield(L, 1, "template");
    lua_getfield(L, 1, "draft");
    if (!lua_isnil(L, -2)) {
        go_on_from(L, check_template(L, lua_absindex(L, -2)), config, source);
    } else if (!lua_isnil(L, -1)) {
        struct lua_draft *self = check_draft(L, lua_absindex(L, -1));
        struct template_files files = template_draft_files(self->draft);
        use_memory(config, source, files.memory, true);
        use_disk(config, source, files.disk, true);
    }
}

void template_bind(lua_State *L)
{
    static const luaL_Reg template_methods[] = {
        {"check", check_method}, {"is_unchanged", unchanged_method},
        {"note", note_method},   {"discard", discard_method},
        {"close", close_method}, {NULL, NULL}};
    static const luaL_Reg draft_methods[] = {{"state_fd", state_fd_method},
                                             {"digest", digest_method},
                                             {"commit", commit_method},
                                             {"abort", abort_method},
                                             {NULL, NULL}};
    static const luaL_Reg functions[] = {{"template_key", key_of},
                                         {"template_open", open_template},
                                         {"template_begin", begin_template},
                                         {"template_evict", evict},
                                         {"templates", list},
                                         {NULL, NULL}};
    bind_type(L, TEMPLATE, template_methods, close_method);
    bind_type(L, DRAFT, draft_methods, abort_method);
    luaL_setfuncs(L, functions, 0);
}
