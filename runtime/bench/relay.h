/* SPDX-License-Identifier: MIT */
/* The least that carries frames from one descriptor to another, which emulates nothing: what the
 * fabric is measured against. */
#ifndef QN_BENCH_RELAY_H
#define QN_BENCH_RELAY_H

#include <stdbool.h>
#include <stdint.h>

struct relay;

/** Start a thread that moves what comes at @from to @to, by recvmmsg() and sendmmsg(), or if they
 * are
 * @taps by read() and write(). Both stay the caller's. Return: 0 or negative errno. */
int relay_start(struct relay **out, int from, int to, bool taps);

/** Return: the processor time that it has used, ns. */
int64_t relay_cpu_ns(const struct relay *r);

/** End it and free. NULL is allowed. */
void relay_stop(struct relay *r);

#endif
