/* SPDX-License-Identifier: MIT */
/* The fabric's ports, switches and links, and the loop that moves frames between them. All of it
 * belongs to one thread. */
#ifndef QN_FABRIC_ENGINE_H
#define QN_FABRIC_ENGINE_H

#include "runtime/fabric/command.h"
#include "runtime/fabric/event.h"
#include "runtime/fabric/link.h"
#include "runtime/fabric/plane.h"
#include "runtime/fabric/receiver.h"
#include "runtime/fabric/table.h"
#include "runtime/fabric/trigger.h"
#include "runtime/fabric/urgency.h"

struct capture;

struct engine {
    struct plane plane;
    struct event_queue events;
    struct receiver *receiver;
    struct table ports, bridges, radios, stations, links, watches, captures;
    uint64_t seed;
    int timer_fd;
    int64_t timer_at; /* what the timer is set to; SCHEDULE_NEVER: it is off */
    bool no_timeouts; /* epoll_pwait2() cannot be called */
    bool stopping;
    struct urgency urgency;
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
int engine_port_desert(struct engine *e, int id, bool deserted);
int engine_switch_add(struct engine *e, int64_t ageing_ns, unsigned flags);
int engine_switch_remove(struct engine *e, int id);
int engine_switch_stats(struct engine *e, int id, struct fabric_switch_stats *out);
int engine_radio_add(struct engine *e, const struct fabric_radio_config *c);
int engine_radio_remove(struct engine *e, int id);
int engine_radio_move(struct engine *e, int id, int link, const struct fabric_motion *m);
int engine_radio_position(struct engine *e, int id, int link, double xy[2]);
int engine_radio_stats(struct engine *e, int id, int link, struct fabric_radio_stats *out);
int engine_station_add(struct engine *e, const struct fabric_station_config *c);
int engine_station_remove(struct engine *e, int id);
int engine_link_add(struct engine *e, const struct fabric_end ends[2],
                    const struct link_config cfg[2]);
int engine_link_remove(struct engine *e, int id);
int engine_flow_add(struct engine *e, const struct fabric_flow_config *c);
int engine_flow_remove(struct engine *e, int id);

/** Add a watch on @link, owned from here on if it returns an id. */
int engine_watch_add(struct engine *e, struct watch *w, int link, const bool on[2]);
int engine_watch_remove(struct engine *e, int id);

/** Add a capture, owned from here on if it returns an id. */
int engine_capture_add(struct engine *e, struct capture *c);
int engine_capture_link(struct engine *e, int capture, int link, const char *name);

/** Take a capture out. Return: it, the caller's, or NULL. */
struct capture *engine_capture_take(struct engine *e, int id);

/** Add what has happened on each direction since the last call to @s. Return: 0 or -ENOMEM. */
int engine_sample(struct engine *e, struct fabric_samples *s);

/** Read the whole fabric's statistics into @out. */
void engine_totals(const struct engine *e, struct fabric_totals *out);

/** Return: the link, or NULL. */
struct link *engine_link(const struct engine *e, int id);

#endif
