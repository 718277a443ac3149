/* SPDX-License-Identifier: MIT */
/* A histogram of delays: 128 buckets to each power of two, so that a quantile is right within 0.8
 * %.
 */
#ifndef QN_FABRIC_DELAYS_H
#define QN_FABRIC_DELAYS_H

#include <stdint.h>

#define DELAYS_SUB_BITS 7
#define DELAYS_BUCKETS ((64 - DELAYS_SUB_BITS) << DELAYS_SUB_BITS)

/* Zeroed memory is an empty histogram. */
struct delays {
    uint64_t n;
    int64_t min, max;
    double sum;
    uint32_t buckets[DELAYS_BUCKETS];
};

/** Add a delay in ns; below 0 counts as 0. */
void delays_add(struct delays *d, int64_t ns);

/** Add all of @from's delays to @to. */
void delays_join(struct delays *to, const struct delays *from);

/** Return: the delay that a fraction @q of all do not exceed; 0 for none. */
int64_t delays_quantile(const struct delays *d, double q);

/** Return: how many exceed @ns. */
uint64_t delays_above(const struct delays *d, int64_t ns);

#endif
