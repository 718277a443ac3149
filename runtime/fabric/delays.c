/* SPDX-License-Identifier: MIT */
#include "runtime/fabric/delays.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SUB (1U << DELAYS_SUB_BITS)

/* Below SUB each value has its own bucket; above, the leading bits count. */
static unsigned bucket_of(uint64_t v)
{
    if (v < SUB)
        return (unsigned)v;
    unsigned shift = 63U - (unsigned)__builtin_clzll(v) - DELAYS_SUB_BITS;
    return ((shift + 1) << DELAYS_SUB_BITS) + (unsigned)(v >> shift) - SUB;
}

/* Return: the middle of a bucket. */
static int64_t value_of(unsigned octave, unsigned sub)
{
    if (octave == 0)
        return sub;
    unsigned shift = octave - 1;
    uint64_t low = (uint64_t)(sub + SUB) << shift;
    return (int64_t)(low + ((UINT64_C(1) << shift) >> 1));
}

static uint64_t *octave_at(struct delays *d, unsigned octave)
{
    if (!d->octaves[octave])
        d->octaves[octave] = calloc(SUB, sizeof(uint64_t));
    return d->octaves[octave];
}

int delays_add(struct delays *d, int64_t ns)
{
    if (ns < 0)
        ns = 0;
    if (d->n == 0 || ns < d->min)
        d->min = ns;
    if (ns > d->max)
        d->max = ns;
    d->n++;
    d->sum += (double)ns;
    unsigned bucket = bucket_of((uint64_t)ns);
    uint64_t *buckets = octave_at(d, bucket / SUB);
    if (!buckets)
        return -ENOMEM;
    buckets[bucket % SUB]++;
    return 0;
}

static int join_octave(struct delays *to, unsigned octave, const uint64_t *from)
{
    uint64_t *buckets = octave_at(to, octave);
    if (!buckets)
        return -ENOMEM;
    for (unsigned i = 0; i < SUB; i++)
        buckets[i] += from[i];
    return 0;
}

int delays_join(struct delays *to, const struct delays *from)
{
    int err = 0;
    if (from->n == 0)
        return 0;
    if (to->n == 0 || from->min < to->min)
        to->min = from->min;
    if (from->max > to->max)
        to->max = from->max;
    to->n += from->n;
    to->sum += from->sum;
    for (unsigned i = 0; i < DELAYS_OCTAVES && err == 0; i++)
        err = from->octaves[i] ? join_octave(to, i, from->octaves[i]) : 0;
    return err;
}

static int64_t clamp(const struct delays *d, int64_t v)
{
    if (v < d->min)
        return d->min;
    return v > d->max ? d->max : v;
}

int64_t delays_quantile(const struct delays *d, double q)
{
    uint64_t rank = (uint64_t)ceil(q * (double)d->n * (1 - 1e-12)), passed = 0;
    if (rank >= d->n)
        return d->max;
    for (unsigned octave = 0; octave < DELAYS_OCTAVES; octave++) {
        const uint64_t *buckets = d->octaves[octave];
        for (unsigned i = 0; buckets && i < SUB; i++) {
            passed += buckets[i];
            if (passed > 0 && passed >= rank)
                return clamp(d, value_of(octave, i));
        }
    }
    return d->max;
}

void delays_free(struct delays *d)
{
    for (unsigned i = 0; i < DELAYS_OCTAVES; i++)
        free(d->octaves[i]);
    memset(d, 0, sizeof(*d));
}
