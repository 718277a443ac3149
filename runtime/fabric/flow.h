/* SPDX-License-Identifier: MIT */
/* Flows: packets that the fabric makes itself at the start of one direction, and measures at the
 * end of another. A packet carries its flow's number, its own, and when it was sent. */
#ifndef QN_FABRIC_FLOW_H
#define QN_FABRIC_FLOW_H

#include "runtime/fabric/direction.h"
#include "runtime/fabric/meter.h"
#include "runtime/fabric/rng.h"

struct flow {
    struct schedule_entry entry; /* first: a cast leads back */
    int id;
    struct fabric_flow_config config;
    uint32_t header_len;   /* of the frame that the header's lengths are for */
    struct direction *out; /* where its packets enter; NULL: it was removed */
    struct direction *in;  /* where they are measured; NULL: nowhere */
    struct rng rng;
    bool running;
    double due;      /* of the next packet, ns: with the fraction that a rate leaves */
    double on_until; /* of an on/off source */
    double left;     /* video: bytes of the picture at hand that are still to be sent */
    bool in_picture;
    uint32_t pictures; /* begun */
    uint32_t next_seq, ssrc;
    uint64_t sent, sent_bytes;
    double stalled;
    struct meter meter;
};

/** Return: whether a flow can be like this. */
bool flow_config_is_possible(const struct fabric_flow_config *c);

/** Return: a flow that stands still, or NULL: no memory. */
struct flow *flow_new(struct plane *p, int id, const struct fabric_flow_config *c,
                      struct direction *out, struct direction *in, uint64_t seed);

/** Let it send from p->now on, or stop. */
void flow_run(struct plane *p, struct flow *f, bool on);

/** Tell it that a direction goes. */
void flow_forget(struct plane *p, struct flow *f, const struct direction *d);

void flow_free(struct plane *p, struct flow *f);

/** Offer @pkt, which has come to the end of @d, to the flows that are measured there. Return:
 * whether it was one's that ends there, and is gone. */
bool flow_receive(struct plane *p, struct direction *d, struct packet *pkt);

/* What several flows have done together. Zeroed, it is of none. */
struct flow_sum {
    struct fabric_flow_stats stats;
    struct delays delays;
    double jitter, played; /* sums over all packets */
    uint64_t jitters;      /* packets that have a jitter */
};

/** Add a flow's statistics. Return: 0 or -ENOMEM. */
int flow_sum(const struct plane *p, const struct flow *f, struct flow_sum *sum);

void flow_sum_read(const struct flow_sum *sum, struct fabric_flow_stats *out);

void flow_sum_free(struct flow_sum *sum);

#endif
