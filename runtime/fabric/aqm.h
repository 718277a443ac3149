/* SPDX-License-Identifier: MIT */
/* Active queue management: what decides that a queue is too long before it is full. */
#ifndef QN_FABRIC_AQM_H
#define QN_FABRIC_AQM_H

#include "runtime/fabric/fabric.h"

struct chance;

/* Random Early Detection: acts on what arrives. Zeroed memory is a start. */
struct red {
    double average;     /* of the queue's length, in its unit */
    int64_t idle_since; /* when the queue ran empty; 0: it is not, or never was used */
    int64_t count;      /* arrivals since the last drop, -1: below min */
};

/** Tell of an arrival at @at to a queue of @len packets or bytes that may be @limit long.
 * Return: whether it is to be dropped. */
bool red_drops(struct red *r, const struct link_config *c, struct chance *h, double len,
               double limit, int64_t at);

/** Tell that the queue has run empty, or stays so because what arrived was dropped. */
void red_idle(struct red *r, int64_t at);

/* Controlled Delay: acts on what leaves. The names are those of RFC 8289, 5.3. Zeroed memory is a
 * start. */
struct codel {
    int64_t first_above_time;
    int64_t drop_next;
    uint32_t count, lastcount;
    bool dropping;
    bool began; /* with the last packet */
};

/** Tell that a packet leaves at @now that has waited for @sojourn, with @bytes behind it, and
 * whether it comes @after_drop of the one before it. Return: whether it is to be dropped. */
bool codel_drops(struct codel *s, const struct link_config *c, int64_t now, int64_t sojourn,
                 uint64_t bytes, bool after_drop);

/** Tell that the queue has run empty. */
void codel_idle(struct codel *s);

#endif
