/* SPDX-License-Identifier: MIT */
/* A histogram of delays: 1024 buckets to each power of two, so that a quantile is right within 0.05
 * %. A power of two takes memory from its first delay on. */
#ifndef QN_FABRIC_DELAYS_H
#define QN_FABRIC_DELAYS_H

#include <stdint.h>

#define DELAYS_SUB_BITS 10
#define DELAYS_OCTAVES (64 - DELAYS_SUB_BITS)

/* Zeroed memory is an empty histogram. */
struct delays {
    uint64_t n;
    int64_t min, max;
    double sum;
    uint64_t *octaves[DELAYS_OCTAVES];
};

/** Add a delay in ns; below 0 counts as 0. Return: 0; -ENOMEM, and it counts in all but the
 * quantiles. */
int delays_add(struct delays *d, int64_t ns);

/** Add all of @from's delays to @to. Return: as delays_add(). */
int delays_join(struct delays *to, const struct delays *from);

/** Return: the least delay that a fraction @q of all do not exceed; 0 for none. */
int64_t delays_quantile(const struct delays *d, double q);

/** Free its memory, and make it empty. */
void delays_free(struct delays *d);

#endif
