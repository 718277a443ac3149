/* SPDX-License-Identifier: MIT */
/* What becomes of a frame by chance. Each kind of choice draws from a generator of its own, so that
 * switching one impairment on leaves the choices of the others as they were. */
#ifndef QN_FABRIC_CHANCE_H
#define QN_FABRIC_CHANCE_H

#include "runtime/fabric/fabric.h"
#include "runtime/fabric/rng.h"

enum chance_stream {
    CHANCE_LOSS,
    CHANCE_BURST,
    CHANCE_DUPLICATE,
    CHANCE_CORRUPT,
    CHANCE_REORDER,
    CHANCE_JITTER,
    CHANCE_QUEUE,
    CHANCE_STREAMS
};

struct chance {
    struct rng rng[CHANCE_STREAMS];
    bool bad;           /* the Gilbert-Elliott state */
    bool has_z;         /* z is that of the last frame */
    double z;           /* a standard normal variable */
    double correlation; /* of each z with the one before it */
    size_t sampled;     /* index of the next sample */
};

/** Start the generators of stream number @stream; the rest of @h was zeroed. */
void chance_seed(struct chance *h, uint64_t seed, uint64_t stream);

/** Prepare what follows from @c; call whenever it changes. */
void chance_configure(struct chance *h, const struct link_config *c);

/** Return: whether a thing of probability @p happens; draws only where that is open. */
bool chance_happens(struct chance *h, enum chance_stream stream, double p);

/** Return: whether the frame at hand is lost. */
bool chance_loses(struct chance *h, const struct link_config *c);

/** Return: the delay of the frame at hand, jitter included, at least 0. */
int64_t chance_delay(struct chance *h, const struct link_config *c);

#endif
