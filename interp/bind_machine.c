/* SPDX-License-Identifier: MIT */
/* Machines as Lua objects. A machine's user value 1 is the table of its callbacks; it stays in the
 * registry, under its address, while events can come. */
#include "interp/bind_machine.h"

#include "interp/bind.h"
#include "interp/bind_job.h"
#include "interp/bind_template.h"
#include "interp/host.h"
#include "interp/json.h"
#include "interp/machine_config.h"
#include "runtime/bytes.h"
#include "runtime/clock.h"
#include "runtime/command.h"
#include "runtime/embed.h"
#include "runtime/machine.h"
#include "vmctl/seed.h"

#include <errno.h>
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MACHINE "qemunet.machine"
#define MAX_SEED_FILES 8

struct lua_machine {
    struct host *host;
    struct machine *machine; /* NULL: not open */
};

struct lua_reply {
    struct host *host;
    int fn; /* registry reference */
};

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
    if (!bind_push_callback(L, machine, "on_state"))
        return;
    lua_pushstring(L, machine_state_name(state));
    lua_pushstring(L, why);
    host_call(machine->host, 2);
}

static void on_event(void *arg, const char *name, json_t *data)
{
    struct lua_machine *machine = arg;
    lua_State *L = machine->host->L;
    if (!bind_push_callback(L, machine, "on_event"))
        return;
    lua_pushstring(L, name);
    json_to_lua(L, data);
    host_call(machine->host, 2);
}

static void on_console(void *arg, const char *data, size_t n)
{
    struct lua_machine *machine = arg;
    lua_State *L = machine->host->L;
    if (!bind_push_callback(L, machine, "on_console"))
        return;
    lua_pushlstring(L, data, n);
    host_call(machine->host, 1);
}

static const struct machine_handler machine_handler = {
    .state = on_state, .event = on_event, .console = on_console};

static int start_on_channel(void *channel, const struct job_spec *spec, struct job **out)
{
    return channel_start(channel, spec, out);
}

/* machine:start{...} -> job, or nil and why; see job_start_method() */
static int machine_start(lua_State *L)
{
    struct machine *machine = check_machine(L)->machine;
    struct channel *channel = machine_channel(machine);
    if (channel)
        return job_start_method(L, start_on_channel, channel);
    lua_pushnil(L);
    lua_pushfstring(L, "the machine is %s", machine_state_name(machine_state(machine)));
    return 2;
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

/* machine:is_served() -> whether its guest takes identities; see start{identity=true} */
static int machine_served_method(lua_State *L)
{
    struct channel *channel = machine_channel(check_machine(L)->machine);
    lua_pushboolean(L, channel && channel_is_served(channel));
    return 1;
}

/* machine:prepare(whether): have the units that a template is to have started, or as ever */
static int machine_prepare_method(lua_State *L)
{
    struct channel *channel = machine_channel(check_machine(L)->machine);
    if (channel)
        channel_prepare(channel, lua_toboolean(L, 2));
    return 0;
}

/* machine:channel_note() -> what a copy of the machine goes on with; false while it is busy; or nil
 * and why there is none */
static int machine_note_method(lua_State *L)
{
    char note[CHANNEL_NOTE_MAX];
    const struct channel *channel = machine_channel(check_machine(L)->machine);
    int err = channel ? channel_note(channel, note) : -EPIPE;
    if (err == -EAGAIN)
        lua_pushboolean(L, false);
    else if (err)
        return push_outcome(L, err);
    else
        lua_pushstring(L, note);
    return 1;
}

/* machine:pid() -> the process of QEMU, or nil when it has ended */
static int machine_pid_method(lua_State *L)
{
    pid_t pid = machine_pid(check_machine(L)->machine);
    if (pid > 0)
        lua_pushinteger(L, pid);
    else
        lua_pushnil(L);
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

/* machine:console_pending() -> the bytes written to it that the guest has not taken */
static int machine_pending_method(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)machine_console_pending(check_machine(L)->machine));
    return 1;
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

/* core.machine_qmp(machine, command, arguments or nil, fn(value, error)): no method, since a script
 * that has a machine is not to have its monitor, which writes files */
static int qmp_command(lua_State *L)
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

/* core.machine_pass_fd(machine, name, fd): hand QEMU a copy of the descriptor, for the next command
 * that names it */
static int pass_fd(lua_State *L)
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
    bind_unanchor(L, machine);
}

/* machine:close(): cut the power if it runs, and collect; idempotent */
static int machine_close_method(lua_State *L)
{
    close_machine(L, luaL_checkudata(L, 1, MACHINE));
    return 0;
}

/* Opening */

/* The texts stay alive in the table. Return: how many. */
static size_t read_seed(lua_State *L, struct seed_file *files)
{
    size_t n = 0;
    if (lua_getfield(L, 1, "seed") != LUA_TTABLE) {
        lua_pop(L, 1);
        return 0;
    }
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1), n++) {
        if (n == MAX_SEED_FILES || lua_type(L, -2) != LUA_TSTRING || lua_type(L, -1) != LUA_TSTRING)
            luaL_error(L, "seed: want at most %d texts by their names", MAX_SEED_FILES);
        files[n].name = lua_tostring(L, -2);
        files[n].data = lua_tolstring(L, -1, &files[n].size);
    }
    lua_pop(L, 1);
    return n;
}

/* Opens it with its seed volume, if it has one, which is QEMU's alone then. */
static int open_with_seed(struct lua_machine *machine, struct machine_config *config,
                          const struct seed_file *files, size_t n, char **why)
{
    int fd = n ? seed_make(files, n) : 0;
    if (fd < 0)
        return fd;
    config->qemu.seed_fd = fd;
    int err =
        machine_open(&machine->machine, &machine->host->loop, machine->host->timers, config, why);
    if (fd)
        close(fd);
    return err;
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

/* core.guest_version() -> a text that changes with the programs that are put into guests */
static int guest_version(lua_State *L)
{
    lua_pushfstring(L, "%I", (lua_Integer)channel_version());
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

/* core.machine{name=, arch=, kernel=, initrd=, append=, disk=, disk_format=, disk_writable=, root=,
 * seed={[file]=text,...} (a volume of these), memory=bytes, cpus=, kvm=, confined=, generation_id=,
 * nics={{number=,fd=,mac=},...}, extra={...}, console_log=, boot_timeout=s,
 * template= to go on from, with channel_note=, or draft= to make a template of,
 * on_state=fn(state, why), on_event=fn(name, data), on_console=fn(data)} -> machine, or nil and why
 */
static int open_machine(lua_State *L)
{
    struct host *host = host_of(L);
    struct lua_config description;
    struct machine_source source;
    struct seed_file seed[MAX_SEED_FILES];
    char *why = NULL;
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    struct lua_machine *machine = lua_newuserdatauv(L, sizeof(*machine), 1);
    *machine = (struct lua_machine){.host = host};
    luaL_setmetatable(L, MACHINE);
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, 2, 1);
    config_read(L, &description);
    struct machine_config config = {
        .qemu = description.qemu,
        .console_log = text_field(L, "console_log"),
        .boot_timeout_ns = (int64_t)(config_number(L, "boot_timeout", 60) * CLOCK_NS_PER_S),
        .handler = &machine_handler,
        .arg = machine,
    };
    size_t n_seed = read_seed(L, seed);
    template_apply(L, &config, &source);
    int err = open_with_seed(machine, &config, seed, n_seed, &why);
    if (source.state >= 0)
        close(source.state);
    if (err) {
        lua_pushnil(L);
        lua_pushstring(L, why ? why : strerror(-err));
        free(why);
        return 2;
    }
    host->machines++;
    bind_anchor(L, 2, machine);
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
        {"is_served", machine_served_method},
        {"prepare", machine_prepare_method},
        {"channel_note", machine_note_method},
        {"pid", machine_pid_method},
        {"console_tail", machine_tail_method},
        {"console_write", machine_write_method},
        {"console_pending", machine_pending_method},
        {"close", machine_close_method},
        {NULL, NULL},
    };
    static const luaL_Reg functions[] = {
        {"machine", open_machine},
        {"machine_qmp", qmp_command},
        {"machine_pass_fd", pass_fd},
        {"guest_file", guest_file},
        {"guest_version", guest_version},
        {"needs_shell", needs_shell},
        {NULL, NULL},
    };
    bind_type(L, MACHINE, machine_methods, machine_gc);
    luaL_setfuncs(L, functions, 0);
}
