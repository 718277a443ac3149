/* SPDX-License-Identifier: MIT */
#include "runtime/fabric/series.h"

static bool is_probability(double v)
{
    return v >= 0 && v <= 1;
}

static bool is_duration(int64_t ns)
{
    return ns >= 0 && ns <= LINK_DELAY_MAX_NS;
}

static const char *check_delay(const struct link_config *c)
{
    if (c->delay_ns < 0)
        return "delay is negative";
    if (c->delay_ns > LINK_DELAY_MAX_NS)
        return "delay is longer than an hour";
    if (c->jitter_ns < 0)
        return "jitter is negative";
    if (c->jitter_ns > LINK_DELAY_MAX_NS)
        return "jitter is longer than an hour";
    if (c->distribution < LINK_UNIFORM || c->distribution > LINK_SAMPLES)
        return "distribution is unknown";
    if (c->distribution == LINK_SAMPLES && (!c->samples || c->samples->n == 0))
        return "distribution \"trace\" has no samples: give samples=";
    if (!(c->correlation >= 0 && c->correlation < 1))
        return "correlation is not between 0 and below 1";
    return NULL;
}

static const char *check_chances(const struct link_config *c)
{
    const struct link_burst *b = &c->burst;
    if (!is_probability(c->loss))
        return "loss is not between 0 and 1";
    if (!is_probability(b->p) || !is_probability(b->r) || !is_probability(b->h) ||
        !is_probability(b->k))
        return "burst has a probability that is not between 0 and 1";
    if (b->p > 0 && b->r == 0)
        return "burst never ends: its r is 0";
    if (!is_probability(c->duplicate))
        return "duplicate is not between 0 and 1";
    if (!is_probability(c->corrupt))
        return "corrupt is not between 0 and 1";
    if (!is_probability(c->reorder))
        return "reorder is not between 0 and 1";
    if (c->reorder > 0 && c->delay_ns == 0)
        return "reorder needs a delay: a frame overtakes those that travel";
    return NULL;
}

static const char *check_trace(const struct link_config *c)
{
    const struct link_series *t = c->trace;
    if (!t)
        return NULL;
    if (c->rate_bps)
        return "trace and rate exclude each other";
    if (t->n == 0 || t->values[t->n - 1] <= 0)
        return "trace has no duration";
    if (t->values[0] < 0)
        return "trace begins before 0";
    for (size_t i = 1; i < t->n; i++) {
        if (t->values[i] < t->values[i - 1])
            return "trace goes back in time";
    }
    return NULL;
}

static const char *check_discipline(const struct link_config *c)
{
    const struct link_red *r = &c->red;
    if (c->discipline < LINK_FIFO || c->discipline > LINK_CODEL)
        return "discipline is unknown";
    if (!(r->min >= 0 && r->max >= 0) || (r->max > 0 && r->min >= r->max))
        return "red: min is not below max";
    if (!is_probability(r->p) || !is_probability(r->weight))
        return "red: p or weight is not between 0 and 1";
    if (!is_duration(c->codel_target_ns) || !is_duration(c->codel_interval_ns))
        return "codel: target or interval is not between 0 and an hour";
    return NULL;
}

static const char *check_queue(const struct link_config *c)
{
    if (c->rate_bps > LINK_RATE_MAX_BPS)
        return "rate is above 1 Tbit/s";
    if (c->queue_packets > LINK_QUEUE_PACKETS_MAX)
        return "queue is longer than 16 Mi packets";
    if (c->queue_bytes > LINK_QUEUE_BYTES_MAX)
        return "queue is larger than 16 GiB";
    if (c->mtu > 0 && c->mtu < LINK_MTU_MIN)
        return "mtu is below 68";
    return NULL;
}

const char *link_config_check(const struct link_config *c)
{
    const char *(*const checks[])(const struct link_config *) = {
        check_delay, check_chances, check_trace, check_discipline, check_queue};
    for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
        const char *wrong = checks[i](c);
        if (wrong)
            return wrong;
    }
    return NULL;
}
