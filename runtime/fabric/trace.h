/* SPDX-License-Identifier: MIT */
/* A place in a trace of opportunities to send, in the way of mahimahi's link emulation (R.
 * Netravali et al.: Mahimahi: Accurate Record-and-Replay for HTTP, 2015): at each opportunity 1500
 * bytes may go (there, of IP packets; here, of what is behind the Ethernet header), of as many
 * packets as wait for it; what is left of it when none waits is lost. */
#ifndef QN_FABRIC_TRACE_H
#define QN_FABRIC_TRACE_H

#include "runtime/fabric/fabric.h"

#define TRACE_OPPORTUNITY_BYTES 1500

struct trace_cursor {
    int64_t origin;  /* when the trace began */
    int64_t lap;     /* repetitions behind */
    size_t next;     /* the opportunity behind the current one */
    int64_t current; /* when the current one is; INT64_MIN: there was none yet */
    uint32_t left;   /* bytes left of it */
};

/** Return: the mean rate of a trace, bit/s of what is behind the Ethernet header. */
double trace_rate(const struct link_series *s);

/** Begin the trace at @now. */
void trace_begin(struct trace_cursor *t, int64_t now);

/** Send a frame of @len bytes that is the next in turn from @from on. Return: when its last byte
 * has gone. */
int64_t trace_send(struct trace_cursor *t, const struct link_series *s, int64_t from, uint32_t len);

#endif
