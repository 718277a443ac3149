/* SPDX-License-Identifier: MIT */
#include "runtime/fabric/link.h"

#include "runtime/fabric/bridge.h"
#include "runtime/fabric/port.h"

#include <errno.h>
#include <stdlib.h>

struct link *link_new(const struct end ends[2], const struct link_config cfg[2])
{
    struct link *l = calloc(1, sizeof(*l));
    if (!l)
        return NULL;
    for (int i = 0; i < 2; i++) {
        struct direction *d = &l->directions[i];
        l->ends[i] = ends[i];
        d->up = true;
        d->config = cfg[i];
        d->to = ends[!i];
        d->reverse = &l->directions[!i];
    }
    return l;
}

void link_seed(struct link *l, uint64_t seed, int id)
{
    for (uint64_t i = 0; i < 2; i++)
        rng_seed(&l->directions[i].rng, seed, 2 * (uint64_t)id + i);
}

static int attach_end(struct link *l, int i)
{
    struct end *e = &l->ends[i];
    if (e->bridge)
        return bridge_attach(e->bridge, &l->directions[i]);
    if (e->port->out)
        return -EBUSY;
    e->port->out = &l->directions[i];
    return 0;
}

static void detach_end(struct plane *p, struct link *l, int i)
{
    struct end *e = &l->ends[i];
    if (e->bridge) {
        bridge_detach(e->bridge, &l->directions[i]);
        return;
    }
    if (p)
        port_clear(p, e->port);
    e->port->out = NULL;
}

int link_attach(struct link *l)
{
    if (l->ends[0].port == l->ends[1].port && l->ends[0].bridge == l->ends[1].bridge)
        return -EINVAL;
    int err = attach_end(l, 0);
    if (err < 0)
        return err;
    err = attach_end(l, 1);
    if (err < 0)
        detach_end(NULL, l, 0);
    return err;
}

void link_detach(struct plane *p, struct link *l)
{
    detach_end(p, l, 0);
    detach_end(p, l, 1);
}

static void go_down(struct plane *p, struct link *l, int i)
{
    struct direction *d = &l->directions[i];
    d->stats.down_drops += direction_clear(p, d);
    if (l->ends[i].bridge)
        bridge_forget(l->ends[i].bridge, d);
}

void link_up(struct plane *p, struct link *l, bool up)
{
    for (int i = 0; i < 2; i++) {
        l->directions[i].up = up;
        if (!up)
            go_down(p, l, i);
    }
}

struct link_stats link_read_stats(const struct link *l, int dir)
{
    const struct direction *d = &l->directions[dir];
    struct link_stats stats = d->stats;
    stats.in_flight = direction_in_flight(d) + (d->to.port ? d->to.port->held_len : 0);
    return stats;
}

void link_free(struct plane *p, struct link *l)
{
    direction_free(p, &l->directions[0]);
    direction_free(p, &l->directions[1]);
    free(l);
}
