/* SPDX-License-Identifier: MIT */
/* A link: two directions between two ends. */
#ifndef QN_FABRIC_LINK_H
#define QN_FABRIC_LINK_H

#include "runtime/fabric/direction.h"

struct link {
    struct end ends[2];
    struct direction directions[2]; /* [i] goes from ends[i] to the other */
};

/** Return: a link that is up and attached to nothing yet, or NULL: no memory. */
struct link *link_new(struct plane *p, const struct end ends[2], const struct link_config cfg[2]);

/** Seed both directions' generators for link number @id. */
void link_seed(struct link *l, uint64_t seed, int id);

/** Attach the link to its ends. Return: 0, -EBUSY, -EINVAL (both ends are one) or -ENOMEM. */
int link_attach(struct link *l);

/** Detach the link from its ends; what waits for its ports' peers is dropped. */
void link_detach(struct plane *p, struct link *l);

/** Take the link down or up. */
void link_up(struct plane *p, struct link *l, bool up);

/** Read one direction's statistics. */
struct link_stats link_read_stats(const struct link *l, int dir);

/** Free a link that is attached to nothing, and what is in flight. */
void link_free(struct plane *p, struct link *l);

#endif
