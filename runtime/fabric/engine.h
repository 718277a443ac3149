/* SPDX-License-Identifier: MIT */
/* The fabric's ports, switches and links, and the loop that moves frames between them. All of it
 * belongs to one thread. */
#ifndef QN_FABRIC_ENGINE_H
#define QN_FABRIC_ENGINE_H

#include "runtime/fabric/command.h"
#include "runtime/fabric/link.h"
#include "runtime/fabric/plane.h"
#include "runtime/fabric/receiver.h"
#include "runtime/fabric/table.h"

struct engine {
    struct plane plane;
    struct receiver *receiver;
    struct table ports, bridges, links;
    size_t link_count;
    uint64_t seed;
    int timer_fd;
    int64_t timer_at; /* what the timer is set to; SCHEDULE_NEVER: it is off */
    bool stopping;
};

/** Make an engine in zeroed @e that is told of commands by @q. Return: 0 or negative errno, and
 * nothing is left to be closed. */
int engine_open(struct engine *e, uint64_t seed, struct command_queue *q);

/** Close everything. */
void engine_close(struct engine *e);

/** Move frames and carry out commands until engine_stop(). */
void engine_run(struct engine *e, struct command_queue *q);

/* The operations of fabric.h, in the fabric's thread. */
int engine_port_add(struct engine *e, int fd);
int engine_port_remove(struct engine *e, int id);
int engine_switch_add(struct engine *e, int64_t ageing_ns, unsigned flags);
int engine_switch_remove(struct engine *e, int id);
int engine_link_add(struct engine *e, const struct fabric_end ends[2],
                    const struct link_config cfg[2]);
int engine_link_remove(struct engine *e, int id);

/** Return: the link, or NULL. */
struct link *engine_link(const struct engine *e, int id);

#endif
