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
    t->sending = pkt;
    t->ends_at += sending_time(t, c, pkt->frame->len);
}

static bool has_room(const struct transmitter *t, const struct link_config *c, uint32_t len)
{
    uint64_t limit = c->queue_packets;
    if (!limit && !c->queue_bytes)
        limit = LINK_QUEUE_PACKETS_DEFAULT;
    if (limit && t->packets >= limit)
        return false;
    return !c->queue_bytes || t->bytes + len <= c->queue_bytes;
}

static void wait_behind(struct transmitter *t, struct packet *pkt)
{
    packet_list_push(&t->waiting, pkt);
    t->packets++;
    t->bytes += pkt->frame->len;
}

bool transmitter_offer(struct transmitter *t, const struct link_config *c, struct packet *pkt,
                       int64_t at)
{
    if (t->sending) {
        if (!has_room(t, c, pkt->frame->len))
            return false;
        wait_behind(t, pkt);
        return true;
    }
    if (at > t->ends_at) {
        t->ends_at = at;
        t->remainder = 0;
    }
    begin(t, c, pkt);
    return true;
}

struct packet *transmitter_take(struct transmitter *t, const struct link_config *c, int64_t now,
                                int64_t *ended)
{
    struct packet *pkt = t->sending;
    if (!pkt || t->ends_at > now)
        return NULL;
    *ended = t->ends_at;
    t->sending = NULL;
    struct packet *next = packet_list_pop(&t->waiting);
    if (next) {
        t->packets--;
        t->bytes -= next->frame->len;
        begin(t, c, next);
    }
    return pkt;
}

int64_t transmitter_ends(const struct transmitter *t)
{
    return t->sending ? t->ends_at : DQUEUE_NEVER;
}

void transmitter_change_rate(struct transmitter *t, uint64_t from, uint64_t to, int64_t now)
{
    if (from == to)
        return;
    t->remainder = 0;
    if (t->ends_at <= now)
        return;
    double left = (double)(t->ends_at - now) * (double)from;
    t->ends_at = to ? now + (int64_t)(left / (double)to) : now;
}

uint64_t transmitter_clear(struct transmitter *t, struct pool *pool)
{
    uint64_t cleared = 0;
    if (t->sending) {
        packet_free(pool, t->sending);
        cleared++;
    }
    for (struct packet *pkt; (pkt = packet_list_pop(&t->waiting)); cleared++)
        packet_free(pool, pkt);
    *t = (struct transmitter){0};
    return cleared;
}
