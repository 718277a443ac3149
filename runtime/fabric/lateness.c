/* SPDX-License-Identifier: MIT */
#include "runtime/fabric/lateness.h"

#define SUB_BITS 2
#define SUB (1 << SUB_BITS)

/* The leading bit and the SUB_BITS behind it. Below SUB, each value is a bucket. */
static int bucket_of(uint64_t ns)
{
    if (ns < SUB)
        return (int)ns;
    int shift = 63 - __builtin_clzll(ns) - SUB_BITS;
    int bucket = shift * SUB + (int)(ns >> shift);
    return bucket < FABRIC_LATENESS_BUCKETS ? bucket : FABRIC_LATENESS_BUCKETS - 1;
}

int64_t fabric_lateness_bound(int i)
{
    if (i < SUB)
        return i + 1;
    int shift = i / SUB - 1;
    return (int64_t)(i % SUB + SUB + 1) << shift;
}

/* The most, and when that was. */
static void note_most(struct fabric_lateness *l, uint64_t ns, int64_t at)
{
    if (ns > l->max_ns) {
        l->max_ns = ns;
        l->max_at = at;
    }
}

void lateness_add(struct fabric_lateness *l, int64_t due, int64_t now)
{
    uint64_t late = now > due ? (uint64_t)(now - due) : 0;
    l->count++;
    l->sum_ns += late;
    note_most(l, late, now);
    l->buckets[bucket_of(late)]++;
}

void lateness_join(struct fabric_lateness *to, const struct fabric_lateness *from)
{
    to->count += from->count;
    to->sum_ns += from->sum_ns;
    note_most(to, from->max_ns, from->max_at);
    for (int i = 0; i < FABRIC_LATENESS_BUCKETS; i++)
        to->buckets[i] += from->buckets[i];
}
