/* SPDX-License-Identifier: MIT */
#include "runtime/fabric/engine.h"

#include "runtime/array.h"
#include "runtime/fabric/capture.h"
#include "runtime/fabric/flow.h"
#include "runtime/fabric/lateness.h"
#include "runtime/fabric/tap.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

static int open_fds(struct engine *e)
{
    e->plane.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    e->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    return e->plane.epoll_fd < 0 || e->timer_fd < 0 ? -errno : 0;
}

/* The timer is edge-triggered: setting it anew clears it, and nobody reads it. */
static int watch_own_fds(struct engine *e, struct command_queue *q)
{
    struct epoll_event timer = {.events = EPOLLIN | EPOLLET, .data.ptr = &e->timer_fd};
    struct epoll_event commands = {.events = EPOLLIN, .data.ptr = q};
    if (epoll_ctl(e->plane.epoll_fd, EPOLL_CTL_ADD, e->timer_fd, &timer) < 0 ||
        epoll_ctl(e->plane.epoll_fd, EPOLL_CTL_ADD, q->event_fd, &commands) < 0)
        return -errno;
    return 0;
}

static int open_parts(struct engine *e, struct command_queue *q)
{
    int err = open_fds(e);
    if (err == 0)
        err = watch_own_fds(e, q);
    if (err < 0)
        return err;
    e->receiver = receiver_new(&e->plane.pool);
    return e->receiver ? 0 : -ENOMEM;
}

static size_t memory_limit(void)
{
    double bytes = (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE);
    double share = bytes * FABRIC_MEMORY_SHARE;
    return share > (double)FABRIC_MEMORY_MIN ? (size_t)share : (size_t)FABRIC_MEMORY_MIN;
}

int engine_open(struct engine *e, uint64_t seed, struct command_queue *q)
{
    e->seed = seed;
    e->plane.pool.limit = memory_limit();
    e->timer_at = SCHEDULE_NEVER;
    e->timer_fd = e->plane.epoll_fd = -1;
    e->plane.events = &e->events;
    e->plane.held_end = &e->plane.held;
    int err = event_queue_init(&e->events);
    if (err < 0)
        return err;
    err = open_parts(e, q);
    if (err < 0)
        engine_close(e);
    return err;
}

static void remove_all(struct engine *e, struct table *t, int (*remove)(struct engine *, int))
{
    for (size_t id = 0; id < t->len; id++)
        remove(e, (int)id);
    table_free(t);
}

static int stop_capture(struct engine *e, int id)
{
    struct capture *c = engine_capture_take(e, id);
    return c ? capture_stop(c, NULL) : -ENOENT;
}

void engine_close(struct engine *e)
{
    remove_all(e, &e->plane.flows, engine_flow_remove);
    remove_all(e, &e->watches, engine_watch_remove);
    remove_all(e, &e->captures, stop_capture);
    remove_all(e, &e->links, engine_link_remove);
    remove_all(e, &e->ports, engine_port_remove);
    remove_all(e, &e->bridges, engine_switch_remove);
    remove_all(e, &e->radios, engine_radio_remove);
    remove_all(e, &e->stations, engine_station_remove);
    if (e->receiver)
        receiver_free(e->receiver, &e->plane.pool);
    schedule_free(&e->plane.schedule);
    pool_free(&e->plane.pool);
    event_queue_destroy(&e->events);
    if (e->timer_fd >= 0)
        close(e->timer_fd);
    if (e->plane.epoll_fd >= 0)
        close(e->plane.epoll_fd);
}

static int resolve(const struct engine *e, struct fabric_end in, struct end *out)
{
    const struct table *const tables[] = {
        [FABRIC_PORT] = &e->ports,
        [FABRIC_SWITCH] = &e->bridges,
        [FABRIC_RADIO] = &e->radios,
        [FABRIC_STATION] = &e->stations,
    };
    if ((unsigned)in.kind >= sizeof(tables) / sizeof(tables[0]))
        return -EINVAL;
    *out = (struct end){.kind = in.kind, .any = table_get(tables[in.kind], in.id)};
    return out->any ? 0 : -ENOENT;
}

static int check_link(const struct engine *e, const struct fabric_end ends[2],
                      const struct link_config cfg[2], struct end resolved[2])
{
    for (int i = 0; i < 2; i++) {
        int err = resolve(e, ends[i], &resolved[i]);
        if (err < 0)
            return err;
        if (link_config_check(&cfg[i]))
            return -EINVAL;
    }
    return 0;
}

static int enter_link(struct engine *e, struct link *l)
{
    int err = link_attach(l);
    if (err < 0)
        return err;
    int id = table_add(&e->links, l);
    if (id < 0)
        link_detach(&e->plane, l);
    return id;
}

int engine_link_add(struct engine *e, const struct fabric_end ends[2],
                    const struct link_config cfg[2])
{
    struct end resolved[2];
    int err = check_link(e, ends, cfg, resolved);
    if (err < 0)
        return err;
    err = schedule_admit(&e->plane.schedule, 2);
    if (err < 0)
        return err;
    struct link *l = link_new(&e->plane, resolved, cfg);
    int id = l ? enter_link(e, l) : -ENOMEM;
    if (id < 0) {
        if (l)
            link_free(&e->plane, l);
        schedule_dismiss(&e->plane.schedule, 2);
        return id;
    }
    link_seed(l, e->seed, id);
    return id;
}

/* Nothing that belongs to the experiment's other parts stays on a direction that goes. */
static void strip(struct engine *e, struct direction *d)
{
    for (size_t id = 0; id < e->watches.len; id++) {
        struct watch *w = table_get(&e->watches, (int)id);
        if (w)
            watch_forget(w, d);
    }
    for (size_t id = 0; id < e->plane.flows.len; id++) {
        struct flow *f = table_get(&e->plane.flows, (int)id);
        if (f)
            flow_forget(&e->plane, f, d);
    }
    taps_remove(d, NULL);
}

int engine_link_remove(struct engine *e, int id)
{
    struct link *l = engine_link(e, id);
    if (!l)
        return -ENOENT;
    link_detach(&e->plane, l);
    for (int i = 0; i < 2; i++) {
        strip(e, &l->directions[i]);
        lateness_join(&e->plane.totals.lateness, &l->directions[i].stats.lateness);
    }
    link_free(&e->plane, l);
    schedule_dismiss(&e->plane.schedule, 2);
    table_remove(&e->links, id);
    return 0;
}

void engine_totals(const struct engine *e, struct fabric_totals *out)
{
    *out = e->plane.totals;
    for (size_t id = 0; id < e->links.len; id++) {
        const struct link *l = engine_link(e, (int)id);
        for (int i = 0; l && i < 2; i++)
            lateness_join(&out->lateness, &l->directions[i].stats.lateness);
    }
}

/* Return: where the next sample goes, or NULL for want of memory. */
static struct fabric_sample *next_sample(struct fabric_samples *s)
{
    struct fabric_sample *items = array_grow(s->items, s->len, &s->room, sizeof(*items));
    if (!items)
        return NULL;
    s->items = items;
    return &items[s->len];
}

int engine_sample(struct engine *e, struct fabric_samples *s)
{
    for (int i = 0; i < 2 * (int)e->links.len; i++) {
        struct link *l = engine_link(e, i / 2);
        struct fabric_sample *at = next_sample(s);
        if (!at)
            return -ENOMEM;
        if (!l || !direction_sample(&l->directions[i % 2], at))
            continue;
        at->link = i / 2;
        at->dir = i % 2;
        s->len++;
    }
    return 0;
}

struct link *engine_link(const struct engine *e, int id)
{
    return table_get(&e->links, id);
}

static struct direction *engine_direction(const struct engine *e, int link, int dir)
{
    struct link *l = engine_link(e, link);
    return l && (dir == 0 || dir == 1) ? &l->directions[dir] : NULL;
}

int engine_flow_add(struct engine *e, const struct fabric_flow_config *c)
{
    struct direction *out = engine_direction(e, c->from_link, c->from_dir),
                     *in = engine_direction(e, c->to_link, c->to_dir);
    if (!flow_config_is_possible(c))
        return -EINVAL;
    if (!out || (!in && c->to_link >= 0))
        return -ENOENT;
    int err = schedule_admit(&e->plane.schedule, 1);
    if (err < 0)
        return err;
    struct flow *f = flow_new(&e->plane, (int)e->plane.flows.len, c, out, in, e->seed);
    int id = f ? table_add(&e->plane.flows, f) : -ENOMEM;
    if (id < 0) {
        if (f)
            flow_free(&e->plane, f);
        schedule_dismiss(&e->plane.schedule, 1);
    }
    return id;
}

int engine_flow_remove(struct engine *e, int id)
{
    struct flow *f = table_get(&e->plane.flows, id);
    if (!f)
        return -ENOENT;
    flow_free(&e->plane, f);
    schedule_dismiss(&e->plane.schedule, 1);
    table_remove(&e->plane.flows, id);
    return 0;
}

int engine_watch_add(struct engine *e, struct watch *w, int link, const bool on[2])
{
    struct link *l = engine_link(e, link);
    if (!l)
        return -ENOENT;
    int id = table_add(&e->watches, w);
    if (id < 0)
        return id;
    w->id = id;
    for (int i = 0; i < 2; i++)
        w->on[i] = on[i] ? &l->directions[i] : NULL;
    watch_attach(w);
    return id;
}

int engine_watch_remove(struct engine *e, int id)
{
    struct watch *w = table_get(&e->watches, id);
    if (!w)
        return -ENOENT;
    watch_detach(w);
    watch_free(w);
    table_remove(&e->watches, id);
    return 0;
}

int engine_capture_add(struct engine *e, struct capture *c)
{
    return table_add(&e->captures, c);
}

/* Each direction is an interface of its own. Return: 0 or negative errno. */
static int capture_direction(struct capture *c, struct link *l, int dir, const char *name)
{
    char full[CAPTURE_NAME_MAX + 1];
    snprintf(full, sizeof(full), "%.*s %s", CAPTURE_NAME_MAX - 3, name, dir ? "ba" : "ab");
    int interface = capture_interface(c, full);
    return interface < 0 ? interface : tap_add(&l->directions[dir], c, (unsigned)interface, dir);
}

int engine_capture_link(struct engine *e, int capture, int link, const char *name)
{
    struct capture *c = table_get(&e->captures, capture);
    struct link *l = engine_link(e, link);
    if (!c || !l)
        return -ENOENT;
    int err = capture_direction(c, l, 0, name);
    if (!err)
        err = capture_direction(c, l, 1, name);
    if (err)
        taps_remove(&l->directions[0], c);
    return err;
}

struct capture *engine_capture_take(struct engine *e, int id)
{
    struct capture *c = table_get(&e->captures, id);
    for (size_t i = 0; c && i < e->links.len; i++) {
        struct link *l = engine_link(e, (int)i);
        for (int dir = 0; l && dir < 2; dir++)
            taps_remove(&l->directions[dir], c);
    }
    table_remove(&e->captures, id);
    return c;
}
