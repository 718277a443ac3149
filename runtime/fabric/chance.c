/* SPDX-License-Identifier: MIT */
#include "runtime/fabric/chance.h"

#include "runtime/fabric/series.h"

#include <math.h>

/* The Pareto distribution of minimum 1 and shape 3: mean 3/2, variance 3/4. */
#define PARETO_SHAPE 3.0
#define PARETO_MEAN 1.5
#define PARETO_DEVIATION 0.86602540378443865

void chance_seed(struct chance *h, uint64_t seed, uint64_t stream)
{
    *h = (struct chance){0};
    for (uint64_t i = 0; i < CHANCE_STREAMS; i++)
        rng_seed(&h->rng[i], seed, stream * CHANCE_STREAMS + i);
}

bool chance_happens(struct chance *h, enum chance_stream stream, double p)
{
    return p > 0 && rng_unit(&h->rng[stream]) < p;
}

static bool burst_loses(struct chance *h, const struct link_burst *b)
{
    struct rng *r = &h->rng[CHANCE_BURST];
    if (rng_unit(r) < (h->bad ? b->r : b->p))
        h->bad = !h->bad;
    return rng_unit(r) >= (h->bad ? b->h : b->k);
}

bool chance_loses(struct chance *h, const struct link_config *c)
{
    bool lost = chance_happens(h, CHANCE_LOSS, c->loss);
    if (c->burst.p > 0 && burst_loses(h, &c->burst))
        lost = true;
    return lost;
}

/* A first-order autoregressive process: each variable is standard normal whatever the correlation,
 * and so the jitter that is made of it has its distribution (a Gaussian copula). */
static double next_normal(struct chance *h, double correlation)
{
    double z = rng_normal(&h->rng[CHANCE_JITTER]);
    if (h->has_z && correlation > 0)
        z = correlation * h->z + sqrt(1 - correlation * correlation) * z;
    h->has_z = true;
    h->z = z;
    return z;
}

/* A variable uniform over 0 to below 1. */
static double next_unit(struct chance *h, double correlation)
{
    if (correlation == 0)
        return rng_unit(&h->rng[CHANCE_JITTER]);
    double u = erfc(-next_normal(h, correlation) * M_SQRT1_2) / 2;
    return u < 1 ? u : nextafter(1, 0);
}

static double jitter(struct chance *h, const struct link_config *c)
{
    switch (c->distribution) {
    case LINK_NORMAL:
        return next_normal(h, c->correlation);
    case LINK_PARETO:
        return (pow(1 - next_unit(h, c->correlation), -1 / PARETO_SHAPE) - PARETO_MEAN) /
               PARETO_DEVIATION;
    default:
        return 2 * next_unit(h, c->correlation) - 1;
    }
}

static int64_t next_sample(struct chance *h, const struct link_series *s)
{
    if (h->sampled >= s->n)
        h->sampled = 0;
    return s->values[h->sampled++];
}

static int64_t variable_part(struct chance *h, const struct link_config *c)
{
    if (c->distribution == LINK_SAMPLES)
        return next_sample(h, c->samples);
    if (c->jitter_ns == 0)
        return 0;
    double ns = jitter(h, c) * (double)c->jitter_ns;
    double most = (double)LINK_DELAY_MAX_NS; /* a Pareto variable has no bound */
    return (int64_t)(ns < most ? ns : most);
}

int64_t chance_delay(struct chance *h, const struct link_config *c)
{
    int64_t delay = c->delay_ns + variable_part(h, c);
    return delay > 0 ? delay : 0;
}
