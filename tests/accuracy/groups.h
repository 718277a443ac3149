/* SPDX-License-Identifier: MIT */
/* The parts of the accuracy suite; each prints tables. */
#ifndef QN_TESTS_ACCURACY_GROUPS_H
#define QN_TESTS_ACCURACY_GROUPS_H

#include "report.h"

/** Delay, alone and under load below the rate. */
void measure_delay(struct report *r);

/** Jitter: its distribution and correlation, and samples. */
void measure_jitter(struct report *r);

/** Loss, independent and in bursts. */
void measure_loss(struct report *r);

/** Duplication, corruption, reordering, mtu. */
void measure_frames(struct report *r);

/** Rate and trace. */
void measure_rate(struct report *r);

/** Queue limits, RED and CoDel. */
void measure_queue(struct report *r);

/** What set does, and that the seed decides. */
void measure_change(struct report *r);

/** All at once. */
void measure_combined(struct report *r);

#endif
