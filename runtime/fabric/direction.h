/* SPDX-License-Identifier: MIT */
/* One direction of a link: chance, then a transmitter, then a delay line, then whatever is at the
 * far end. */
#ifndef QN_FABRIC_DIRECTION_H
#define QN_FABRIC_DIRECTION_H

#include "runtime/fabric/chance.h"
#include "runtime/fabric/dqueue.h"
#include "runtime/fabric/plane.h"
#include "runtime/fabric/transmitter.h"

struct bridge;
struct port;
struct radio;
struct station;
struct tap;
struct trigger;

/* A resolved end of a link. */
struct end {
    enum fabric_kind kind;
    union {
        struct port *port;
        struct bridge *bridge;
        struct radio *radio;
        struct station *station;
        void *any;
    };
};

static inline bool end_is(const struct end *a, const struct end *b)
{
    return a->any == b->any;
}

/* What has happened since the last sample, and the counts as they were then. */
struct window {
    uint64_t sent, delivered, bytes, lost;
    uint64_t queue;
    int64_t delay_sum_ns, delay_max_ns;
};

struct direction {
    struct schedule_entry entry; /* first: direction_of() is a cast */
    bool up;
    bool plain;                /* nothing of the configuration needs a look at a frame */
    bool direct;               /* nor keeps it for a while */
    struct link_config config; /* its series are ours */
    struct end to;
    struct direction *reverse;
    struct trigger *triggers; /* what wants to see the frames that enter */
    struct tap *taps;         /* what records how each ends */
    unsigned sinks;           /* flows that end at its far end */
    uint64_t held;            /* frames that triggers hold */
    struct transmitter transmitter;
    struct dqueue delay_line;
    uint64_t delay_line_weight; /* bytes of memory */
    struct chance chance;
    struct link_stats stats;
    struct window window;
};

/** Make @d, in zeroed memory, a direction that is up. */
void direction_init(struct plane *p, struct direction *d, const struct link_config *c);

/** Hand @pkt, that comes at time @at, to the direction, which owns it from here on. */
void direction_offer(struct plane *p, struct direction *d, struct packet *pkt, int64_t at);

/** Offer a frame made of @data, now. Return: 0 or -ENOMEM. */
int direction_send(struct plane *p, struct direction *d, const void *data, uint32_t len);

/** As direction_offer(), for a packet that triggers and statistics have seen. */
void direction_enter(struct plane *p, struct direction *d, struct packet *pkt, int64_t at);

/** Count and record how @pkt's way ended, at p->now, and free it. */
void direction_drop(struct plane *p, struct direction *d, struct packet *pkt, enum link_fate fate);

/** Change the configuration at p->now. */
void direction_set(struct plane *p, struct direction *d, const struct link_config *c);

/** Drop everything that waits and travels, as @fate. */
void direction_clear(struct plane *p, struct direction *d, enum link_fate fate);

/** Return: how many packets wait or travel. */
uint64_t direction_in_flight(const struct direction *d);

/** Read what has happened since the last call into @out. Return: whether anything has. */
bool direction_sample(struct direction *d, struct fabric_sample *out);

/** Clear the direction and free what it holds. */
void direction_free(struct plane *p, struct direction *d);

#endif
