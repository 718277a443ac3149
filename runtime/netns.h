/* SPDX-License-Identifier: MIT */
/* The private network namespace that a run lives in: the host's network is neither seen nor
 * touched, and the kernel takes everything away with the last process in it. */
#ifndef QN_RUNTIME_NETNS_H
#define QN_RUNTIME_NETNS_H

#include <stdbool.h>

struct netns {
    bool is_private;
    char why[256]; /* when not private: what stands in the way and which setting changes it */
};

/** Move the calling process into a network namespace of its own: as root directly, else inside a
 * user namespace in which the caller is root. Call while there is one thread only. Without a
 * private namespace machines and links work all the same, with shorter socket queues. */
void netns_enter(struct netns *netns);

#endif
