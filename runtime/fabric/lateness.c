/* SPDX-License-Identifier: MIT */
#include "runtime/fabric/lateness.h"

static int bucket_of(uint64_t ns)
{
    int bucket = 63 - __builtin_clzll(ns | 1);
    return bucket < FABRIC_LATENESS_BUCKETS ? bucket : FABRIC_LATENESS_BUCKETS - 1;
}

void lateness_add(struct fabric_lateness *l, int64_t ns)
{
    uint64_t late = ns > 0 ? (uint64_t)ns : 0;
    l->count++;
    l->sum_ns += late;
    if (late > l->max_ns)
        l->max_ns = late;
    l->buckets[bucket_of(late)]++;
}

void lateness_join(struct fabric_lateness *to, const struct fabric_lateness *from)
{
    to->count += from->count;
    to->sum_ns += from->sum_ns;
    if (from->max_ns > to->max_ns)
        to->max_ns = from->max_ns;
    for (int i = 0; i < FABRIC_LATENESS_BUCKETS; i++)
        to->buckets[i] += from->buckets[i];
}
