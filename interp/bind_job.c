/* SPDX-License-Identifier: MIT */
/* Jobs as Lua objects. A job's user value 1 is the table that it was started with, with its
 * callbacks; it stays in the registry, under its address, while events can come. */
#include "interp/bind_job.h"

#include "interp/bind.h"
#include "interp/host.h"
#include "runtime/clock.h"

#include <errno.h>
#include <stdlib.h>

#define JOB "qemunet.job"
#define LARGE_OUTPUT ((size_t)1 << 20)

struct lua_job {
    struct host *host;
    struct job *job; /* NULL: ended */
};

static void on_job_output(void *arg, enum job_stream which, const char *data, size_t n)
{
    struct lua_job *job = arg;
    lua_State *L = job->host->L;
    if (!bind_push_callback(L, job, "output"))
        return;
    lua_pushstring(L, which == JOB_STDOUT ? "stdout" : "stderr");
    lua_pushlstring(L, data, n);
    host_call(job->host, 2);
}

static void set_seconds(lua_State *L, const char *name, int64_t ns)
{
    lua_pushnumber(L, (double)ns / CLOCK_NS_PER_S);
    lua_setfield(L, -2, name);
}

/* A block that the next allocation of exactly @size takes instead of a new one. */
struct adoption {
    lua_Alloc alloc;
    void *arg, *block;
    size_t size;
};

static void *adopt(void *arg, void *old, size_t old_size, size_t size)
{
    struct adoption *adoption = arg;
    if (old || !adoption->block || size != adoption->size)
        return adoption->alloc(adoption->arg, old, old_size, size);
    void *block = adoption->block;
    adoption->block = NULL;
    return block;
}

/* Push a large output. The block in which it was gathered becomes the string, if a string's head
 * has the size of the room left for it: Lua then copies the bytes onto themselves, and no second
 * copy of them is ever held. Its allocator and ours are both malloc. May raise for want of memory;
 * the block is then still the result's. */
static void push_large(lua_State *L, struct job_result *result, int which)
{
    size_t size = JOB_HEADROOM + result->n_out[which] + 1;
    char *block = realloc(result->block[which], size);
    if (block)
        result->block[which] = block;
    struct adoption adoption = {.block = block, .size = size};
    adoption.alloc = lua_getallocf(L, &adoption.arg);
    lua_setallocf(L, adopt, &adoption);
    lua_pushlstring(L, result->block[which] + JOB_HEADROOM, result->n_out[which]);
    lua_setallocf(L, adoption.alloc, adoption.arg);
    if (!adoption.block)
        result->block[which] = NULL;
}

static void push_output(lua_State *L, struct job_result *result, int which)
{
    if (result->n_out[which] >= LARGE_OUTPUT)
        push_large(L, result, which);
    else
        lua_pushlstring(L, result->out[which], result->n_out[which]);
}

static void push_result(lua_State *L, struct job_result *result)
{
    lua_createtable(L, 0, 12);
    push_output(L, result, JOB_STDOUT);
    lua_setfield(L, -2, "stdout");
    push_output(L, result, JOB_STDERR);
    lua_setfield(L, -2, "stderr");
    lua_pushboolean(L, result->timed_out);
    lua_setfield(L, -2, "timed_out");
    lua_pushboolean(L, result->truncated);
    lua_setfield(L, -2, "truncated");
    if (result->has_status) {
        lua_pushinteger(L, result->status);
        lua_setfield(L, -2, "status");
    }
    if (result->signal) {
        lua_pushinteger(L, result->signal);
        lua_setfield(L, -2, "signal");
    }
    if (result->error) {
        lua_pushstring(L, result->error);
        lua_setfield(L, -2, "error");
    }
    if (result->started >= 0)
        set_seconds(L, "started", result->started);
    set_seconds(L, "finished", result->finished);
}

static void on_job_end(void *arg, struct job_result *result)
{
    struct lua_job *job = arg;
    lua_State *L = job->host->L;
    job->job = NULL;
    if (bind_push_callback(L, job, "done")) {
        push_result(L, result);
        host_call(job->host, 1);
    }
    bind_unanchor(L, job);
}

static void on_job_armed(void *arg)
{
    struct lua_job *job = arg;
    if (bind_push_callback(job->host->L, job, "armed"))
        host_call(job->host, 0);
}

static const struct job_handler job_handler = {
    .armed = on_job_armed, .output = on_job_output, .end = on_job_end};

static struct lua_job *check_job(lua_State *L)
{
    return luaL_checkudata(L, 1, JOB);
}

/* job:kill(signal name without SIG) */
static int job_kill_method(lua_State *L)
{
    struct lua_job *job = check_job(L);
    const char *name = luaL_checkstring(L, 2);
    return push_outcome(L, job->job ? job_kill(job->job, name) : -ESRCH);
}

/* job:release(): let a held job begin */
static int job_release_method(lua_State *L)
{
    struct lua_job *job = check_job(L);
    return push_outcome(L, job->job ? job_release(job->job) : -ESRCH);
}

/* job:write(data) */
static int job_write_method(lua_State *L)
{
    size_t n;
    struct lua_job *job = check_job(L);
    const char *data = luaL_checklstring(L, 2, &n);
    return push_outcome(L, job->job ? job_write(job->job, data, n) : -EPIPE);
}

/* job:pending() -> bytes of standard input that the guest has not taken yet */
static int job_pending_method(lua_State *L)
{
    struct lua_job *job = check_job(L);
    lua_pushinteger(L, job->job ? (lua_Integer)job_pending(job->job) : 0);
    return 1;
}

/* job:close_stdin() */
static int job_close_stdin_method(lua_State *L)
{
    struct lua_job *job = check_job(L);
    return push_outcome(L, job->job ? job_close_stdin(job->job) : 0);
}

/* Read the table at 2. Stack: the command's text stays on it. */
static void read_spec(lua_State *L, struct job_spec *spec)
{
    lua_getfield(L, 2, "stdin");
    spec->with_stdin = lua_toboolean(L, -1);
    lua_getfield(L, 2, "identity");
    spec->identity = lua_toboolean(L, -1);
    lua_getfield(L, 2, "hold");
    spec->hold = lua_toboolean(L, -1);
    lua_getfield(L, 2, "max_output");
    spec->max_output = (size_t)luaL_checkinteger(L, -1);
    lua_getfield(L, 2, "timeout");
    spec->timeout_ns = (int64_t)(luaL_optnumber(L, -1, 0) * CLOCK_NS_PER_S);
    lua_getfield(L, 2, "command");
    spec->command = luaL_checklstring(L, -1, &spec->n);
}

int job_start_method(lua_State *L, job_start_fn *start, void *node)
{
    luaL_checktype(L, 2, LUA_TTABLE);
    struct job_spec spec = {.handler = &job_handler};
    read_spec(L, &spec);
    struct lua_job *job = lua_newuserdatauv(L, sizeof(*job), 1);
    *job = (struct lua_job){.host = host_of(L)};
    luaL_setmetatable(L, JOB);
    lua_pushvalue(L, 2);
    lua_setiuservalue(L, -2, 1);
    bind_anchor(L, -1, job);
    spec.arg = job;
    int err = start(node, &spec, &job->job);
    if (err) {
        bind_unanchor(L, job);
        return push_outcome(L, err);
    }
    return 1;
}

void job_bind(lua_State *L)
{
    static const luaL_Reg methods[] = {
        {"kill", job_kill_method},       {"release", job_release_method},
        {"write", job_write_method},     {"close_stdin", job_close_stdin_method},
        {"pending", job_pending_method}, {NULL, NULL}};
    bind_type(L, JOB, methods, NULL);
}
