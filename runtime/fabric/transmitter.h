/* SPDX-License-Identifier: MIT */
/* The first stage of a link's direction: a queue served at a rate or by a trace. One packet at a
 * time is being sent; the others wait. */
#ifndef QN_FABRIC_TRANSMITTER_H
#define QN_FABRIC_TRANSMITTER_H

#include "runtime/fabric/aqm.h"
#include "runtime/fabric/fabric.h"
#include "runtime/fabric/packet.h"
#include "runtime/fabric/trace.h"

/* Zeroed memory is an idle transmitter without a trace. */
struct transmitter {
    struct packet *sending;
    int64_t ends_at;    /* when what is being sent ends, or the last one did */
    uint64_t remainder; /* the fraction of a nanosecond that ends_at leaves out, in 1/rate */
    struct packet_list waiting; /* their deadlines are when they came */
    uint64_t packets, bytes;    /* waiting */
    struct packet_list dropped; /* by CoDel, for the caller to take */
    struct trace_cursor trace;
    struct red red;
    struct codel codel;
};

/** Queue @pkt, that comes at time @at, or send it at once when idle. Return: LINK_DELIVERED, or why
 * it was not taken, and @pkt stays the caller's. */
enum link_fate transmitter_offer(struct transmitter *t, const struct link_config *c,
                                 struct chance *h, struct packet *pkt, int64_t at);

/** Take the next packet whose sending has ended by @now, and begin to send the one behind it.
 * Return: the packet, and at *@ended when it ended; NULL when there is none. */
struct packet *transmitter_take(struct transmitter *t, const struct link_config *c, int64_t now,
                                int64_t *ended);

/** Return: when the packet that is being sent ends, or DQUEUE_NEVER. */
int64_t transmitter_ends(const struct transmitter *t);

/** From @now on serve as @to says instead of @from: what is left of the packet that is being sent
 * goes at the new rate, or with a trace all of it. */
void transmitter_change(struct transmitter *t, const struct link_config *from,
                        const struct link_config *to, int64_t now);

/** Return: any of its packets, taken out, or NULL. */
struct packet *transmitter_drain(struct transmitter *t);

#endif
