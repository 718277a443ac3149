/* SPDX-License-Identifier: MIT */
/* Triggers: filters on the frames that enter a link's directions. One that fires tells the control
 * thread of the frame, and may hold the frame until that has given its verdict. */
#ifndef QN_FABRIC_TRIGGER_H
#define QN_FABRIC_TRIGGER_H

#include "runtime/fabric/direction.h"

#include <pcap/pcap.h>

struct event_queue;

/* A trigger's place on one direction. */
struct trigger {
    struct trigger *next;
    struct watch *watch;
    int dir;
};

struct watch {
    int id;
    struct bpf_program program; /* ours */
    uint64_t first, count;      /* fires from the first-th match on, count times; 0: always */
    uint64_t matched, fired;
    bool hold, drop;
    struct trigger places[2];
    struct direction *on[2]; /* NULL: not on that direction */
};

/* A frame that waits for its verdict, or for the end of the delay that the verdict gave it. */
struct held {
    struct schedule_entry entry; /* first: a cast leads back */
    struct held *next, **link;
    struct direction *direction;
    struct packet *packet;
    uint64_t id;
    int64_t at; /* when it came */
};

/** Make a watch that is nowhere yet, its filter compiled, which one thread at a time may do. @why,
 * of
 * @room bytes, says what is wrong with it. Return: 0; -EINVAL; -ENOMEM. */
int watch_new(struct watch **out, const struct fabric_trigger_config *c, char *why, size_t room);

/** Attach @w to the directions it names. */
void watch_attach(struct watch *w);

/** Detach it; what it holds stays held. */
void watch_detach(struct watch *w);

/** Detach @w from one direction, which goes. */
void watch_forget(struct watch *w, const struct direction *d);

void watch_free(struct watch *w);

/** Show @pkt to the direction's triggers. Return: whether one of them holds it, and owns it now. */
bool triggers_take(struct plane *p, struct direction *d, struct packet *pkt, int64_t at);

/** Drop, as @fate, what triggers hold of the direction. */
void triggers_clear(struct plane *p, struct direction *d, enum link_fate fate);

/** Carry out a verdict. Return: 0 or -ENOENT: the frame is not held any more. */
int trigger_verdict(struct plane *p, const struct fabric_verdict *v);

#endif
