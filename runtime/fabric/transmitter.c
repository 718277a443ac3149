/* SPDX-License-Identifier: MIT */
#include "runtime/fabric/transmitter.h"

#define BIT_NS UINT64_C(8000000000) /* bits in a byte times nanoseconds in a second */

/* The remainder carries over from packet to packet, so that a train of them takes exactly the time
 * that its bits take. */
static int64_t sending_time(struct transmitter *t, const struct link_config *c, uint32_t len)
{
    if (!c->rate_bps)
        return 0;
    uint64_t work = len * BIT_NS + t->remainder;
    t->remainder = work % c->rate_bps;
    return (int64_t)(work / c->rate_bps);
}

static void begin(struct transmitter *t, const struct link_config *c, struct packet *pkt)
{
    uint32_t len = pkt->frame->len;
    t->sending = pkt;
    if (c->trace)
        t->ends_at = trace_send(&t->trace, c->trace, t->ends_at, len);
    else
        t->ends_at += sending_time(t, c, len);
}

static uint64_t packet_limit(const struct link_config *c)
{
    return c->queue_packets || c->queue_bytes ? c->queue_packets : LINK_QUEUE_PACKETS_DEFAULT;
}

static bool has_room(const struct transmitter *t, const struct link_config *c, uint32_t len)
{
    uint64_t limit = packet_limit(c);
    if (limit && t->packets >= limit)
        return false;
    return !c->queue_bytes || t->bytes + len <= c->queue_bytes;
}

static bool red_refuses(struct transmitter *t, const struct link_config *c, struct chance *h,
                        int64_t at)
{
    uint64_t limit = packet_limit(c);
    if (c->discipline != LINK_RED)
        return false;
    return red_drops(&t->red, c, h, (double)(limit ? t->packets : t->bytes),
                     (double)(limit ? limit : c->queue_bytes), at);
}

static void wait_behind(struct transmitter *t, struct packet *pkt, int64_t at)
{
    pkt->node.deadline = at;
    packet_list_push(&t->waiting, pkt);
    t->packets++;
    t->bytes += pkt->frame->len;
}

enum link_fate transmitter_offer(struct transmitter *t, const struct link_config *c,
                                 struct chance *h, struct packet *pkt, int64_t at)
{
    if (red_refuses(t, c, h, at)) {
        if (!t->sending)
            red_idle(&t->red, at);
        return LINK_EARLY;
    }
    if (t->sending) {
        if (!has_room(t, c, pkt->frame->len))
            return LINK_QUEUE_FULL;
        wait_behind(t, pkt, at);
        return LINK_DELIVERED;
    }
    if (at > t->ends_at) {
        t->ends_at = at;
        t->remainder = 0;
    }
    begin(t, c, pkt);
    return LINK_DELIVERED;
}

static struct packet *pop_waiting(struct transmitter *t)
{
    struct packet *pkt = packet_list_pop(&t->waiting);
    if (pkt) {
        t->packets--;
        t->bytes -= pkt->frame->len;
    }
    return pkt;
}

/* Return: the next packet that CoDel lets go. */
static struct packet *pop_early(struct transmitter *t, const struct link_config *c)
{
    struct packet *pkt;
    bool after_drop = false;
    while ((pkt = pop_waiting(t))) {
        int64_t sojourn = t->ends_at - packet_due(pkt);
        if (!codel_drops(&t->codel, c, t->ends_at, sojourn, t->bytes, after_drop))
            break;
        packet_list_push(&t->dropped, pkt);
        after_drop = true;
    }
    return pkt;
}

static void begin_next(struct transmitter *t, const struct link_config *c)
{
    struct packet *next = c->discipline == LINK_CODEL ? pop_early(t, c) : pop_waiting(t);
    if (next) {
        begin(t, c, next);
    } else {
        codel_idle(&t->codel);
        red_idle(&t->red, t->ends_at);
    }
}

struct packet *transmitter_take(struct transmitter *t, const struct link_config *c, int64_t now,
                                int64_t *ended)
{
    struct packet *pkt = t->sending;
    if (!pkt || t->ends_at > now)
        return NULL;
    *ended = t->ends_at;
    t->sending = NULL;
    begin_next(t, c);
    return pkt;
}

int64_t transmitter_ends(const struct transmitter *t)
{
    return t->sending ? t->ends_at : DQUEUE_NEVER;
}

static void scale_rest(struct transmitter *t, uint64_t from, uint64_t to, int64_t now)
{
    double left = (double)(t->ends_at - now) * (double)from;
    t->ends_at = to ? now + (int64_t)(left / (double)to) : now;
}

void transmitter_change(struct transmitter *t, const struct link_config *from,
                        const struct link_config *to, int64_t now)
{
    if (from->rate_bps == to->rate_bps && from->trace == to->trace)
        return;
    t->remainder = 0;
    if (to->trace && to->trace != from->trace)
        trace_begin(&t->trace, now);
    if (t->ends_at <= now)
        return;
    if (!from->trace && !to->trace) {
        scale_rest(t, from->rate_bps, to->rate_bps, now);
        return;
    }
    t->ends_at = now;
    if (t->sending)
        begin(t, to, t->sending);
}

struct packet *transmitter_drain(struct transmitter *t)
{
    struct packet *pkt = t->sending;
    if (pkt) {
        t->sending = NULL;
        t->ends_at = 0;
        t->remainder = 0;
        return pkt;
    }
    pkt = packet_list_pop(&t->dropped);
    if (!pkt)
        pkt = pop_waiting(t);
    if (!pkt)
        codel_idle(&t->codel);
    return pkt;
}
