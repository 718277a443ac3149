/* SPDX-License-Identifier: MIT */
/* The way out of a run's private network: a process that was forked before the run went there, and
 * that forks in turn a process for each gateway that is wanted. Neither outlives us, and it sleeps
 * until then. */
#ifndef QN_RUNTIME_NAT_H
#define QN_RUNTIME_NAT_H

#include "runtime/gateway.h"

#include <sys/types.h>

struct nat {
    pid_t pid; /* 0: none */
    int control;
};

/** Fork the process that stays where we are. Call while there is one thread only, before
 * netns_enter(). Return: 0 or negative errno. */
int nat_start(struct nat *nat);

/** End it and its gateways, and collect it. Idempotent. */
void nat_stop(struct nat *nat);

/** Have a gateway serve @frames, a copy of which it takes.
 * Return: a stream socket that it ends with: it goes when we close this, and this end sees when it
 * has gone; or negative errno. */
int nat_open(struct nat *nat, const struct gateway_config *config, int frames);

#endif
