/* SPDX-License-Identifier: MIT */
#include "runtime/fabric/engine.h"

#include "runtime/fabric/bridge.h"
#include "runtime/fabric/port.h"

#include <errno.h>
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

int engine_open(struct engine *e, uint64_t seed, struct command_queue *q)
{
    e->seed = seed;
    e->timer_at = SCHEDULE_NEVER;
    int err = open_parts(e, q);
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

void engine_close(struct engine *e)
{
    remove_all(e, &e->links, engine_link_remove);
    remove_all(e, &e->ports, engine_port_remove);
    remove_all(e, &e->bridges, engine_switch_remove);
    if (e->receiver)
        receiver_free(e->receiver, &e->plane.pool);
    schedule_free(&e->plane.schedule);
    pool_free(&e->plane.pool);
    if (e->timer_fd >= 0)
        close(e->timer_fd);
    if (e->plane.epoll_fd >= 0)
        close(e->plane.epoll_fd);
}

int engine_port_add(struct engine *e, int fd)
{
    struct port *port;
    int err = port_open(&e->plane, fd, &port);
    if (err < 0)
        return err;
    int id = table_add(&e->ports, port);
    if (id < 0)
        port_close(&e->plane, port);
    return id;
}

/* The number of links is no limit to a switch, so the links of one are looked for among all. */
static void remove_links_of(struct engine *e, struct end end)
{
    for (size_t id = 0; id < e->links.len; id++) {
        const struct link *l = engine_link(e, (int)id);
        for (int i = 0; l && i < 2; i++) {
            if (l->ends[i].port == end.port && l->ends[i].bridge == end.bridge) {
                engine_link_remove(e, (int)id);
                break;
            }
        }
    }
}

int engine_port_remove(struct engine *e, int id)
{
    struct port *port = table_get(&e->ports, id);
    if (!port)
        return -ENOENT;
    if (port->out)
        remove_links_of(e, (struct end){.port = port});
    port_close(&e->plane, port);
    table_remove(&e->ports, id);
    return 0;
}

int engine_switch_add(struct engine *e, int64_t ageing_ns, unsigned flags)
{
    if (ageing_ns < 0 || (flags & ~FABRIC_SWITCH_HUB))
        return -EINVAL;
    struct bridge *b = bridge_new(ageing_ns, flags & FABRIC_SWITCH_HUB);
    if (!b)
        return -ENOMEM;
    int id = table_add(&e->bridges, b);
    if (id < 0)
        bridge_free(b);
    return id;
}

int engine_switch_remove(struct engine *e, int id)
{
    struct bridge *b = table_get(&e->bridges, id);
    if (!b)
        return -ENOENT;
    if (b->len > 0)
        remove_links_of(e, (struct end){.bridge = b});
    bridge_free(b);
    table_remove(&e->bridges, id);
    return 0;
}

static int resolve(const struct engine *e, struct fabric_end in, struct end *out)
{
    *out = (struct end){0};
    if (in.kind == FABRIC_PORT)
        out->port = table_get(&e->ports, in.id);
    else if (in.kind == FABRIC_SWITCH)
        out->bridge = table_get(&e->bridges, in.id);
    else
        return -EINVAL;
    return out->port || out->bridge ? 0 : -ENOENT;
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
    int err = schedule_reserve(&e->plane.schedule, 2 * (e->link_count + 1));
    if (err == 0)
        err = link_attach(l);
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
    struct link *l = link_new(resolved, cfg);
    if (!l)
        return -ENOMEM;
    int id = enter_link(e, l);
    if (id < 0) {
        link_free(&e->plane, l);
        return id;
    }
    link_seed(l, e->seed, id);
    e->link_count++;
    return id;
}

int engine_link_remove(struct engine *e, int id)
{
    struct link *l = engine_link(e, id);
    if (!l)
        return -ENOENT;
    link_detach(&e->plane, l);
    link_free(&e->plane, l);
    table_remove(&e->links, id);
    e->link_count--;
    return 0;
}

struct link *engine_link(const struct engine *e, int id)
{
    return table_get(&e->links, id);
}
