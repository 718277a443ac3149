/* SPDX-License-Identifier: MIT */
#include "runtime/fabric/urgency.h"

#include "runtime/clock.h"
#include "runtime/thread.h"

#define PERIOD_NS (10 * CLOCK_NS_PER_MS)
#define MANY_TURNS 200 /* in a period: woken too often */
#define FEW_FRAMES 100 /* in a period: it will not be woken often */

void urgency_begin(struct urgency *u)
{
    *u = (struct urgency){0};
    u->may = u->is = thread_become_urgent();
}

static void decide(struct urgency *u)
{
    if (u->is && u->turns > MANY_TURNS) {
        thread_become_ordinary();
        u->is = false;
    } else if (!u->is && u->turns < MANY_TURNS / 2 && u->frames < FEW_FRAMES) {
        u->is = thread_become_urgent();
    }
}

void urgency_note(struct urgency *u, uint64_t frames, int64_t now)
{
    if (!u->may)
        return;
    u->turns++;
    u->frames += frames;
    if (now < u->period_ends)
        return;
    decide(u);
    u->turns = u->frames = 0;
    u->period_ends = now + PERIOD_NS;
}
