/* SPDX-License-Identifier: MIT */
/* What Gilbert-Elliott loss, with independent loss beside it, is to look like from outside. */
#ifndef QN_TESTS_ACCURACY_BURST_H
#define QN_TESTS_ACCURACY_BURST_H

#include "runtime/fabric/fabric.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A chain of a good (0) and a bad (1) state: it moves, then loses or passes a frame. */
struct burst_model {
    double p, r;
    double lose[2]; /* probability, in each state */
};

struct burst_model burst_model(const struct link_config *c);

/** Return: the share of frames that is lost in the long run. */
double burst_share(const struct burst_model *m);

/** Return: the standard deviation of that share of @n frames. */
double burst_deviation(const struct burst_model *m, double n);

#define RUN_CLASSES 24

/** Sort runs of lost (or of passed) frames by length into classes and say in @expected how many of
 * @runs runs are to be in each. */
void burst_expect_runs(const struct burst_model *m, bool lost, uint64_t runs,
                       double expected[RUN_CLASSES]);

/** Count the complete runs among @n frames by class. @copies: 0 for a lost frame. Return: how many
 * there are. */
uint64_t count_runs(const uint8_t *copies, size_t n, bool lost, uint64_t counts[RUN_CLASSES]);

#endif
