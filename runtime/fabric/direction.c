/* SPDX-License-Identifier: MIT */
#include "runtime/fabric/direction.h"

#include "runtime/fabric/bridge.h"
#include "runtime/fabric/flow.h"
#include "runtime/fabric/lateness.h"
#include "runtime/fabric/port.h"
#include "runtime/fabric/radio.h"
#include "runtime/fabric/station.h"
#include "runtime/fabric/tap.h"
#include "runtime/fabric/trigger.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#define ETHERNET_HEADER 14

static_assert(offsetof(struct direction, entry) == 0, "direction_of() is a cast");

static struct direction *direction_of(struct schedule_entry *e)
{
    return (struct direction *)e;
}

static uint64_t *counter(struct link_stats *s, enum link_fate fate)
{
    switch (fate) {
    case LINK_DELIVERED:
        return &s->delivered;
    case LINK_LOST:
        return &s->lost;
    case LINK_DOWN:
        return &s->down_drops;
    case LINK_TOO_LARGE:
        return &s->mtu_drops;
    case LINK_OVERRUN:
        return &s->overruns;
    case LINK_TRIGGERED:
        return &s->trigger_drops;
    default:
        return &s->queue_drops;
    }
}

static void count_delivery(struct direction *d, const struct packet *pkt)
{
    int64_t delay = packet_due(pkt) - pkt->entered;
    d->stats.bytes += pkt->frame->len;
    d->window.delay_sum_ns += delay;
    if (delay > d->window.delay_max_ns)
        d->window.delay_max_ns = delay;
}

/* The packet stays the caller's. */
static void finish(struct plane *p, struct direction *d, struct packet *pkt, enum link_fate fate)
{
    ++*counter(&d->stats, fate);
    if (fate == LINK_DELIVERED)
        count_delivery(d, pkt);
    if (fate == LINK_EARLY)
        d->stats.early_drops++;
    if (d->taps)
        taps_record(p, d, pkt, fate);
}

void direction_drop(struct plane *p, struct direction *d, struct packet *pkt, enum link_fate fate)
{
    finish(p, d, pkt, fate);
    packet_free(&p->pool, pkt);
}

/* A port tells for itself when its socket has taken the packet. */
static void deliver(struct plane *p, struct direction *d, struct packet *pkt)
{
    if (d->sinks && flow_receive(p, d, pkt))
        return;
    if (d->to.kind == FABRIC_PORT) {
        port_send(p, d->to.port, pkt);
        return;
    }
    finish(p, d, pkt, LINK_DELIVERED);
    lateness_add(&d->stats.lateness, packet_due(pkt), p->now);
    switch (d->to.kind) {
    case FABRIC_SWITCH:
        bridge_forward(p, d->to.bridge, d, pkt);
        break;
    case FABRIC_RADIO:
        radio_forward(p, d->to.radio, d, pkt);
        break;
    default:
        station_receive(p, d->to.station, pkt);
    }
}

/* Nothing leaves the transmitter for the far end sooner than the least delay after it has been
 * sent, so that the schedule need not wake for the transmitter itself where the delay is fixed. */
static void reschedule(struct plane *p, struct direction *d)
{
    int64_t at = dqueue_next(&d->delay_line);
    if (d->transmitter.sending) {
        int64_t sent = transmitter_ends(&d->transmitter) + (d->plain ? d->config.delay_ns : 0);
        at = sent < at ? sent : at;
    }
    schedule_set(&p->schedule, &d->entry, at);
}

static int64_t travel_time(struct direction *d)
{
    const struct link_config *c = &d->config;
    if (d->plain)
        return c->delay_ns;
    int64_t delay = chance_delay(&d->chance, c);
    return chance_happens(&d->chance, CHANCE_REORDER, c->reorder) ? 0 : delay;
}

static void travel(struct plane *p, struct direction *d, struct packet *pkt, int64_t from)
{
    uint64_t weight = d->delay_line_weight + packet_weight(pkt);
    int64_t due = from + travel_time(d);
    bool overtakes = dqueue_overtakes(&d->delay_line, due);
    if (weight > LINK_FLIGHT_BYTES_MAX || dqueue_push(&d->delay_line, &pkt->node, due) < 0) {
        direction_drop(p, d, pkt, LINK_QUEUE_FULL);
        return;
    }
    pkt->marks |= overtakes ? PACKET_REORDERED : 0;
    d->stats.reordered += overtakes;
    d->delay_line_weight = weight;
}

/* Move what has been sent by @now from the transmitter into the delay line. */
static void advance(struct plane *p, struct direction *d, int64_t now)
{
    struct packet *pkt;
    int64_t ended;
    while ((pkt = transmitter_take(&d->transmitter, &d->config, now, &ended))) {
        travel(p, d, pkt, ended);
        while ((pkt = packet_list_pop(&d->transmitter.dropped)))
            direction_drop(p, d, pkt, LINK_EARLY);
    }
}

static bool is_limited(const struct link_config *c)
{
    return c->rate_bps || c->trace;
}

/* Whether a packet that comes at @at can go to the far end without passing the stages. From switch
 * to switch it never does: a loop of them would become a recursion. */
static bool passes(const struct direction *d, const struct packet *pkt, int64_t at)
{
    return d->direct && !d->transmitter.sending && (d->to.kind == FABRIC_PORT || pkt->hops == 0) &&
           dqueue_next(&d->delay_line) > at;
}

static void queue(struct plane *p, struct direction *d, struct packet *pkt, int64_t at)
{
    if (!is_limited(&d->config) && !d->transmitter.sending) {
        travel(p, d, pkt, at);
        return;
    }
    enum link_fate fate = transmitter_offer(&d->transmitter, &d->config, &d->chance, pkt, at);
    if (fate != LINK_DELIVERED)
        direction_drop(p, d, pkt, fate);
    if (d->transmitter.packets > d->window.queue)
        d->window.queue = d->transmitter.packets;
}

/* Flips one bit behind the Ethernet header, in a copy of the bytes: others may share them. */
static void corrupt(struct plane *p, struct direction *d, struct packet *pkt)
{
    if (pkt->frame->len <= ETHERNET_HEADER || !packet_own_frame(&p->pool, pkt))
        return;
    uint64_t bits = (uint64_t)(pkt->frame->len - ETHERNET_HEADER) * 8;
    uint64_t bit = rng_next(&d->chance.rng[CHANCE_CORRUPT]) % bits;
    pkt->frame->data[ETHERNET_HEADER + bit / 8] ^= (uint8_t)(1U << bit % 8);
    pkt->marks |= PACKET_CORRUPTED;
    d->stats.corrupted++;
}

static struct packet *duplicate(struct plane *p, struct direction *d, const struct packet *pkt)
{
    if (!chance_happens(&d->chance, CHANCE_DUPLICATE, d->config.duplicate))
        return NULL;
    struct packet *copy = packet_clone(&p->pool, pkt);
    if (!copy) {
        plane_lose(p, &p->totals.no_memory);
        return NULL;
    }
    copy->marks |= PACKET_DUPLICATE;
    d->stats.duplicated++;
    return copy;
}

/* Through chance, and into the stages. */
static void impair(struct plane *p, struct direction *d, struct packet *pkt, int64_t at)
{
    const struct link_config *c = &d->config;
    if (chance_loses(&d->chance, c)) {
        direction_drop(p, d, pkt, LINK_LOST);
        return;
    }
    struct packet *copy = duplicate(p, d, pkt);
    if (chance_happens(&d->chance, CHANCE_CORRUPT, c->corrupt))
        corrupt(p, d, pkt);
    queue(p, d, pkt, at);
    if (copy)
        queue(p, d, copy, at);
}

void direction_enter(struct plane *p, struct direction *d, struct packet *pkt, int64_t at)
{
    if (!d->up) {
        direction_drop(p, d, pkt, LINK_DOWN);
        return;
    }
    if (d->config.mtu && pkt->frame->len > d->config.mtu + ETHERNET_HEADER) {
        direction_drop(p, d, pkt, LINK_TOO_LARGE);
        return;
    }
    if (passes(d, pkt, at)) {
        pkt->node.deadline = at;
        deliver(p, d, pkt);
        return;
    }
    advance(p, d, at);
    if (d->plain)
        queue(p, d, pkt, at);
    else
        impair(p, d, pkt, at);
    reschedule(p, d);
}

void direction_offer(struct plane *p, struct direction *d, struct packet *pkt, int64_t at)
{
    d->stats.sent++;
    pkt->marks = 0;
    pkt->entered = at;
    if (d->triggers && triggers_take(p, d, pkt, at))
        return;
    direction_enter(p, d, pkt, at);
}

int direction_send(struct plane *p, struct direction *d, const void *data, uint32_t len)
{
    struct frame *frame = frame_new(&p->pool, len);
    struct packet *pkt = frame ? packet_new(&p->pool, frame) : NULL;
    if (!pkt)
        return -ENOMEM;
    frame->len = len;
    memcpy(frame->data, data, len);
    direction_offer(p, d, pkt, p->now);
    return 0;
}

/* Up to the time that was scheduled, not to p->now: what enters in between must find the queue as
 * it is then, however late the thread is. */
/* With many thousands on their way, those that are next have long left the cache: have the frame of
 * the next and the packet behind it fetched meanwhile. */
static void fetch_ahead(const struct dqueue *q)
{
    const struct dqueue_node *next = q->head;
    if (!next)
        return;
    __builtin_prefetch(((const struct packet *)next)->frame);
    __builtin_prefetch(next->next);
}

static void step(struct plane *p, struct schedule_entry *e)
{
    struct direction *d = direction_of(e);
    struct packet *pkt = NULL;
    int64_t now = schedule_time(&p->schedule, e);
    advance(p, d, now);
    if (dqueue_next(&d->delay_line) <= now) {
        pkt = packet_of(dqueue_pop(&d->delay_line));
        d->delay_line_weight -= packet_weight(pkt);
    }
    reschedule(p, d);
    fetch_ahead(&d->delay_line);
    if (pkt)
        deliver(p, d, pkt);
}

static void adopt(struct direction *d, const struct link_config *c)
{
    struct link_config old = d->config;
    d->config = *c;
    link_series_ref(c->samples);
    link_series_ref(c->trace);
    link_series_unref(old.samples);
    link_series_unref(old.trace);
    chance_configure(&d->chance, c);
    d->plain = c->loss == 0 && c->burst.p == 0 && c->duplicate == 0 && c->corrupt == 0 &&
               c->reorder == 0 && c->jitter_ns == 0 && c->distribution != LINK_SAMPLES;
    d->direct = d->plain && c->delay_ns == 0 && !is_limited(c);
}

void direction_init(struct plane *p, struct direction *d, const struct link_config *c)
{
    d->entry.due = step;
    d->up = true;
    direction_set(p, d, c);
}

void direction_set(struct plane *p, struct direction *d, const struct link_config *c)
{
    advance(p, d, p->now);
    transmitter_change(&d->transmitter, &d->config, c, p->now);
    adopt(d, c);
    advance(p, d, p->now);
    reschedule(p, d);
}

void direction_clear(struct plane *p, struct direction *d, enum link_fate fate)
{
    for (struct packet *pkt; (pkt = transmitter_drain(&d->transmitter));)
        direction_drop(p, d, pkt, fate);
    for (struct dqueue_node *n; (n = dqueue_pop(&d->delay_line));)
        direction_drop(p, d, packet_of(n), fate);
    d->delay_line_weight = 0;
    reschedule(p, d);
    triggers_clear(p, d, fate);
}

uint64_t direction_in_flight(const struct direction *d)
{
    uint64_t sending = d->transmitter.sending ? 1 : 0;
    return d->held + sending + d->transmitter.packets + d->delay_line.len;
}

static uint64_t all_losses(const struct link_stats *s)
{
    return s->lost + s->queue_drops + s->down_drops + s->mtu_drops + s->overruns + s->trigger_drops;
}

bool direction_sample(struct direction *d, struct fabric_sample *out)
{
    const struct link_stats *s = &d->stats;
    struct window *w = &d->window;
    uint64_t lost = all_losses(s);
    if (s->sent == w->sent && s->delivered == w->delivered && lost == w->lost && w->queue == 0)
        return false;
    *out = (struct fabric_sample){
        .sent = s->sent - w->sent,
        .delivered = s->delivered - w->delivered,
        .bytes = s->bytes - w->bytes,
        .lost = lost - w->lost,
        .queue = w->queue,
        .delay_sum_ns = w->delay_sum_ns,
        .delay_max_ns = w->delay_max_ns,
    };
    *w = (struct window){.sent = s->sent,
                         .delivered = s->delivered,
                         .bytes = s->bytes,
                         .lost = lost,
                         .queue = d->transmitter.packets};
    return true;
}

void direction_free(struct plane *p, struct direction *d)
{
    direction_clear(p, d, LINK_DOWN);
    dqueue_free(&d->delay_line);
    link_series_unref(d->config.samples);
    link_series_unref(d->config.trace);
}
