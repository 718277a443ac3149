/* SPDX-License-Identifier: MIT */
/* What everything in the fabric's thread shares. Nothing here is touched by another thread. */
#ifndef QN_FABRIC_PLANE_H
#define QN_FABRIC_PLANE_H

#include "runtime/fabric/fabric.h"
#include "runtime/fabric/packet.h"
#include "runtime/fabric/schedule.h"

struct port;

struct plane {
    struct pool pool;
    struct schedule schedule; /* directions, by when each next has something to do */
    struct fabric_totals totals;
    struct port *unflushed; /* ports that have been given frames this turn */
    int epoll_fd;
    int64_t now; /* when the frames at hand came or fell due at the latest */
};

#endif
