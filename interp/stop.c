/* SPDX-License-Identifier: MIT */
#include "interp/stop.h"

#include "interp/bind_terminal.h"
#include "interp/host.h"
#include "interp/task.h"
#include "interp/watchdog.h"
#include "runtime/control.h"
#include "runtime/footer.h"
#include "runtime/terminal.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/time.h>
#include <unistd.h>

/* Virtual machine instructions between two looks: some tens of microseconds. */
#define HOOK_COUNT 10000

/* Thirty years: a longer limit is none. */
#define LIMIT_MAX_S 1e9

/* A signal handler reaches nothing but globals. */
static volatile sig_atomic_t asked;       /* the signal that asked; 0: none; or one of below */
static volatile sig_atomic_t undelivered; /* asked, and nothing was raised for it yet */
static volatile sig_atomic_t near;        /* the loop has not seen yet what came */
static volatile sig_atomic_t patience;    /* see stop_within(): tidy; 0: any number */
static volatile sig_atomic_t insistence;  /* see there: more; what is left of it */
static volatile sig_atomic_t unwatched;   /* further signals change nothing */
static volatile sig_atomic_t calls_only;  /* SIGINT ends the foreground's call, not the run */
static volatile sig_atomic_t interrupts;  /* such SIGINTs that nothing was done about yet */
static int wake_fd = -1;

enum { DEADLOCK = -1, EXIT = -2 };

/* Seconds for what a run writes down at its end, with a disk that is slow. */
#define WIND_UP_S 60

/* Exit statuses: stdlib/program/status.lua. */
enum { FAILED = 1, TIMED_OUT = 4, INTERRUPTED = 130 };

static uv_poll_t *watch;

const char *stop_reason(void)
{
    switch (asked) {
    case 0:
        return NULL;
    case SIGALRM:
        return "timed out";
    case DEADLOCK:
        return "deadlock";
    case EXIT:
        return "exit";
    default:
        return "interrupted";
    }
}

bool stop_is_near(void)
{
    return near != 0;
}

int host_interrupted(void)
{
    return asked != 0;
}

static _Noreturn void give_up(int status)
{
    footer_hide();
    terminal_restore();
    control_remove();
    _exit(status);
}

static void begin_patience(void)
{
    if (patience)
        alarm((unsigned)patience);
}

/* What was asked to stop has had its time: it is cancelled where it tidies up, and again whatever
 * it catches; at last the process ends, as there are calls of Lua's that nothing can interrupt. */
static void insist(void)
{
    static const char text[] =
        "qemunet: killed: long after it was stopped, the script had not ended: it is in a call\n"
        "  that nothing can interrupt, or tidies up without end; what this run wrote ends here\n";
    if (!patience)
        return;
    if (insistence <= 0) {
        footer_hide();
        ssize_t n = write(2, text, sizeof(text) - 1);
        (void)n;
        give_up(asked == SIGALRM ? TIMED_OUT : asked < 0 ? FAILED : INTERRUPTED);
    }
    insistence--;
    undelivered = 1;
    alarm(1);
}

static void on_signal(int sig)
{
    int saved = errno;
    uint64_t one = 1;
    if (asked && sig == SIGALRM) {
        insist();
    } else if (asked && !unwatched) {
        give_up(INTERRUPTED);
    } else if (sig == SIGINT && calls_only) {
        interrupts++;
    } else if (!asked) {
        asked = sig;
        undelivered = 1;
        begin_patience();
    }
    near = 1;
    if (write(wake_fd, &one, sizeof(one)) < 0)
        give_up(INTERRUPTED);
    errno = saved;
}

static void on_wake(uv_poll_t *handle, int status, int events)
{
    struct host *host = handle->data;
    uint64_t count;
    (void)status;
    (void)events;
    near = 0;
    if (read(wake_fd, &count, sizeof(count)) < 0)
        return;
    if (interrupts && !terminal_interrupted(host))
        scheduler_cancel_foreground(host);
    interrupts = 0;
    if (!asked)
        return;
    undelivered = 0;
    scheduler_cancel_all(host);
}

/* Whether what computes without end is to be interrupted: the foreground's call is at once, any
 * other task only when the person insists. */
static bool is_interrupted(const struct host *host)
{
    return interrupts > 0 && (scheduler_in_foreground(host) || interrupts > 1);
}

static void on_hook(lua_State *L, lua_Debug *ar)
{
    (void)ar;
    if (!scheduler_running(host_of(L)))
        return;
    watchdog_look(host_of(L), L);
    if (!undelivered && !is_interrupted(host_of(L)))
        return;
    undelivered = interrupts = 0;
    task_push_cancel(L);
    lua_error(L);
}

void stop_hook(lua_State *L)
{
    lua_sethook(L, on_hook, LUA_MASKCOUNT, HOOK_COUNT);
}

static void on_watch_freed(uv_handle_t *handle)
{
    close(wake_fd);
    free(handle);
}

/* Who starts us with SIGHUP ignored, as nohup(1) does, wants the run to go on. */
static void handle_hangup(const struct sigaction *action)
{
    struct sigaction before;
    if (sigaction(SIGHUP, NULL, &before) == 0 && before.sa_handler != SIG_IGN)
        sigaction(SIGHUP, action, NULL);
}

int stop_open(struct host *host)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    watch = malloc(sizeof(*watch));
    if (wake_fd < 0 || !watch || uv_poll_init(&host->loop, watch, wake_fd))
        return -ENOMEM;
    watch->data = host;
    uv_poll_start(watch, UV_READABLE, on_wake);
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    handle_hangup(&action);
    sigaction(SIGQUIT, &action, NULL);
    sigaction(SIGALRM, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
    return 0;
}

static void on_late_signal(int sig)
{
    (void)sig;
    _exit(130);
}

/* What comes when only the tidying up is left ends that at once, with the status of the others. */
static void let_go(int sig)
{
    struct sigaction now;
    if (sigaction(sig, NULL, &now) == 0 && now.sa_handler == on_signal)
        signal(sig, on_late_signal);
}

void stop_close(struct host *host)
{
    (void)host;
    let_go(SIGINT);
    let_go(SIGTERM);
    let_go(SIGHUP);
    let_go(SIGQUIT);
    signal(SIGALRM, SIG_IGN);
    if (watch)
        uv_close((uv_handle_t *)watch, on_watch_freed);
    watch = NULL;
}

void stop_calls_only(bool only)
{
    calls_only = only;
    interrupts = 0;
}

void stop_after(double seconds)
{
    if (asked)
        return; /* the timer is that of the patience */
    int64_t us = (int64_t)(fmin(seconds, LIMIT_MAX_S) * 1e6) + 1;
    struct itimerval limit = {.it_value = {.tv_sec = us / 1000000, .tv_usec = us % 1000000}};
    setitimer(ITIMER_REAL, &limit, NULL);
}

void stop_within(unsigned tidy, unsigned more, bool alone)
{
    patience = (sig_atomic_t)tidy;
    insistence = (sig_atomic_t)more;
    unwatched = alone;
    if (asked)
        begin_patience();
}

void stop_wind_up(void)
{
    if (patience && !unwatched)
        stop_within(WIND_UP_S, 0, false);
}

static void stop_because(struct host *host, int reason)
{
    if (!asked) {
        asked = reason;
        begin_patience();
    }
    scheduler_cancel_all(host);
}

void stop_deadlock(struct host *host)
{
    stop_because(host, DEADLOCK);
}

void stop_exit(struct host *host)
{
    stop_because(host, EXIT);
}
