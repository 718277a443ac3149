/* SPDX-License-Identifier: MIT */
/* xoshiro256** 1.0 and splitmix64, after the public-domain reference code of David Blackman and
 * Sebastiano Vigna, https://prng.di.unimi.it/ (xoshiro256starstar.c, splitmix64.c). */
#include "runtime/fabric/rng.h"

#include <math.h>

static uint64_t splitmix64(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

/* The stream number is hashed before it meets the seed: seeds a multiple of splitmix64's increment
 * apart would give the same sequence, shifted. */
void rng_seed(struct rng *r, uint64_t seed, uint64_t stream)
{
    uint64_t mixed = splitmix64(&seed) ^ splitmix64(&stream);
    for (int i = 0; i < 4; i++)
        r->state[i] = splitmix64(&mixed);
}

static uint64_t rotate_left(uint64_t x, int k)
{
    return (x << k) | (x >> (64 - k));
}

uint64_t rng_next(struct rng *r)
{
    uint64_t *s = r->state;
    uint64_t result = rotate_left(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate_left(s[3], 45);
    return result;
}

double rng_unit(struct rng *r)
{
    return (double)(rng_next(r) >> 11) * 0x1.0p-53;
}

/* G. Box, M. Muller: A Note on the Generation of Random Normal Deviates, 1958. */
double rng_normal(struct rng *r)
{
    double u = 1 - rng_unit(r); /* not 0 */
    return sqrt(-2 * log(u)) * cos(2 * M_PI * rng_unit(r));
}
