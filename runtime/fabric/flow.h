/* SPDX-License-Identifier: MIT */
/* Flows: packets that the fabric makes itself at the start of one direction, and measures at the
 * end of another. A packet carries its flow's number, its own, and when it was sent. */
#ifndef QN_FABRIC_FLOW_H
#define QN_FABRIC_FLOW_H

#include "runtime/fabric/delays.h"
#include "runtime/fabric/direction.h"
#include "runtime/fabric/rng.h"

#define FLOW_WINDOW 4096 /* how far behind the newest a packet is still told from its duplicate */

struct flow {
    struct schedule_entry entry; /* first: a cast leads back */
    int id;
    struct fabric_flow_config config;
    struct direction *out; /* where its packets enter; NULL: it was removed */
    struct direction *in;  /* where they are measured and end; NULL: nowhere */
    struct rng rng;
    bool running;
    double due;       /* of the next packet, ns: with the fraction that a rate leaves */
    int64_t on_until; /* of an on/off source */
    uint32_t picture; /* video: number of the next */
    uint32_t next_seq;
    struct fabric_flow_stats stats;
    struct delays delays;
    bool heard;      /* something has come: the three below hold */
    uint32_t newest; /* highest number that has come */
    int64_t transit; /* of the last packet */
    double jitter;
    uint64_t seen[FLOW_WINDOW / 64];
};

/** Return: a flow that stands still, or NULL: no memory. */
struct flow *flow_new(int id, const struct fabric_flow_config *c, struct direction *out,
                      struct direction *in, uint64_t seed);

/** Let it send from p->now on, or stop. */
void flow_run(struct plane *p, struct flow *f, bool on);

/** Tell it that a direction goes. */
void flow_forget(struct plane *p, struct flow *f, const struct direction *d);

void flow_free(struct plane *p, struct flow *f);

/** Offer @pkt, which has come to the end of @d, to the flows that end there. Return: whether it was
 * one's, and is gone. */
bool flow_receive(struct plane *p, struct direction *d, struct packet *pkt);

/* What several flows have done together. Zeroed, it is of none. */
struct flow_sum {
    struct fabric_flow_stats stats;
    struct delays delays;
    double jitter; /* the sum over all packets */
};

/** Add a flow's statistics. */
void flow_sum(const struct flow *f, struct flow_sum *sum);

void flow_sum_read(const struct flow_sum *sum, struct fabric_flow_stats *out);

#endif
