/* SPDX-License-Identifier: MIT */
/* A radio medium: what one member sends reaches those that are near enough. One frame at a time is
 * on the air, at the rate that all share. Members whose frames wait take turns, frame by frame, and
 * contention costs nothing (an ideal scheduler). */
#ifndef QN_FABRIC_RADIO_H
#define QN_FABRIC_RADIO_H

#include "runtime/fabric/direction.h"
#include "runtime/fabric/mactable.h"

/* Stations that were not heard for so long are strangers: as switches do, IEEE 802.1D-2004. */
#define RADIO_AGEING_NS (INT64_C(300) * 1000000000)

struct radio_member {
    struct direction *out; /* leaves the radio */
    struct fabric_motion
        motions[FABRIC_MOTIONS_MAX]; /* by start; the first holds until the second's */
    size_t n_motions;                /* at least 1 */
    struct packet_list waiting;
    struct rng rng; /* how strongly it hears */
    struct fabric_radio_stats stats;
};

struct radio {
    struct schedule_entry entry; /* first: radio_of() is a cast */
    struct fabric_radio_config config;
    struct link_config air; /* its rate */
    struct transmitter transmitter;
    const struct direction *sender; /* of what is on the air; NULL: cut off */
    struct mactable *stations;
    struct radio_member *members;
    size_t len, room;
    size_t turn; /* where to look for the next sender */
    uint64_t seed;
    uint32_t id, joined; /* members so far */
};

/** Return: a radio without members, or NULL: no memory. */
struct radio *radio_new(const struct fabric_radio_config *c, uint64_t seed, int id);

/** Free the radio, which must have no members. */
void radio_free(struct plane *p, struct radio *r);

/** Attach a link by its direction that leaves the radio, nowhere yet. Return: 0 or -ENOMEM. */
int radio_attach(struct radio *r, struct direction *out);

/** Detach a link, as radio_silence(). @p may be NULL when nothing was ever sent. */
void radio_detach(struct plane *p, struct radio *r, struct direction *out);

/** Drop what the member behind @out has not yet sent to the end, and forget its stations. */
void radio_silence(struct plane *p, struct radio *r, const struct direction *out);

/** As fabric_radio_move() for the member behind @out. Return: 0; -ENOENT; -EINVAL; -ENOSPC. */
int radio_move(struct radio *r, const struct direction *out, const struct fabric_motion *m,
               int64_t now);

/** Return: where the member behind @out is at @at, by @xy. */
bool radio_position(const struct radio *r, const struct direction *out, int64_t at, double xy[2]);

/** Read a member's statistics. Return: 0 or -ENOENT. */
int radio_stats(const struct radio *r, const struct direction *out, struct fabric_radio_stats *s);

/** Send @pkt, owned from here on, that has come in by @in at its due time. */
void radio_forward(struct plane *p, struct radio *r, struct direction *in, struct packet *pkt);

#endif
