/* SPDX-License-Identifier: MIT */
/* How the fabric's thread is scheduled. Before all else, as long as it is woken seldom: then
 * nothing that is due waits for a busy processor. As all else, while much comes: a thread that is
 * woken by each single frame, before its sender can send the next, costs ten times as much
 * (measured: 28 us a frame and 28,000 a second instead of 2 us and 470,000). */
#ifndef QN_FABRIC_URGENCY_H
#define QN_FABRIC_URGENCY_H

#include <stdbool.h>
#include <stdint.h>

struct urgency {
    bool may, is;
    int64_t period_ends;
    uint64_t turns, frames; /* of the present period */
};

/** Set up @u for the calling thread. */
void urgency_begin(struct urgency *u);

/** The thread has woken at @now, and taken @frames. */
void urgency_note(struct urgency *u, uint64_t frames, int64_t now);

#endif
