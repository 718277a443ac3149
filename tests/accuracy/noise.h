/* SPDX-License-Identifier: MIT */
/* What the machine itself adds to a delay while something is measured: a thread that wakes by a
 * timer a thousand times a second and writes to a socket, and one that reads it. No fabric is
 * between them; what a link adds beyond this is the fabric's. */
#ifndef QN_TESTS_ACCURACY_NOISE_H
#define QN_TESTS_ACCURACY_NOISE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct noise {
    pthread_t writer, reader;
    int fds[2];
    atomic_bool stop;
    double *late; /* ns from when the timer was due to when the reader had it */
    size_t n, room;
    int64_t began, busy, own; /* when; and all processors' time and this process' own until then */
};

struct noise_level {
    double median, tail; /* its 99.5th percentile, ns */
    double most;         /* the latest, ns */
    double others;       /* how busy other processes kept the machine; 1: one processor */
};

/** Start to listen. */
void noise_start(struct noise *n);

/** Return: what was heard since. */
struct noise_level noise_stop(struct noise *n);

/** Return: whether a machine of that noise is idle: it uses up at most half of what a delay may be
 * off, 100 us at the median and 500 us at the 99th percentile. A frame's way has about twice the
 * wake-ups, each of which can come late: hence the tail of half as many. Nor do others use more
 * than a tenth of a processor. */
bool is_idle(const struct noise_level *l);

#endif
