/* SPDX-License-Identifier: MIT */
/* One direction of a link: a transmitter, then a delay line, then whatever is at the far end. */
#ifndef QN_FABRIC_DIRECTION_H
#define QN_FABRIC_DIRECTION_H

#include "runtime/fabric/dqueue.h"
#include "runtime/fabric/plane.h"
#include "runtime/fabric/rng.h"
#include "runtime/fabric/transmitter.h"

struct bridge;
struct port;

/* A resolved end of a link: one of the two. */
struct end {
    struct port *port;
    struct bridge *bridge;
};

struct direction {
    struct schedule_entry entry; /* first: direction_of() is a cast */
    bool up;
    struct link_config config;
    struct end to;
    struct direction *reverse;
    struct transmitter transmitter;
    struct dqueue delay_line;
    uint64_t delay_line_weight; /* bytes of memory */
    struct rng rng;
    struct link_stats stats;
};

/** Hand @pkt, that comes at time @at, to the direction, which owns it from here on. */
void direction_offer(struct plane *p, struct direction *d, struct packet *pkt, int64_t at);

/** Do the next thing that is due by p->now: deliver at most one packet. */
void direction_step(struct plane *p, struct direction *d);

/** Change the configuration at p->now. */
void direction_set(struct plane *p, struct direction *d, const struct link_config *c);

/** Drop everything that waits and travels. Return: how many packets. */
uint64_t direction_clear(struct plane *p, struct direction *d);

/** Return: how many packets wait or travel. */
uint64_t direction_in_flight(const struct direction *d);

/** Clear the direction and free what it holds. */
void direction_free(struct plane *p, struct direction *d);

static inline struct direction *direction_of(struct schedule_entry *e)
{
    return (struct direction *)e;
}

#endif
