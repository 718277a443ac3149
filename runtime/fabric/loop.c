/* SPDX-License-Identifier: MIT */
/* The fabric's thread. One turn: release what is due, read a bounded share of what has come, send
 * (in between too, when much has come: what was released must not wait for a crowd of ports), then
 * carry out commands - after the reading, so that a frame that was sent before a command was given
 * meets the fabric as it was before the command. */
#include "runtime/clock.h"
#include "runtime/fabric/engine.h"
#include "runtime/fabric/port.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>

#define TURN_EVENTS 16
#define RELEASE_BATCH 256
#define TIMEOUT_MAX_NS (2 * CLOCK_NS_PER_MS)
#define FLUSH_AFTER RECEIVER_BATCH /* frames read */

static void release_due(struct plane *p)
{
    for (int i = 0; i < RELEASE_BATCH && schedule_next(&p->schedule) <= p->now; i++) {
        struct schedule_entry *e = schedule_first(&p->schedule);
        e->due(p, e);
    }
}

static struct timespec to_timespec(int64_t ns)
{
    return (struct timespec){ns / CLOCK_NS_PER_S, ns % CLOCK_NS_PER_S};
}

static void set_timer(struct engine *e, int64_t at)
{
    struct itimerspec spec = {0};
    if (at == e->timer_at)
        return;
    if (at != SCHEDULE_NEVER)
        spec.it_value = to_timespec(clock_to_monotonic(at));
    timerfd_settime(e->timer_fd, TFD_TIMER_ABSTIME, &spec, NULL);
    e->timer_at = at;
}

/* Wait for something to do. Near deadlines are a time-out of the call, which costs nothing when
 * frames are there already; but the kernel may be late by a thousandth of a time-out (fs/select.c,
 * select_estimate_accuracy), so distant ones are a timer's. */
static int wait_for_events(struct engine *e, struct epoll_event *events)
{
    int64_t at = schedule_next(&e->plane.schedule), left = at - e->plane.now;
    if (left <= 0)
        return epoll_wait(e->plane.epoll_fd, events, TURN_EVENTS, 0);
    if (left <= TIMEOUT_MAX_NS && !e->no_timeouts) {
        struct timespec timeout = to_timespec(left);
        int n = epoll_pwait2(e->plane.epoll_fd, events, TURN_EVENTS, &timeout, NULL);
        if (n >= 0 || errno == EINTR)
            return n;
        e->no_timeouts = true; /* a kernel before 5.11, or a container that forbids what is new */
    }
    set_timer(e, at);
    return epoll_wait(e->plane.epoll_fd, events, TURN_EVENTS, -1);
}

/* Return: how many frames came of it. */
static int dispatch(struct engine *e, const struct epoll_event *event)
{
    struct plane *p = &e->plane;
    int n = port_event(p, event->data.ptr, event->events, e->receiver);
    release_due(p);
    return n;
}

/* Return: whether one of the events says that there are commands. */
static bool dispatch_all(struct engine *e, const struct epoll_event *events, int n,
                         const void *commands)
{
    bool found = false;
    int came = 0;
    for (int i = 0; i < n; i++) {
        if (events[i].data.ptr == commands)
            found = true;
        else if (events[i].data.ptr != &e->timer_fd)
            came += dispatch(e, &events[i]);
        if (came >= FLUSH_AFTER) {
            ports_flush(&e->plane);
            came = 0;
        }
    }
    return found;
}

static void turn(struct engine *e, struct command_queue *q)
{
    struct epoll_event events[TURN_EVENTS];
    int n = wait_for_events(e, events);
    e->plane.totals.turns++;
    e->plane.now = clock_now();
    uint64_t received = e->plane.totals.received;
    release_due(&e->plane);
    bool commands = dispatch_all(e, events, n, q);
    ports_flush(&e->plane);
    urgency_note(&e->urgency, e->plane.totals.received - received, e->plane.now);
    if (commands) {
        e->plane.now = clock_now();
        command_serve(q, e);
    }
}

void engine_run(struct engine *e, struct command_queue *q)
{
    while (!e->stopping)
        turn(e, q);
}
