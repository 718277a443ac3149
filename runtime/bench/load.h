/* SPDX-License-Identifier: MIT */
/* A load for benchmarks: one thread sends frames on sockets as fast as they take them, another
 * counts what comes at others. Both run where the thread that starts them may run. */
#ifndef QN_BENCH_LOAD_H
#define QN_BENCH_LOAD_H

#include <stddef.h>
#include <stdint.h>

#define LOAD_FRAME_MAX 1514
#define LOAD_BURST_MAX 64

struct load;

struct load_config {
    const int *from, *to; /* datagram sockets, which stay the caller's; sent on in turn */
    size_t n_from, n_to;
    const void *frame; /* what is sent, again and again */
    uint32_t len;      /* of it, at most LOAD_FRAME_MAX bytes */
    uint32_t burst;    /* frames in one call, 1 to LOAD_BURST_MAX */
    uint64_t rate;     /* frames a second; 0: as fast as they go */
};

/** Start both threads. Return: 0 or negative errno. */
int load_start(struct load **out, const struct load_config *c);

/** Return: frames that the sockets have taken, and that have come, until now. */
uint64_t load_sent(const struct load *l);
uint64_t load_received(const struct load *l);

/** Stop sending, stop receiving, free. NULL is allowed. */
void load_stop(struct load *l);

#endif
