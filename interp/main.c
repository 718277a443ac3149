/* SPDX-License-Identifier: MIT */
#include "interp/bind_container.h"
#include "interp/bind_terminal.h"
#include "interp/bind_trigger.h"
#include "interp/host.h"
#include "interp/library.h"
#include "interp/stop.h"
#include "interp/task.h"
#include "runtime/clock.h"
#include "runtime/fabric/fabric.h"
#include "runtime/link_samples.h"
#include "runtime/progress.h"
#include "runtime/record.h"
#include "runtime/strain.h"
#include "runtime/timers.h"

#include <dirent.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* The machinery failed: see the exit statuses in the README. */
#define STATUS_MACHINERY 3

static int open_host(struct host *host)
{
    int err = uv_loop_init(&host->loop);
    if (!err)
        err = timers_open(&host->timers, &host->loop);
    if (!err)
        err = scheduler_open(host);
    if (!err)
        err = stop_open(host);
    return err ? err : library_open(host);
}

static void report_leak(uv_handle_t *handle, void *arg)
{
    if (uv_is_closing(handle))
        return;
    fprintf(stderr, "qemunet: internal error: a %s handle was left open\n",
            uv_handle_type_name(handle->type));
    *(bool *)arg = true;
}

/* As many descriptors as this process is allowed: a machine with one interface takes 13 and a host
 * five, and each of their commands two or more. */
static void raise_limit(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files))
        return;
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
}

/* What is opened later is not to be taken for the standard streams. */
static void hold_standard_streams(void)
{
    int fd;
    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= 2);
    if (fd > 2)
        close(fd);
}

static int count_descriptors(void)
{
    int n = 0;
    DIR *folder = opendir("/proc/self/fd");
    while (folder && readdir(folder))
        n++;
    if (folder)
        closedir(folder);
    return n;
}

/* Return: whether something of the run is still there that should not be: descriptors beyond the
 * @before that were open at the start, or a child process. */
static bool left_behind(int before)
{
    int now = count_descriptors();
    bool child = waitpid(-1, NULL, WNOHANG | __WALL) >= 0;
    if (now > before)
        fprintf(stderr, "qemunet: internal error: %d descriptors were left open\n", now - before);
    if (child)
        fprintf(stderr, "qemunet: internal error: a child process was left\n");
    return now > before || child;
}

/* Machines go first, while what they report to is still there; lua_close() stops what is left. */
static void close_host(struct host *host)
{
    bool leaked = false;
    terminal_unbind(host);
    lua_close(host->L);
    container_unbind(host);
    trigger_unbind(host);
    link_samples_close(host->link_samples);
    fabric_stop(host->fabric);
    record_close(host->record);
    strain_close(host->strain);
    progress_close(host->progress);
    stop_close(host);
    scheduler_close(host);
    timers_close(host->timers);
    uv_walk(&host->loop, report_leak, &leaked);
    while (uv_run(&host->loop, UV_RUN_DEFAULT))
        ; /* it was asked to stop before */
    uv_loop_close(&host->loop);
    uv_library_shutdown();
    if (leaked && host->status == 0)
        host->status = STATUS_MACHINERY;
}

/* The library's entry, stdlib/program/cli.lua, as the first task, with the command line's words. */
static int spawn_main(lua_State *L)
{
    char **argv = lua_touserdata(L, 1);
    lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    lua_getfield(L, -1, "qemunet.core");
    lua_getfield(L, -1, "spawn");
    lua_getglobal(L, "require");
    lua_pushliteral(L, "qemunet.program.cli");
    lua_call(L, 1, 1);
    lua_newtable(L);
    for (int i = 1; argv[i]; i++) {
        lua_pushstring(L, argv[i]);
        lua_rawseti(L, -2, i);
    }
    lua_call(L, 2, 0);
    return 0;
}

static bool is_alone(const struct host *host)
{
    return host->machines == 0 && host->watching == 0 && host->reading == 0 &&
           !terminal_attended(host);
}

static void turn(struct host *host)
{
    bool more = scheduler_run(host);
    if (host->finished)
        return;
    if (!more && is_alone(host) && scheduler_stalled(host) && !stop_reason() &&
        !terminal_wanted(host))
        stop_deadlock(host);
    else
        uv_run(&host->loop, more ? UV_RUN_NOWAIT : UV_RUN_ONCE);
}

/* A line is edited down here, below the loop, which turns within. */
static void run(struct host *host)
{
    while (!host->finished) {
        if (terminal_wanted(host))
            terminal_serve(host, turn);
        else
            turn(host);
    }
}

int main(int argc, char **argv)
{
    struct host host = {0};
    bool check_leaks = getenv("QEMUNET_CHECK_LEAKS") != NULL; /* set by the tests */
    (void)argc;
    hold_standard_streams();
    int descriptors = check_leaks ? count_descriptors() : 0;
    raise_limit();
    clock_start();
    int err = open_host(&host);
    if (err) {
        fprintf(stderr, "qemunet: cannot start: %s\n", strerror(-err));
        return STATUS_MACHINERY;
    }
    lua_pushcfunction(host.L, spawn_main);
    lua_pushlightuserdata(host.L, argv);
    if (lua_pcall(host.L, 1, 0, 0) != LUA_OK)
        host_fail(&host, STATUS_MACHINERY, lua_tostring(host.L, -1));
    run(&host);
    close_host(&host);
    return check_leaks && left_behind(descriptors) ? STATUS_MACHINERY : host.status;
}
