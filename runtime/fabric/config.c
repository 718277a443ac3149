/* SPDX-License-Identifier: MIT */
#include "runtime/fabric/fabric.h"

const char *link_config_check(const struct link_config *c)
{
    if (c->delay_ns < 0)
        return "delay is negative";
    if (c->delay_ns > LINK_DELAY_MAX_NS)
        return "delay is longer than an hour";
    if (!(c->loss >= 0 && c->loss <= 1))
        return "loss is not between 0 and 1";
    if (c->rate_bps > LINK_RATE_MAX_BPS)
        return "rate is above 1 Tbit/s";
    if (c->queue_packets > LINK_QUEUE_PACKETS_MAX)
        return "queue is longer than 16 Mi packets";
    if (c->queue_bytes > LINK_QUEUE_BYTES_MAX)
        return "queue is larger than 16 GiB";
    if (c->mtu > 0 && c->mtu < LINK_MTU_MIN)
        return "mtu is below 68";
    return NULL;
}
