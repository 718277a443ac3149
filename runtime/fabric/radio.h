/* SPDX-License-Identifier: MIT */
/* A radio medium: what one member sends reaches those that are near enough. One frame at a time is
 * on the air, at the rate that all share; contention costs nothing (an ideal scheduler). */
#ifndef QN_FABRIC_RADIO_H
#define QN_FABRIC_RADIO_H

#include "runtime/fabric/direction.h"
#include "runtime/fabric/mactable.h"

struct radio_member {
    struct direction *out; /* leaves the radio */
    struct fabric_motion motion;
};

struct radio {
    struct fabric_radio_config config;
    struct direction air; /* what all share: its rate and queue */
    struct mactable *stations;
    struct radio_member *members;
    size_t len, room;
    struct rng rng;
};

/** Return: a radio without members, or NULL: no memory. */
struct radio *radio_new(struct plane *p, const struct fabric_radio_config *c, uint64_t seed,
                        int id);

/** Free the radio, which must have no members. */
void radio_free(struct plane *p, struct radio *r);

/** Attach a link by its direction that leaves the radio, at the origin. Return: 0 or -ENOMEM. */
int radio_attach(struct radio *r, struct direction *out);

void radio_detach(struct radio *r, struct direction *out);

/** Forget the stations behind a link. */
void radio_forget(struct radio *r, const struct direction *out);

/** Set how the member behind @out moves. Return: 0 or -ENOENT. */
int radio_move(struct radio *r, const struct direction *out, const struct fabric_motion *m);

/** Return: where the member behind @out is at @at, by @xy. */
bool radio_position(const struct radio *r, const struct direction *out, int64_t at, double xy[2]);

/** Send @pkt, owned from here on, that has come in by @in at its due time. */
void radio_forward(struct plane *p, struct radio *r, struct direction *in, struct packet *pkt);

/** @pkt has been on the air until its due time: let it reach the members. */
void radio_air(struct plane *p, struct radio *r, struct packet *pkt);

#endif
