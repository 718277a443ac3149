/* SPDX-License-Identifier: MIT */
/* A fabric with one link, and an endpoint at each of its ends. */
#ifndef QN_TESTS_ACCURACY_WIRE_H
#define QN_TESTS_ACCURACY_WIRE_H

#include "endpoint.h"
#include "runtime/fabric/fabric.h"

#include <stdbool.h>

struct wire {
    struct fabric *fabric;
    int link;
    int fds[2];
    struct endpoint ends[2];
    struct journal journals[2]; /* of direction 0, from end 0 to end 1, and of direction 1 */
};

/** Open a wire whose random choices follow from @seed. */
void wire_open(struct wire *w, uint64_t seed, const struct link_config cfg[2]);

/** Send a train from each end at once (count 0: nothing); returns when the sockets have them. */
void wire_send(struct wire *w, const struct train trains[2]);

/** Configure direction @dir. */
void wire_set(struct wire *w, int dir, const struct link_config *cfg);

/** Configure both directions at one instant. */
void wire_set_both(struct wire *w, const struct link_config cfg[2]);

/** Wait until the fabric has read all that was sent. */
void wire_settle(struct wire *w);

/** Wait until nothing travels any more and all that came has been received. Return: whether the
 * endpoints kept up: none of their sockets was too full for a frame. */
bool wire_finish(struct wire *w);

/** Free all; only a finished wire. */
void wire_close(struct wire *w);

/** Open, send and finish. Return: as wire_finish(). */
bool wire_run(struct wire *w, uint64_t seed, const struct link_config cfg[2],
              const struct train trains[2]);

#endif
