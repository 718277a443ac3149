/* SPDX-License-Identifier: MIT */
#include "interp/task.h"

#include "interp/bind.h"
#include "interp/host.h"
#include "interp/place.h"
#include "interp/stop.h"
#include "interp/watchdog.h"
#include "runtime/clock.h"
#include "runtime/timers.h"

#include <errno.h>
#include <lauxlib.h>
#include <math.h>
#include <stdlib.h>

#define TASK "qemunet.task"
#define FUTURE "qemunet.future"

/* Some 400 MB of those that scripts start. */
#define MAX_TASKS 200000

/* A year: longer waits are as good as endless, and their nanoseconds stay far from overflow. */
#define WAIT_MAX_S (366.0 * 86400)

/* READY -> RUNNING -> WAITING -> READY ... -> ENDED. A task that is not ENDED is anchored in the
 * registry under its address; one that is WAITING is in the queue of each future that it waits for,
 * and those futures are kept alive by the table on its own stack. */
enum task_state { TASK_READY, TASK_RUNNING, TASK_WAITING, TASK_ENDED };

/* A task's place in the queue of a future. It is the task's, which frees it; either may go first: a
 * script can close a coroutine inside which a task waits. */
struct waiter {
    struct task *task;
    struct future *future; /* NULL: in no queue any more */
    int place;             /* of the future in the awaited list */
    struct waiter *prev, *next;
};

/* User value 1: the values that it was set to, once it is. */
struct future {
    bool set;
    struct waiter *first, *last;
};

/* A task is a future too, set when it ends; user value 1 is its coroutine until then. */
struct task {
    struct future ended; /* first: see check_future() */
    struct host *host;
    lua_State *co;
    enum task_state state;
    int n_args;             /* on co's stack for the next resume */
    bool begun;             /* it was resumed */
    bool optional;          /* cancelled before it has begun, it does not begin */
    bool cancelled;         /* raise CANCEL at the next resume */
    bool unwinding;         /* it was raised */
    bool waited;            /* at least once */
    bool quiet;             /* what it does is not activity */
    int woken_by;           /* place in the awaited list of the future that woke it; 0: the timer */
    struct waiter *waiters; /* one for each future that it waits for */
    int n_waiters;
    struct timer timer;
    struct task *next_ready;
    struct task *prev, *next; /* all that have not ended */
};

struct scheduler {
    struct task *root; /* the first one, which winds the others up: never cancelled with them */
    struct task *running;
    struct task *foreground; /* the one that Ctrl-C at a prompt interrupts */
    struct task *ready, **ready_end;
    struct task *all;
    int n;       /* of them */
    bool wanted; /* somebody waits for the future of activity */
    bool active; /* something has happened since it was asked for */
    int barred;  /* resumptions under way, by the running task, that cannot be suspended */
};

/* Addresses used as unique values: in scripts' hands, and as keys of the registry. */
static const char cancel_value, wait_sentinel, activity_key, end_key;

void task_push_cancel(lua_State *L)
{
    lua_pushlightuserdata(L, (void *)&cancel_value);
}

int scheduler_open(struct host *host)
{
    host->scheduler = calloc(1, sizeof(*host->scheduler));
    if (!host->scheduler)
        return -ENOMEM;
    host->scheduler->ready_end = &host->scheduler->ready;
    return 0;
}

void scheduler_close(struct host *host)
{
    free(host->scheduler);
    host->scheduler = NULL;
}

static void make_ready(struct task *task)
{
    struct scheduler *s = task->host->scheduler;
    timer_stop(task->host->timers, &task->timer);
    task->state = TASK_READY;
    task->next_ready = NULL;
    *s->ready_end = task;
    s->ready_end = &task->next_ready;
}

/* Futures */

static struct future *check_future(lua_State *L, int arg)
{
    struct task *task = luaL_testudata(L, arg, TASK);
    return task ? &task->ended : luaL_checkudata(L, arg, FUTURE);
}

/* core.future() -> future */
static int new_future(lua_State *L)
{
    struct future *future = lua_newuserdatauv(L, sizeof(*future), 1);
    *future = (struct future){0};
    luaL_setmetatable(L, FUTURE);
    return 1;
}

static void enter_queue(struct waiter *waiter)
{
    struct future *future = waiter->future;
    waiter->prev = future->last;
    if (future->last)
        future->last->next = waiter;
    else
        future->first = waiter;
    future->last = waiter;
}

static void leave_queue(struct waiter *waiter)
{
    struct future *future = waiter->future;
    if (!future)
        return;
    if (waiter->prev)
        waiter->prev->next = waiter->next;
    else
        future->first = waiter->next;
    if (waiter->next)
        waiter->next->prev = waiter->prev;
    else
        future->last = waiter->prev;
    waiter->future = NULL;
}

static void forget_waits(struct task *task)
{
    for (int i = 0; i < task->n_waiters; i++)
        leave_queue(&task->waiters[i]);
    free(task->waiters);
    task->waiters = NULL;
    task->n_waiters = 0;
}

static void wake_waiters(struct future *future)
{
    future->set = true;
    for (struct waiter *waiter; (waiter = future->first);) {
        struct task *task = waiter->task;
        leave_queue(waiter);
        if (task->state != TASK_WAITING)
            continue;
        task->woken_by = waiter->place;
        make_ready(task);
    }
}

/* future:set(...) -> whether it was not set before */
static int future_set(lua_State *L)
{
    struct future *future = luaL_checkudata(L, 1, FUTURE);
    if (future->set) {
        lua_pushboolean(L, false);
        return 1;
    }
    int n = lua_gettop(L) - 1;
    lua_createtable(L, n, 1);
    lua_insert(L, 2);
    for (int i = n; i > 0; i--)
        lua_rawseti(L, 2, i);
    lua_pushinteger(L, n);
    lua_setfield(L, 2, "n");
    lua_setiuservalue(L, 1, 1);
    wake_waiters(future);
    lua_pushboolean(L, true);
    return 1;
}

/* future:is_set() -> boolean */
static int future_is_set(lua_State *L)
{
    lua_pushboolean(L, check_future(L, 1)->set);
    return 1;
}

/* future:values() -> what it was set to */
static int future_values(lua_State *L)
{
    const struct future *future = luaL_checkudata(L, 1, FUTURE);
    luaL_argcheck(L, future->set, 1, "the future is not set yet");
    lua_getiuservalue(L, 1, 1);
    lua_getfield(L, -1, "n");
    int n = (int)lua_tointeger(L, -1);
    lua_pop(L, 1);
    luaL_checkstack(L, n, "too many values");
    for (int i = 1; i <= n; i++)
        lua_rawgeti(L, 2, i);
    return n;
}

static int future_gc(lua_State *L)
{
    struct future *future = check_future(L, 1);
    while (future->first)
        leave_queue(future->first);
    return 0;
}

/* Waiting */

static struct task *running_task(lua_State *L)
{
    struct task *task = host_of(L)->scheduler->running;
    if (!task)
        luaL_error(L, "this call waits, and can only be made from a task");
    return task;
}

static int find_set(lua_State *L, int list)
{
    int n = (int)lua_rawlen(L, list);
    for (int i = 1; i <= n; i++) {
        lua_rawgeti(L, list, i);
        bool set = check_future(L, -1)->set;
        lua_pop(L, 1);
        if (set)
            return i;
    }
    return 0;
}

static int raise_cancel(lua_State *L, struct task *task)
{
    task->cancelled = false;
    task->unwinding = true;
    task_push_cancel(L);
    return lua_error(L);
}

/* Serves the wait that ended at once and the one that was resumed. */
static int finish_wait(lua_State *L, int status, lua_KContext ctx)
{
    struct task *task = running_task(L);
    (void)status;
    (void)ctx;
    forget_waits(task);
    if (task->cancelled)
        return raise_cancel(L, task);
    if (task->woken_by)
        lua_pushinteger(L, task->woken_by);
    else
        lua_pushnil(L);
    return 1;
}

/* Raise unless all between the caller and its task's beginning can be suspended. */
static void check_suspendable(lua_State *L, struct task *task)
{
    if (lua_isyieldable(L) && (L == task->co || task->host->scheduler->barred == 0))
        return;
    char place[LUA_IDSIZE + 16];
    place_text(L, place, sizeof(place));
    lua_pushfstring(L,
                    "%s: a wait is not possible inside a call that Lua cannot suspend "
                    "(table.sort, string.gsub, a metamethod such as __gc or __tostring, a message "
                    "handler)",
                    place);
    lua_error(L);
}

static void on_wait_timer(void *arg)
{
    struct task *task = arg;
    task->woken_by = 0;
    make_ready(task);
}

/* Have the task wait for the futures of the list at 1. May raise (memory). */
static void begin_waits(lua_State *L, struct task *task)
{
    int n = (int)lua_rawlen(L, 1);
    forget_waits(task);
    if (n == 0)
        return;
    task->waiters = calloc((size_t)n, sizeof(*task->waiters));
    if (!task->waiters)
        return (void)luaL_error(L, "out of memory");
    for (; task->n_waiters < n; task->n_waiters++) {
        int place = task->n_waiters + 1;
        lua_rawgeti(L, 1, place);
        struct waiter *waiter = &task->waiters[task->n_waiters];
        *waiter = (struct waiter){.task = task, .future = check_future(L, -1), .place = place};
        enter_queue(waiter);
        lua_pop(L, 1);
    }
}

/* core.wait(list of futures, seconds or nil) -> place of the first that is set, or nil when the
 * time has passed */
static int task_wait(lua_State *L)
{
    struct task *task = running_task(L);
    luaL_checktype(L, 1, LUA_TTABLE);
    double seconds = luaL_optnumber(L, 2, INFINITY);
    lua_settop(L, 1);
    task->woken_by = find_set(L, 1);
    if (task->woken_by || task->cancelled)
        return finish_wait(L, LUA_OK, 0);
    check_suspendable(L, task);
    begin_waits(L, task);
    if (seconds < WAIT_MAX_S &&
        timer_start(task->host->timers, &task->timer,
                    clock_now() + (int64_t)(fmax(seconds, 0) * (double)CLOCK_NS_PER_S)))
        return luaL_error(L, "out of memory");
    task->state = TASK_WAITING;
    task->waited = true;
    lua_pushlightuserdata(L, (void *)&wait_sentinel);
    return lua_yieldk(L, 1, 0, finish_wait);
}

/* core.is_wait(value) -> whether a coroutine that yielded this waits in core.wait, so that what
 * resumed it must pass the yield on with core.pass_wait() and then resume it again */
static int is_wait(lua_State *L)
{
    lua_pushboolean(L, lua_touserdata(L, 1) == &wait_sentinel);
    return 1;
}

/* core.pass_wait(): yield as core.wait does, for a wait inside a coroutine of the script's own */
static int pass_wait(lua_State *L)
{
    lua_pushlightuserdata(L, (void *)&wait_sentinel);
    return lua_yield(L, 1);
}

/* core.bar(change): more or fewer resumptions are under way that cannot be suspended */
static int bar(lua_State *L)
{
    host_of(L)->scheduler->barred += (int)luaL_checkinteger(L, 1);
    return 0;
}

/* core.is_outermost() -> whether the caller's coroutine is the task's own, not one of the script's
 */
static int is_outermost(lua_State *L)
{
    const struct task *task = host_of(L)->scheduler->running;
    lua_pushboolean(L, task && task->co == L);
    return 1;
}

/* Tasks */

static struct task *check_task(lua_State *L, int arg)
{
    return luaL_checkudata(L, arg, TASK);
}

static int task_gc(lua_State *L)
{
    forget_waits(check_task(L, 1));
    return future_gc(L);
}

static void link_task(struct task *task)
{
    struct scheduler *s = task->host->scheduler;
    task->next = s->all;
    if (s->all)
        s->all->prev = task;
    s->all = task;
    s->n++;
}

static void unlink_task(struct task *task)
{
    task->host->scheduler->n--;
    if (task->prev)
        task->prev->next = task->next;
    else
        task->host->scheduler->all = task->next;
    if (task->next)
        task->next->prev = task->prev;
}

static int spawn(lua_State *L, bool optional)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    if (optional && host_of(L)->scheduler->n >= MAX_TASKS) {
        lua_pushnil(L);
        lua_pushfstring(L, "more than %d tasks at once", MAX_TASKS);
        return 2;
    }
    int n = lua_gettop(L);
    struct task *task = lua_newuserdatauv(L, sizeof(*task), 1);
    *task = (struct task){
        .host = host_of(L), .n_args = n - 1, .optional = optional, .timer.fn = on_wait_timer};
    task->timer.arg = task;
    task->quiet = task->host->scheduler->running && task->host->scheduler->running->quiet;
    task->state = TASK_ENDED; /* until it holds what it needs */
    luaL_setmetatable(L, TASK);
    task->co = lua_newthread(L);
    lua_setiuservalue(L, -2, 1);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, task);
    lua_insert(L, 1);
    luaL_checkstack(task->co, n, "too many arguments");
    lua_xmove(L, task->co, n);
    if (!task->host->scheduler->root)
        task->host->scheduler->root = task;
    link_task(task);
    make_ready(task);
    return 1;
}

/* core.spawn(fn, ...) -> task, that will call fn(...) when the loop turns. fn must not raise; what
 * it returns goes to the function of core.on_task_end(). */
static int spawn_thread(lua_State *L)
{
    return spawn(L, false);
}

/* core.spawn_optional(fn, ...) -> task, likewise, or nil and why not; when it is cancelled before
 * fn was called, that is not called, and the function of core.on_task_end() is given false, CANCEL
 */
static int spawn_optional(lua_State *L)
{
    return spawn(L, true);
}

/* core.current() -> the running task; false in a callback of the loop */
static int current(lua_State *L)
{
    const struct task *task = host_of(L)->scheduler->running;
    lua_pushboolean(L, false);
    if (task)
        lua_rawgetp(L, LUA_REGISTRYINDEX, task);
    return 1;
}

static void cancel_task(struct task *task)
{
    if (task->state == TASK_ENDED)
        return;
    task->cancelled = true;
    if (task->state == TASK_WAITING)
        make_ready(task);
}

/* core.cancel(task, once): raise CANCEL where the task waits, or will wait next; once: unless that
 * was done before */
static int task_cancel(lua_State *L)
{
    struct task *task = check_task(L, 1);
    if (!task->unwinding || !lua_toboolean(L, 2))
        cancel_task(task);
    return 0;
}

void scheduler_cancel_all(struct host *host)
{
    for (struct task *task = host->scheduler->all; task; task = task->next) {
        if (task != host->scheduler->root)
            cancel_task(task);
    }
}

/* core.cancel_point(): raise CANCEL if the running task was cancelled, as a wait would */
static int cancel_point(lua_State *L)
{
    struct task *task = host_of(L)->scheduler->running;
    return task && task->cancelled ? raise_cancel(L, task) : 0;
}

/* core.foreground(task or nil): the task that the person at a prompt waits for */
static int set_foreground(lua_State *L)
{
    struct task *task = lua_isnoneornil(L, 1) ? NULL : check_task(L, 1);
    host_of(L)->scheduler->foreground = task && task->state != TASK_ENDED ? task : NULL;
    return 0;
}

void scheduler_cancel_foreground(struct host *host)
{
    if (host->scheduler->foreground)
        cancel_task(host->scheduler->foreground);
}

bool scheduler_in_foreground(const struct host *host)
{
    const struct scheduler *s = host->scheduler;
    return s && s->foreground && s->running == s->foreground;
}

/* core.on_task_end(fn): calls fn(task, what its function returned...) at each task's end */
static int on_task_end(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    lua_settop(L, 1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &end_key);
    return 0;
}

/* The results are the top @n_results of the task's stack. */
static void tell_end(struct task *task, int n_results)
{
    lua_State *L = task->host->L;
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &end_key) != LUA_TFUNCTION ||
        !lua_checkstack(L, n_results + 2)) {
        lua_pop(L, 1);
        return;
    }
    lua_rawgetp(L, LUA_REGISTRYINDEX, task);
    lua_xmove(task->co, L, n_results);
    bool active = task->host->scheduler->active;
    host_call(task->host, n_results + 1);
    task->host->scheduler->active = active || !task->quiet;
}

static void end_task(lua_State *L, struct task *task)
{
    timer_stop(task->host->timers, &task->timer);
    forget_waits(task);
    task->state = TASK_ENDED;
    unlink_task(task);
    if (task->host->scheduler->foreground == task)
        task->host->scheduler->foreground = NULL;
    lua_resetthread(task->co);
    lua_rawgetp(L, LUA_REGISTRYINDEX, task);
    lua_pushnil(L);
    lua_setiuservalue(L, -2, 1);
    lua_pop(L, 1);
    wake_waiters(&task->ended);
    lua_pushnil(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, task);
}

/* The stdlib's entry function catches what a script raises, so an error here is one of ours. */
static void report_failure(struct task *task)
{
    lua_State *L = task->host->L;
    luaL_traceback(L, task->co, luaL_tolstring(task->co, -1, NULL), 0);
    host_fail(task->host, 3, lua_tostring(L, -1));
    lua_pop(L, 1);
}

static void drop_task(struct task *task)
{
    lua_settop(task->co, 0);
    lua_pushboolean(task->co, false);
    task_push_cancel(task->co);
    tell_end(task, 2);
    end_task(task->host->L, task);
}

static void run_task(struct task *task)
{
    struct host *host = task->host;
    int n_results = 0;
    if (task->cancelled && task->optional && !task->begun) {
        drop_task(task);
        return;
    }
    task->begun = true;
    task->state = TASK_RUNNING;
    host->scheduler->running = task;
    host->scheduler->barred = 0;
    watchdog_begin(&host->watchdog);
    int status = lua_resume(task->co, host->L, task->n_args, &n_results);
    watchdog_end(host, task->co);
    host->scheduler->running = NULL;
    host->scheduler->active |= !task->quiet;
    task->n_args = 0;
    if (status == LUA_YIELD && task->state != TASK_RUNNING) {
        lua_pop(task->co, n_results);
        return;
    }
    if (status == LUA_YIELD) {
        lua_pop(task->co, n_results);
        lua_pushliteral(task->co, "coroutine.yield() outside a coroutine");
    }
    if (status == LUA_OK)
        tell_end(task, n_results);
    else
        report_failure(task);
    end_task(host->L, task);
}

/* Activity */

/* core.activity() -> a future that is set when something has happened from now on: a task that is
 * not quiet ran, or the loop called the library */
static int activity(lua_State *L)
{
    struct scheduler *s = host_of(L)->scheduler;
    s->active = false;
    if (s->wanted && lua_rawgetp(L, LUA_REGISTRYINDEX, &activity_key) == LUA_TUSERDATA)
        return 1;
    new_future(L);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &activity_key);
    s->wanted = true;
    return 1;
}

/* core.quiet(boolean): whether what the running task does, and what it spawns, is no activity */
static int quiet(lua_State *L)
{
    running_task(L)->quiet = lua_toboolean(L, 1);
    return 0;
}

/* core.waited(task) -> whether it ever waited */
static int waited(lua_State *L)
{
    lua_pushboolean(L, check_task(L, 1)->waited);
    return 1;
}

void scheduler_activity(struct host *host)
{
    if (host->scheduler)
        host->scheduler->active = true;
}

static void tell_activity(struct host *host)
{
    struct scheduler *s = host->scheduler;
    if (!s->wanted || !s->active)
        return;
    s->wanted = false;
    lua_rawgetp(host->L, LUA_REGISTRYINDEX, &activity_key);
    wake_waiters(check_future(host->L, -1));
    lua_pop(host->L, 1);
}

/* The rest of a list of ready tasks, before those that have become ready since. */
static void put_first(struct scheduler *s, struct task *rest, struct task **end)
{
    if (!rest)
        return;
    *end = s->ready;
    if (!s->ready)
        s->ready_end = end;
    s->ready = rest;
}

bool scheduler_run(struct host *host)
{
    struct scheduler *s = host->scheduler;
    tell_activity(host);
    struct task *batch = s->ready, **batch_end = s->ready_end;
    s->ready = NULL;
    s->ready_end = &s->ready;
    while (batch && !host->finished) {
        struct task *task = batch;
        batch = task->next_ready;
        run_task(task);
        if (stop_is_near())
            break; /* the loop has it cancel those that are left */
    }
    put_first(s, batch, batch_end);
    return s->ready != NULL;
}

bool scheduler_stalled(const struct host *host)
{
    return !host->scheduler->ready && timers_running(host->timers) == 0;
}

lua_State *scheduler_running(const struct host *host)
{
    const struct scheduler *s = host->scheduler;
    return s && s->running ? s->running->co : NULL;
}

void task_bind(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"future", new_future},
        {"wait", task_wait},
        {"is_wait", is_wait},
        {"pass_wait", pass_wait},
        {"bar", bar},
        {"is_outermost", is_outermost},
        {"spawn", spawn_thread},
        {"spawn_optional", spawn_optional},
        {"current", current},
        {"cancel", task_cancel},
        {"cancel_point", cancel_point},
        {"foreground", set_foreground},
        {"on_task_end", on_task_end},
        {"activity", activity},
        {"quiet", quiet},
        {"waited", waited},
        {NULL, NULL},
    };
    static const luaL_Reg future_methods[] = {
        {"set", future_set}, {"is_set", future_is_set}, {"values", future_values}, {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
    task_push_cancel(L);
    lua_setfield(L, -2, "CANCEL");
    static const luaL_Reg task_methods[] = {{"is_set", future_is_set}, {NULL, NULL}};
    bind_type(L, FUTURE, future_methods, future_gc);
    bind_type(L, TASK, task_methods, task_gc);
}
