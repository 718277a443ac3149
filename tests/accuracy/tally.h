/* SPDX-License-Identifier: MIT */
/* What became of each frame of a journal. */
#ifndef QN_TESTS_ACCURACY_TALLY_H
#define QN_TESTS_ACCURACY_TALLY_H

#include "endpoint.h"

struct tally {
    uint32_t frames;     /* that were sent */
    uint8_t *copies;     /* of each, how many came */
    uint64_t missing;    /* none came */
    uint64_t twice;      /* two came */
    uint64_t corrupt;    /* arrivals of which one bit was not as sent */
    uint64_t broken;     /* arrivals of which more was not, or which were not sent at all */
    uint64_t overtaking; /* frames of which the first copy came before one that was sent earlier */
};

/** Count what @j holds. */
void tally_make(struct tally *t, const struct journal *j);

void tally_free(struct tally *t);

/** Return: for each frame, when its first copy came, or -1; to be freed with free(). */
int64_t *first_arrivals(const struct journal *j);

#endif
