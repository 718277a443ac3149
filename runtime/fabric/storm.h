/* SPDX-License-Identifier: MIT */
/* Storm control of one switch. Where links form a loop, through switches or through nodes that
 * bridge, a station is heard from several links in turn, and frames go round. A switch that has
 * enough signs of that limits its floods for as long as there are signs; one without never does. */
#ifndef QN_FABRIC_STORM_H
#define QN_FABRIC_STORM_H

#include "runtime/fabric/fabric.h"

#define STORM_SIGNS 100                       /* so many */
#define STORM_WINDOW_NS (INT64_C(1000000000)) /* within this make a storm */
#define STORM_LASTS_NS (INT64_C(1000000000))  /* after the last such time */
#define STORM_INTERVAL_NS (INT64_C(1000000000) / FABRIC_STORM_FLOODS)
#define STORM_BURST 50 /* floods that may come at once */

/* Zeroed memory is a quiet switch. */
struct storm {
    int64_t window; /* from when the signs are counted */
    uint32_t signs;
    int64_t until; /* the storm lasts */
    int64_t next;  /* when a flood is due at the limit's pace */
};

/** Note @weight signs of a loop. Return: whether a storm begins with them. */
bool storm_sign(struct storm *s, uint32_t weight, int64_t now);

/** Return: whether there is a storm. */
static inline bool storm_rages(const struct storm *s, int64_t now)
{
    return now < s->until;
}

/** Return: whether a frame may be flooded, in a storm; and count it. */
bool storm_admits(struct storm *s, int64_t now);

#endif
