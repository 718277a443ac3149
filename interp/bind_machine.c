/* SPDX-License-Identifier: MIT */
/* Machines and jobs as Lua objects. A machine's user value 1 is the table of its callbacks; a job's
 * is the table {output=, done=}. Both stay in the registry, under their address, while events can
 * come. */
#include "interp/bind_machine.h"

#include "interp/bind.h"
#include "interp/host.h"
#include "interp/json.h"
#include "runtime/bytes.h"
#include "runtime/clock.h"
#include "runtime/command.h"
#include "runtime/embed.h"
#include "runtime/machine.h"

#include <errno.h>
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#define MACHINE "qemunet.machine"
#define JOB "qemunet.job"
#define MAX_NICS 64
#define LARGE_OUTPUT ((size_t)1 << 20)
#define MAX_EXTRA 256

struct lua_machine {
    struct host *host;
    struct machine *machine; /* NULL: not open */
};

struct lua_job {
    struct host *host;
    struct job *job; /* NULL: ended */
};

struct lua_reply {
    struct host *host;
    int fn; /* registry reference */
};

static void anchor(lua_State *L, int index, const void *key)
{
    lua_pushvalue(L, index);
    lua_rawsetp(L, LUA_REGISTRYINDEX, key);
}

static void unanchor(lua_State *L, const void *key)
{
    lua_pushnil(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, key);
}

/* Push field @name of the callbacks of the object anchored under @key. Return: whether it is there;
 * if not, nothing is pushed. */
static bool push_callback(lua_State *L, const void *key, const char *name)
{
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, key) == LUA_TUSERDATA) {
        lua_getiuservalue(L, -1, 1);
        lua_getfield(L, -1, name);
        lua_replace(L, -3);
        lua_pop(L, 1);
    }
    if (lua_isfunction(L, -1))
        return true;
    lua_pop(L, 1);
    return false;
}

/* Jobs */

static void on_job_output(void *arg, enum job_stream which, const char *data, size_t n)
{
    struct lua_job *job = arg;
    lua_State *L = job->host->L;
    if (!push_callback(L, job, "output"))
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
    if (push_callback(L, job, "done")) {
        push_result(L, result);
        host_call(job->host, 1);
    }
    unanchor(L, job);
}

static void on_job_armed(void *arg)
{
    struct lua_job *job = arg;
    if (push_callback(job->host->L, job, "armed"))
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

/* Machines */

static struct lua_machine *check_machine(lua_State *L)
{
    struct lua_machine *machine = luaL_checkudata(L, 1, MACHINE);
    luaL_argcheck(L, machine->machine, 1, "the machine is closed");
    return machine;
}

static void on_state(void *arg, enum machine_state state, const char *why)
{
    struct lua_machine *machine = arg;
    lua_State *L = machine->host->L;
    if (!push_callback(L, machine, "on_state"))
        return;
    lua_pushstring(L, machine_state_name(state));
    lua_pushstring(L, why);
    host_call(machine->host, 2);
}

static void on_event(void *arg, const char *name, json_t *data)
{
    struct lua_machine *machine = arg;
    lua_State *L = machine->host->L;
    if (!push_callback(L, machine, "on_event"))
        return;
    lua_pushstring(L, name);
    json_to_lua(L, data);
    host_call(machine->host, 2);
}

static void on_console(void *arg, const char *data, size_t n)
{
    struct lua_machine *machine = arg;
    lua_State *L = machine->host->L;
    if (!push_callback(L, machine, "on_console"))
        return;
    lua_pushlstring(L, data, n);
    host_call(machine->host, 1);
}

static const struct machine_handler machine_handler = {
    .state = on_state, .event = on_event, .console = on_console};

/* machine:start{command=, stdin=, hold=, max_output=, timeout=, output=fn(stream, data),
 * armed=fn(), done=fn(result)}
 * -> job, or nil and why */
static int machine_start(lua_State *L)
{
    struct lua_machine *machine = check_machine(L);
    luaL_checktype(L, 2, LUA_TTABLE);
    struct job_spec spec = {.handler = &job_handler};
    lua_getfield(L, 2, "command");
    spec.command = luaL_checklstring(L, -1, &spec.n);
    lua_getfield(L, 2, "stdin");
    spec.with_stdin = lua_toboolean(L, -1);
    lua_getfield(L, 2, "hold");
    spec.hold = lua_toboolean(L, -1);
    lua_getfield(L, 2, "max_output");
    spec.max_output = (size_t)luaL_checkinteger(L, -1);
    lua_getfield(L, 2, "timeout");
    spec.timeout_ns = (int64_t)(luaL_optnumber(L, -1, 0) * CLOCK_NS_PER_S);
    struct channel *channel = machine_channel(machine->machine);
    if (!channel) {
        lua_pushnil(L);
        lua_pushfstring(L, "the machine is %s",
                        machine_state_name(machine_state(machine->machine)));
        return 2;
    }
    struct lua_job *job = lua_newuserdatauv(L, sizeof(*job), 1);
    *job = (struct lua_job){.host = machine->host};
    luaL_setmetatable(L, JOB);
    lua_pushvalue(L, 2);
    lua_setiuservalue(L, -2, 1);
    anchor(L, -1, job);
    spec.arg = job;
    int err = channel_start(channel, &spec, &job->job);
    if (err) {
        unanchor(L, job);
        return push_outcome(L, err);
    }
    return 1;
}

/* machine:crash(): cut the power */
static int machine_crash_method(lua_State *L)
{
    machine_crash(check_machine(L)->machine);
    return 0;
}

/* machine:poweroff(): ask the guest */
static int machine_poweroff_method(lua_State *L)
{
    return push_outcome(L, machine_poweroff(check_machine(L)->machine));
}

/* machine:settle(): it is up, by another way than its ports */
static int machine_settle_method(lua_State *L)
{
    machine_settle(check_machine(L)->machine);
    return 0;
}

/* machine:state() -> name */
static int machine_state_method(lua_State *L)
{
    lua_pushstring(L, machine_state_name(machine_state(check_machine(L)->machine)));
    return 1;
}

/* machine:console_tail() -> text */
static int machine_tail_method(lua_State *L)
{
    lua_pushstring(L, machine_console_tail(check_machine(L)->machine));
    return 1;
}

/* machine:console_write(text) */
static int machine_write_method(lua_State *L)
{
    size_t n;
    const char *data = luaL_checklstring(L, 2, &n);
    return push_outcome(L, machine_console_write(check_machine(L)->machine, data, n));
}

static void on_reply(void *arg, json_t *value, const char *error)
{
    struct lua_reply *reply = arg;
    lua_State *L = reply->host->L;
    lua_rawgeti(L, LUA_REGISTRYINDEX, reply->fn);
    luaL_unref(L, LUA_REGISTRYINDEX, reply->fn);
    json_to_lua(L, value);
    lua_pushstring(L, error);
    host_call(reply->host, 2);
    free(reply);
}

/* machine:qmp(command, arguments or nil, fn(value, error)) */
static int machine_qmp_method(lua_State *L)
{
    struct lua_machine *machine = check_machine(L);
    const char *name = luaL_checkstring(L, 2), *why = NULL;
    luaL_checktype(L, 4, LUA_TFUNCTION);
    json_t *arguments = lua_isnil(L, 3) ? NULL : json_from_lua(L, 3, &why);
    if (!lua_isnil(L, 3) && !arguments)
        return luaL_error(L, "arguments: %s", why);
    struct lua_reply *reply = malloc(sizeof(*reply));
    if (!reply) {
        json_decref(arguments);
        return luaL_error(L, "out of memory");
    }
    lua_settop(L, 4);
    *reply = (struct lua_reply){.host = machine->host, .fn = luaL_ref(L, LUA_REGISTRYINDEX)};
    int err = machine_qmp(machine->machine, name, arguments, on_reply, reply);
    if (err) {
        luaL_unref(L, LUA_REGISTRYINDEX, reply->fn);
        free(reply);
    }
    return push_outcome(L, err);
}

/* machine:pass_fd(name, fd): hand QEMU a copy of the descriptor, for the next command that names it
 */
static int machine_pass_fd_method(lua_State *L)
{
    struct machine *machine = check_machine(L)->machine;
    return push_outcome(
        L, machine_pass_fd(machine, luaL_checkstring(L, 2), (int)luaL_checkinteger(L, 3)));
}

static void close_machine(lua_State *L, struct lua_machine *machine)
{
    if (!machine->machine)
        return;
    machine_close(machine->machine);
    machine->machine = NULL;
    machine->host->machines--;
    unanchor(L, machine);
}

/* machine:close(): cut the power if it runs, and collect; idempotent */
static int machine_close_method(lua_State *L)
{
    close_machine(L, luaL_checkudata(L, 1, MACHINE));
    return 0;
}

/* Opening */

static const char *text_field(lua_State *L, const char *name)
{
    lua_getfield(L, 1, name);
    return luaL_optstring(L, -1, NULL); /* kept alive by its place in the table at 1 */
}

static lua_Number number_field(lua_State *L, const char *name, lua_Number otherwise)
{
    lua_getfield(L, 1, name);
    return luaL_optnumber(L, -1, otherwise);
}

static size_t read_nics(lua_State *L, struct qemu_nic *nics)
{
    lua_getfield(L, 1, "nics");
    size_t n = lua_istable(L, -1) ? lua_rawlen(L, -1) : 0;
    if (n > MAX_NICS)
        luaL_error(L, "more than %d network interfaces", MAX_NICS);
    for (size_t i = 0; i < n; i++) {
        lua_rawgeti(L, -1, (lua_Integer)i + 1);
        lua_getfield(L, -1, "fd");
        nics[i].fd = (int)luaL_checkinteger(L, -1);
        lua_getfield(L, -2, "number");
        nics[i].number = (unsigned)luaL_checkinteger(L, -1);
        lua_getfield(L, -3, "mac");
        unsigned m[6];
        if (sscanf(luaL_checkstring(L, -1), "%2x:%2x:%2x:%2x:%2x:%2x", &m[0], &m[1], &m[2], &m[3],
                   &m[4], &m[5]) != 6)
            luaL_error(L, "bad MAC address");
        for (int k = 0; k < 6; k++)
            nics[i].mac[k] = (uint8_t)m[k];
        lua_pop(L, 4);
    }
    lua_pop(L, 1);
    return n;
}

static void read_extra(lua_State *L, const char **extra)
{
    lua_getfield(L, 1, "extra");
    size_t n = lua_istable(L, -1) ? lua_rawlen(L, -1) : 0;
    if (n > MAX_EXTRA)
        luaL_error(L, "more than %d extra arguments", MAX_EXTRA);
    for (size_t i = 0; i < n; i++) {
        lua_rawgeti(L, -1, (lua_Integer)i + 1);
        extra[i] = luaL_checkstring(L, -1);
        lua_pop(L, 1);
    }
    extra[n] = NULL;
    lua_pop(L, 1);
}

/* core.guest_file(name) -> the text of a file of runtime/guest */
static int guest_file(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1);
    const struct embedded_file *file = embedded_find(embedded_guest, name);
    if (!file)
        return luaL_error(L, "no file %s for guests", name);
    lua_pushlstring(L, (const char *)file->data, file->size);
    return 1;
}

/* core.needs_shell(command) -> whether more than starting a program is asked for */
static int needs_shell(lua_State *L)
{
    struct bytes words = {0};
    lua_pushboolean(L, command_need(luaL_checkstring(L, 1), &words) != COMMAND_PROGRAM);
    bytes_free(&words);
    return 1;
}

/* core.machine{name=, kernel=, initrd=, append=, disk=, disk_format=, disk_writable=, memory=bytes,
 * cpus=, kvm=, nics={{number=,fd=,mac=},...}, extra={...}, console_log=, boot_timeout=s,
 * on_state=fn(state, why), on_event=fn(name, data), on_console=fn(data)} -> machine, or nil and why
 */
static int open_machine(lua_State *L)
{
    struct host *host = host_of(L);
    struct qemu_nic nics[MAX_NICS];
    const char *extra[MAX_EXTRA + 1];
    char *why = NULL;
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    struct lua_machine *machine = lua_newuserdatauv(L, sizeof(*machine), 1);
    *machine = (struct lua_machine){.host = host};
    luaL_setmetatable(L, MACHINE);
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, 2, 1);
    struct machine_config config = {
        .console_log = text_field(L, "console_log"),
        .boot_timeout_ns = (int64_t)(number_field(L, "boot_timeout", 60) * CLOCK_NS_PER_S),
        .handler = &machine_handler,
        .arg = machine,
    };
    config.qemu = (struct qemu_config){
        .name = text_field(L, "name"),
        .kernel = text_field(L, "kernel"),
        .initrd = text_field(L, "initrd"),
        .append = text_field(L, "append"),
        .disk = text_field(L, "disk"),
        .disk_format = text_field(L, "disk_format"),
        .memory = (uint64_t)number_field(L, "memory", 0),
        .cpus = (unsigned)number_field(L, "cpus", 1),
        .nics = nics,
        .n_nics = read_nics(L, nics),
        .extra = extra,
    };
    lua_getfield(L, 1, "kvm");
    config.qemu.kvm = lua_toboolean(L, -1);
    lua_getfield(L, 1, "disk_writable");
    config.qemu.disk_writable = lua_toboolean(L, -1);
    read_extra(L, extra);
    int err = machine_open(&machine->machine, &host->loop, host->timers, &config, &why);
    if (err) {
        lua_pushnil(L);
        lua_pushstring(L, why ? why : strerror(-err));
        free(why);
        return 2;
    }
    host->machines++;
    anchor(L, 2, machine);
    lua_pushvalue(L, 2);
    return 1;
}

static int machine_gc(lua_State *L)
{
    close_machine(L, luaL_checkudata(L, 1, MACHINE));
    return 0;
}

void machine_bind(lua_State *L)
{
    static const luaL_Reg machine_methods[] = {
        {"start", machine_start},
        {"crash", machine_crash_method},
        {"poweroff", machine_poweroff_method},
        {"settle", machine_settle_method},
        {"state", machine_state_method},
        {"console_tail", machine_tail_method},
        {"console_write", machine_write_method},
        {"qmp", machine_qmp_method},
        {"pass_fd", machine_pass_fd_method},
        {"close", machine_close_method},
        {NULL, NULL},
    };
    static const luaL_Reg job_methods[] = {
        {"kill", job_kill_method},       {"release", job_release_method},
        {"write", job_write_method},     {"close_stdin", job_close_stdin_method},
        {"pending", job_pending_method}, {NULL, NULL}};
    bind_type(L, MACHINE, machine_methods, machine_gc);
    bind_type(L, JOB, job_methods, NULL);
    lua_pushcfunction(L, open_machine);
    lua_setfield(L, -2, "machine");
    lua_pushcfunction(L, guest_file);
    lua_setfield(L, -2, "guest_file");
    lua_pushcfunction(L, needs_shell);
    lua_setfield(L, -2, "needs_shell");
}
