/* SPDX-License-Identifier: MIT */
#include "runtime/fabric/direction.h"

#include "runtime/fabric/bridge.h"
#include "runtime/fabric/port.h"

#include <assert.h>

#define ETHERNET_HEADER 14

static_assert(offsetof(struct direction, entry) == 0, "direction_of() is a cast");

static void drop(struct plane *p, struct packet *pkt, uint64_t *counter)
{
    ++*counter;
    packet_free(&p->pool, pkt);
}

static void deliver(struct plane *p, struct direction *d, struct packet *pkt)
{
    if (d->to.port) {
        port_send(p, d->to.port, pkt);
        return;
    }
    d->stats.delivered++;
    d->stats.bytes += pkt->frame->len;
    bridge_forward(p, d->to.bridge, d, pkt);
}

/* Nothing leaves the transmitter for the far end sooner than the delay after it has been sent, so
 * the schedule need not wake for the transmitter itself. */
static void reschedule(struct plane *p, struct direction *d)
{
    int64_t at = dqueue_next(&d->delay_line);
    if (d->transmitter.sending) {
        int64_t sent = transmitter_ends(&d->transmitter) + d->config.delay_ns;
        at = sent < at ? sent : at;
    }
    schedule_set(&p->schedule, &d->entry, at);
}

static void travel(struct plane *p, struct direction *d, struct packet *pkt, int64_t from)
{
    uint64_t weight = d->delay_line_weight + packet_weight(pkt);
    if (weight > LINK_FLIGHT_BYTES_MAX ||
        dqueue_push(&d->delay_line, &pkt->node, from + d->config.delay_ns) < 0) {
        drop(p, pkt, &d->stats.queue_drops);
        return;
    }
    d->delay_line_weight = weight;
}

/* Move what has been sent by @now from the transmitter into the delay line. */
static void advance(struct plane *p, struct direction *d, int64_t now)
{
    struct packet *pkt;
    int64_t ended;
    while ((pkt = transmitter_take(&d->transmitter, &d->config, now, &ended)))
        travel(p, d, pkt, ended);
}

/* Whether a packet that comes at @at can go to the far end without passing the stages. From switch
 * to switch it never does: a loop of them would become a recursion. */
static bool passes(const struct direction *d, const struct packet *pkt, int64_t at)
{
    return !d->config.rate_bps && !d->config.delay_ns && !d->transmitter.sending &&
           (d->to.port || pkt->hops == 0) && dqueue_next(&d->delay_line) > at;
}

static void enter(struct plane *p, struct direction *d, struct packet *pkt, int64_t at)
{
    if (!d->config.rate_bps && !d->transmitter.sending)
        travel(p, d, pkt, at);
    else if (!transmitter_offer(&d->transmitter, &d->config, pkt, at))
        drop(p, pkt, &d->stats.queue_drops);
}

static uint64_t *fate(struct direction *d, const struct packet *pkt)
{
    const struct link_config *c = &d->config;
    if (!d->up)
        return &d->stats.down_drops;
    if (c->mtu && pkt->frame->len > c->mtu + ETHERNET_HEADER)
        return &d->stats.mtu_drops;
    if (c->loss > 0 && rng_unit(&d->rng) < c->loss)
        return &d->stats.lost;
    return NULL;
}

void direction_offer(struct plane *p, struct direction *d, struct packet *pkt, int64_t at)
{
    d->stats.sent++;
    uint64_t *dropped = fate(d, pkt);
    if (dropped) {
        drop(p, pkt, dropped);
        return;
    }
    if (passes(d, pkt, at)) {
        pkt->node.deadline = at;
        deliver(p, d, pkt);
        return;
    }
    advance(p, d, at);
    enter(p, d, pkt, at);
    reschedule(p, d);
}

void direction_step(struct plane *p, struct direction *d)
{
    struct packet *pkt = NULL;
    advance(p, d, p->now);
    if (dqueue_next(&d->delay_line) <= p->now) {
        pkt = packet_of(dqueue_pop(&d->delay_line));
        d->delay_line_weight -= packet_weight(pkt);
    }
    reschedule(p, d);
    if (pkt)
        deliver(p, d, pkt);
}

void direction_set(struct plane *p, struct direction *d, const struct link_config *c)
{
    advance(p, d, p->now);
    transmitter_change_rate(&d->transmitter, d->config.rate_bps, c->rate_bps, p->now);
    d->config = *c;
    advance(p, d, p->now);
    reschedule(p, d);
}

uint64_t direction_clear(struct plane *p, struct direction *d)
{
    uint64_t cleared = transmitter_clear(&d->transmitter, &p->pool);
    for (struct dqueue_node *n; (n = dqueue_pop(&d->delay_line)); cleared++)
        packet_free(&p->pool, packet_of(n));
    d->delay_line_weight = 0;
    reschedule(p, d);
    return cleared;
}

uint64_t direction_in_flight(const struct direction *d)
{
    uint64_t sending = d->transmitter.sending ? 1 : 0;
    return sending + d->transmitter.packets + d->delay_line.len;
}

void direction_free(struct plane *p, struct direction *d)
{
    direction_clear(p, d);
    dqueue_free(&d->delay_line);
}
