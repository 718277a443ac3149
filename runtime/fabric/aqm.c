/* SPDX-License-Identifier: MIT */
#include "runtime/fabric/aqm.h"

#include "runtime/fabric/chance.h"
#include "runtime/fabric/trace.h"

#include <math.h>

/* Of a typical packet, by which a time of idleness is counted in packets that could have been sent.
 */
#define RED_TYPICAL_BYTES 500
#define BIT_NS 8e9
/* A queue that holds no more than this is never too long, RFC 8289, 5.4. */
#define MAX_PACKET 1514

struct red_bounds {
    double min, max, p, weight;
};

static struct red_bounds red_bounds(const struct link_red *c, double limit)
{
    return (struct red_bounds){
        .min = c->max > 0 ? c->min : limit / 12,
        .max = c->max > 0 ? c->max : limit / 4,
        .p = c->p > 0 ? c->p : LINK_RED_P_DEFAULT,
        .weight = c->weight > 0 ? c->weight : LINK_RED_WEIGHT_DEFAULT,
    };
}

static double packets_in(int64_t ns, const struct link_config *c)
{
    double rate = c->trace ? trace_rate(c->trace) : (double)c->rate_bps;
    return (double)ns * rate / (RED_TYPICAL_BYTES * BIT_NS);
}

static void average(struct red *r, const struct link_config *c, double weight, double len,
                    int64_t at)
{
    if (r->idle_since) {
        r->average *= pow(1 - weight, packets_in(at - r->idle_since, c));
        r->idle_since = 0;
    }
    r->average += weight * (len - r->average);
}

bool red_drops(struct red *r, const struct link_config *c, struct chance *h, double len,
               double limit, int64_t at)
{
    struct red_bounds b = red_bounds(&c->red, limit);
    average(r, c, b.weight, len, at);
    if (r->average < b.min) {
        r->count = -1;
        return false;
    }
    if (r->average >= b.max) {
        r->count = 0;
        return true;
    }
    r->count++;
    double p = b.p * (r->average - b.min) / (b.max - b.min), rest = 1 - (double)r->count * p;
    if (rest > 0 && !chance_happens(h, CHANCE_QUEUE, p / rest))
        return false;
    r->count = 0;
    return true;
}

void red_idle(struct red *r, int64_t at)
{
    r->idle_since = at;
}

static int64_t control_law(const struct link_config *c, int64_t t, uint32_t count)
{
    int64_t interval = c->codel_interval_ns ? c->codel_interval_ns : LINK_CODEL_INTERVAL_DEFAULT_NS;
    return t + (int64_t)((double)interval / sqrt(count));
}

static bool ok_to_drop(struct codel *s, const struct link_config *c, int64_t now, int64_t sojourn,
                       uint64_t bytes)
{
    int64_t target = c->codel_target_ns ? c->codel_target_ns : LINK_CODEL_TARGET_DEFAULT_NS;
    if (sojourn < target || bytes <= MAX_PACKET) {
        s->first_above_time = 0;
        return false;
    }
    if (s->first_above_time == 0) {
        s->first_above_time = control_law(c, now, 1);
        return false;
    }
    return now >= s->first_above_time;
}

static void begin_dropping(struct codel *s, const struct link_config *c, int64_t now)
{
    uint32_t delta = s->count - s->lastcount;
    int64_t recently = 16 * control_law(c, 0, 1);
    s->dropping = s->began = true;
    s->count = delta > 1 && now - s->drop_next < recently ? delta : 1;
    s->drop_next = control_law(c, now, s->count);
    s->lastcount = s->count;
}

bool codel_drops(struct codel *s, const struct link_config *c, int64_t now, int64_t sojourn,
                 uint64_t bytes, bool after_drop)
{
    bool ok = ok_to_drop(s, c, now, sojourn, bytes);
    if (s->began) {
        s->began = false;
        return false;
    }
    if (!s->dropping) {
        if (ok)
            begin_dropping(s, c, now);
        return ok;
    }
    if (!ok) {
        s->dropping = false;
        return false;
    }
    if (after_drop)
        s->drop_next = control_law(c, s->drop_next, s->count);
    if (now < s->drop_next)
        return false;
    s->count++;
    return true;
}

void codel_idle(struct codel *s)
{
    s->first_above_time = 0;
    s->dropping = s->began = false;
}
