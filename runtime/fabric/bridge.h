/* SPDX-License-Identifier: MIT */
/* A switch: learns which stations are behind which link, and forwards or floods. */
#ifndef QN_FABRIC_BRIDGE_H
#define QN_FABRIC_BRIDGE_H

#include "runtime/fabric/mactable.h"
#include "runtime/fabric/plane.h"
#include "runtime/fabric/storm.h"

/* What bounds the work that one frame can make where switches form a loop. */
#define BRIDGE_HOPS_MAX 64
#define BRIDGE_VISITS_MAX 16384

struct bridge {
    int id;
    int64_t ageing_ns;          /* 0: never forgets */
    struct mactable *stations;  /* NULL: a hub */
    struct direction **members; /* the directions that leave the switch */
    size_t len, room;
    struct storm storm;
    bool warned; /* the control thread has been told of a storm */
    struct fabric_switch_stats stats;
};

/** Return: a switch without links, or NULL: no memory. */
struct bridge *bridge_new(int64_t ageing_ns, bool hub);

/** Free the switch, which must have no links. */
void bridge_free(struct bridge *b);

/** Attach a link by its direction that leaves the switch. Return: 0 or -ENOMEM. */
int bridge_attach(struct bridge *b, struct direction *out);

/** Detach a link, and forget the stations behind it. */
void bridge_detach(struct bridge *b, struct direction *out);

/** Forget the stations behind a link. */
void bridge_forget(struct bridge *b, const struct direction *out);

/** Count a hop more of @pkt. Return: whether it has made too many, and goes no further. */
bool bridge_is_loop(struct packet *pkt);

/** Forward @pkt, owned from here on, that has come in by @in at its due time. */
void bridge_forward(struct plane *p, struct bridge *b, struct direction *in, struct packet *pkt);

#endif
