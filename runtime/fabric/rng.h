/* SPDX-License-Identifier: MIT */
/* Random numbers for the network: one generator per link direction, so that what one link draws
 * never depends on what another carries. */
#ifndef QN_FABRIC_RNG_H
#define QN_FABRIC_RNG_H

#include <stdint.h>

struct rng {
    uint64_t state[4];
};

/** Seed @r from the run's @seed and a @stream number; each stream is a generator of its own. */
void rng_seed(struct rng *r, uint64_t seed, uint64_t stream);

/** Return: the next 64 random bits. */
uint64_t rng_next(struct rng *r);

/** Return: a number in [0, 1), of 53 random bits. */
double rng_unit(struct rng *r);

/** Return: a standard normal variable. */
double rng_normal(struct rng *r);

#endif
