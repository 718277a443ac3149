/* SPDX-License-Identifier: MIT */
#include "runtime/fabric/storm.h"

bool storm_sign(struct storm *s, uint32_t weight, int64_t now)
{
    if (now - s->window > STORM_WINDOW_NS) {
        s->window = now;
        s->signs = 0;
    }
    if (s->signs < STORM_SIGNS)
        s->signs += weight;
    if (s->signs < STORM_SIGNS)
        return false;
    bool begins = !storm_rages(s, now);
    s->until = now + STORM_LASTS_NS;
    return begins;
}

bool storm_admits(struct storm *s, int64_t now)
{
    if (s->next < now)
        s->next = now;
    if (s->next - now >= STORM_BURST * STORM_INTERVAL_NS)
        return false;
    s->next += STORM_INTERVAL_NS;
    return true;
}
