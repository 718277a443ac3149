/* SPDX-License-Identifier: MIT */
#include "runtime/fabric/link.h"

#include "runtime/fabric/bridge.h"
#include "runtime/fabric/port.h"
#include "runtime/fabric/radio.h"
#include "runtime/fabric/station.h"

#include <errno.h>
#include <stdlib.h>

struct link *link_new(struct plane *p, const struct end ends[2], const struct link_config cfg[2])
{
    struct link *l = calloc(1, sizeof(*l));
    if (!l)
        return NULL;
    for (int i = 0; i < 2; i++) {
        struct direction *d = &l->directions[i];
        l->ends[i] = ends[i];
        d->to = ends[!i];
        d->reverse = &l->directions[!i];
        direction_init(p, d, &cfg[i]);
    }
    return l;
}

void link_seed(struct link *l, uint64_t seed, int id)
{
    for (uint64_t i = 0; i < 2; i++)
        chance_seed(&l->directions[i].chance, seed, 2 * (uint64_t)id + i);
}

/* Return: where the end keeps its one link, or NULL when it can have many. */
static struct direction **single_place(const struct end *e)
{
    if (e->kind == FABRIC_PORT)
        return &e->port->out;
    return e->kind == FABRIC_STATION ? &e->station->out : NULL;
}

static int attach_end(struct link *l, int i)
{
    struct end *e = &l->ends[i];
    struct direction **place = single_place(e);
    if (!place)
        return e->kind == FABRIC_SWITCH ? bridge_attach(e->bridge, &l->directions[i])
                                        : radio_attach(e->radio, &l->directions[i]);
    if (*place)
        return -EBUSY;
    *place = &l->directions[i];
    return 0;
}

static void detach_end(struct plane *p, struct link *l, int i)
{
    struct end *e = &l->ends[i];
    struct direction **place = single_place(e);
    if (e->kind == FABRIC_SWITCH)
        bridge_detach(e->bridge, &l->directions[i]);
    else if (e->kind == FABRIC_RADIO)
        radio_detach(p, e->radio, &l->directions[i]);
    if (e->kind == FABRIC_PORT && p)
        port_clear(p, e->port);
    if (place)
        *place = NULL;
}

int link_attach(struct link *l)
{
    if (end_is(&l->ends[0], &l->ends[1]))
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
    const struct end *e = &l->ends[i];
    direction_clear(p, d, LINK_DOWN);
    if (e->kind == FABRIC_SWITCH)
        bridge_forget(e->bridge, d);
    else if (e->kind == FABRIC_RADIO)
        radio_silence(p, e->radio, d);
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
    stats.in_flight =
        direction_in_flight(d) + (d->to.kind == FABRIC_PORT ? d->to.port->held_len : 0);
    return stats;
}

void link_free(struct plane *p, struct link *l)
{
    direction_free(p, &l->directions[0]);
    direction_free(p, &l->directions[1]);
    free(l);
}
