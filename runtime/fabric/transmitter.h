/* SPDX-License-Identifier: MIT */
/* The first stage of a link's direction: a FIFO served at a rate. One packet at a time is being
 * sent; the others wait. */
#ifndef QN_FABRIC_TRANSMITTER_H
#define QN_FABRIC_TRANSMITTER_H

#include "runtime/fabric/fabric.h"
#include "runtime/fabric/packet.h"

/* Zeroed memory is an idle transmitter. */
struct transmitter {
    struct packet *sending;
    int64_t ends_at;    /* when what is being sent ends, or the last one did */
    uint64_t remainder; /* the fraction of a nanosecond that ends_at leaves out, in 1/rate */
    struct packet_list waiting;
    uint64_t packets, bytes; /* waiting */
};

/** Queue @pkt, that comes at time @at, or send it at once when idle. Return: false when there is no
 * room, and @pkt stays the caller's. */
bool transmitter_offer(struct transmitter *t, const struct link_config *c, struct packet *pkt,
                       int64_t at);

/** Take the next packet whose sending has ended by @now, and begin to send the one behind it.
 * Return: the packet, and at *@ended when it ended; NULL when there is none. */
struct packet *transmitter_take(struct transmitter *t, const struct link_config *c, int64_t now,
                                int64_t *ended);

/** Return: when the packet that is being sent ends, or DQUEUE_NEVER. */
int64_t transmitter_ends(const struct transmitter *t);

/** From @now on what is left of the packet that is being sent goes at rate @to instead of @from. */
void transmitter_change_rate(struct transmitter *t, uint64_t from, uint64_t to, int64_t now);

/** Free all packets. Return: how many. */
uint64_t transmitter_clear(struct transmitter *t, struct pool *pool);

#endif
