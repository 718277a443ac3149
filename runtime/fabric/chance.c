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

/* If normal variables have correlation rho, what the Pareto distribution makes of them has the
 * correlation of the sum of pareto_terms[k] * rho^(k + 1): the squares of its coefficients in
 * orthonormal Hermite polynomials (H. Lancaster: Some Properties of the Bivariate Normal
 * Distribution Considered in the Form of a Contingency Table, 1957). The last stands for the rest.
 */
static const double pareto_terms[] = {
    0.4601625071, 0.2900583614, 0.1323823451, 0.0599973212, 0.0294106638,
    0.0144180270, 0.0069206624, 0.0033749997, 0.0016683348, 0.0016067775,
};

static double pareto_correlation(double rho)
{
    double sum = 0;
    for (size_t k = sizeof(pareto_terms) / sizeof(pareto_terms[0]); k-- > 0;)
        sum = (sum + pareto_terms[k]) * rho;
    return sum;
}

/* Return: the correlation of normal variables of which that of the jitter becomes @wanted. */
static double normal_correlation(enum link_distribution distribution, double wanted)
{
    double low = 0, high = 1;
    if (distribution == LINK_UNIFORM)
        return 2 * sin(M_PI / 6 * wanted);
    if (distribution != LINK_PARETO || wanted == 0)
        return wanted;
    for (int i = 0; i < 50; i++) {
        double rho = (low + high) / 2;
        if (pareto_correlation(rho) < wanted)
            low = rho;
        else
            high = rho;
    }
    return low;
}

void chance_configure(struct chance *h, const struct link_config *c)
{
    h->correlation = normal_correlation(c->distribution, c->correlation);
}

/* A first-order autoregressive process: each variable is standard normal whatever the correlation,
 * and so the jitter that is made of it has its distribution (a Gaussian copula). */
static double next_normal(struct chance *h)
{
    double rho = h->correlation, z = rng_normal(&h->rng[CHANCE_JITTER]);
    if (h->has_z && rho > 0)
        z = rho * h->z + sqrt(1 - rho * rho) * z;
    h->has_z = true;
    h->z = z;
    return z;
}

/* A variable uniform over 0 to below 1. */
static double next_unit(struct chance *h)
{
    if (h->correlation == 0)
        return rng_unit(&h->rng[CHANCE_JITTER]);
    double u = erfc(-next_normal(h) * M_SQRT1_2) / 2;
    return u < 1 ? u : nextafter(1, 0);
}

static double jitter(struct chance *h, const struct link_config *c)
{
    switch (c->distribution) {
    case LINK_NORMAL:
        return next_normal(h);
    case LINK_PARETO:
        return (pow(1 - next_unit(h), -1 / PARETO_SHAPE) - PARETO_MEAN) / PARETO_DEVIATION;
    default:
        return 2 * next_unit(h) - 1;
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
