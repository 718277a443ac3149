/* SPDX-License-Identifier: MIT */
#include "runtime/fabric/delays.h"

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
static int64_t value_of(unsigned bucket)
{
    if (bucket < SUB)
        return bucket;
    unsigned shift = (bucket >> DELAYS_SUB_BITS) - 1;
    uint64_t low = (uint64_t)((bucket & (SUB - 1)) + SUB) << shift;
    return (int64_t)(low + ((UINT64_C(1) << shift) >> 1));
}

void delays_add(struct delays *d, int64_t ns)
{
    if (ns < 0)
        ns = 0;
    if (d->n == 0 || ns < d->min)
        d->min = ns;
    if (ns > d->max)
        d->max = ns;
    d->n++;
    d->sum += (double)ns;
    d->buckets[bucket_of((uint64_t)ns)]++;
}

void delays_join(struct delays *to, const struct delays *from)
{
    if (from->n == 0)
        return;
    if (to->n == 0 || from->min < to->min)
        to->min = from->min;
    if (from->max > to->max)
        to->max = from->max;
    to->n += from->n;
    to->sum += from->sum;
    for (unsigned i = 0; i < DELAYS_BUCKETS; i++)
        to->buckets[i] += from->buckets[i];
}

static int64_t clamp(const struct delays *d, int64_t v)
{
    if (v < d->min)
        return d->min;
    return v > d->max ? d->max : v;
}

int64_t delays_quantile(const struct delays *d, double q)
{
    uint64_t wanted = (uint64_t)(q * (double)d->n), passed = 0;
    for (unsigned i = 0; i < DELAYS_BUCKETS; i++) {
        passed += d->buckets[i];
        if (passed > wanted)
            return clamp(d, value_of(i));
    }
    return d->max;
}

uint64_t delays_above(const struct delays *d, int64_t ns)
{
    uint64_t above = 0;
    for (unsigned i = bucket_of(ns > 0 ? (uint64_t)ns : 0) + 1; i < DELAYS_BUCKETS; i++)
        above += d->buckets[i];
    return above;
}
