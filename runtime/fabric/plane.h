/* SPDX-License-Identifier: MIT */
/* What everything in the fabric's thread shares. Nothing here is touched by another thread, but for
 * the queue of events. */
#ifndef QN_FABRIC_PLANE_H
#define QN_FABRIC_PLANE_H

#include "runtime/fabric/fabric.h"
#include "runtime/fabric/packet.h"
#include "runtime/fabric/schedule.h"
#include "runtime/fabric/table.h"

struct event_queue;
struct held;
struct port;

struct plane {
    struct pool pool;
    struct schedule schedule;    /* by when each thing next has something to do */
    struct fabric_totals totals; /* the lateness is that of links that were removed */
    struct port *unflushed;      /* ports that have been given frames this turn */
    struct table flows;
    struct event_queue *events;
    struct held *held, **held_end; /* frames that wait for a verdict */
    uint64_t last_held;
    unsigned held_count;
    int epoll_fd;
    int64_t now; /* when the frames at hand came or fell due at the latest */
};

/** Count what is lost to this machine's slowness in @counter, one of the totals. */
static inline void plane_lose(struct plane *p, uint64_t *counter)
{
    ++*counter;
    p->totals.lost_at = p->now;
}

#endif
