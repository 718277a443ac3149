/* SPDX-License-Identifier: MIT */
#include "runtime/fabric/radio.h"

#include "runtime/fabric/bridge.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static_assert(offsetof(struct radio, entry) == 0, "radio_of() is a cast");

static struct radio *radio_of(struct schedule_entry *e)
{
    return (struct radio *)e;
}

static const char *check_log_distance(const struct fabric_radio_config *c)
{
    if (!(c->reference_m > 0 && isfinite(c->reference_m)))
        return "reference is not above 0";
    if (!(c->exponent > 0 && isfinite(c->exponent)))
        return "exponent is not above 0";
    if (!(c->shadowing_db >= 0 && isfinite(c->shadowing_db)))
        return "shadowing is negative";
    if (!isfinite(c->tx_dbm) || !isfinite(c->reference_loss_db) || !isfinite(c->sensitivity_dbm))
        return "tx, reference_loss or sensitivity is not a finite number";
    return NULL;
}

const char *fabric_radio_check(const struct fabric_radio_config *c)
{
    if (!(c->range_m >= 0 && isfinite(c->range_m)))
        return "range is negative";
    if (c->rate_bps > LINK_RATE_MAX_BPS)
        return "rate is above 1 Tbit/s";
    if (c->queue_packets > LINK_QUEUE_PACKETS_MAX)
        return "queue is longer than 16 Mi packets";
    return c->log_distance ? check_log_distance(c) : NULL;
}

static void step(struct plane *p, struct schedule_entry *e);

struct radio *radio_new(const struct fabric_radio_config *c, uint64_t seed, int id)
{
    struct radio *r = calloc(1, sizeof(*r));
    if (!r)
        return NULL;
    r->stations = mactable_new();
    if (!r->stations) {
        free(r);
        return NULL;
    }
    r->entry.due = step;
    r->config = *c;
    r->air.rate_bps = c->rate_bps;
    r->seed = seed;
    r->id = (uint32_t)id;
    return r;
}

void radio_free(struct plane *p, struct radio *r)
{
    for (struct packet *pkt; (pkt = transmitter_drain(&r->transmitter));)
        packet_free(&p->pool, pkt);
    schedule_set(&p->schedule, &r->entry, SCHEDULE_NEVER);
    free(r->stations);
    free(r->members);
    free(r);
}

static int grow(struct radio *r)
{
    size_t room = r->room ? 2 * r->room : 8;
    struct radio_member *members = realloc(r->members, room * sizeof(*members));
    if (!members)
        return -ENOMEM;
    r->members = members;
    r->room = room;
    return 0;
}

/* Each member has a generator of its own, so that what it hears does not depend on what others
 * do. Links and flows seed theirs from streams with a first bit of 0. */
int radio_attach(struct radio *r, struct direction *out)
{
    if (r->len == r->room && grow(r) < 0)
        return -ENOMEM;
    struct radio_member *m = &r->members[r->len++];
    *m = (struct radio_member){.out = out, .motions[0].from = {NAN, NAN}, .n_motions = 1};
    rng_seed(&m->rng, r->seed, UINT64_C(1) << 63 | (uint64_t)r->id << 32 | r->joined++);
    return 0;
}

static struct radio_member *find(const struct radio *r, const struct direction *out)
{
    for (size_t i = 0; i < r->len; i++) {
        if (r->members[i].out == out)
            return &r->members[i];
    }
    return NULL;
}

static struct packet *pop_waiting(struct radio_member *m)
{
    struct packet *pkt = packet_list_pop(&m->waiting);
    if (pkt)
        m->stats.waiting--;
    return pkt;
}

static void drop(struct plane *p, struct radio_member *m, struct packet *pkt)
{
    m->stats.dropped++;
    packet_free(&p->pool, pkt);
}

/* What is on the air is dropped when its sending has ended. */
void radio_silence(struct plane *p, struct radio *r, const struct direction *out)
{
    struct radio_member *m = find(r, out);
    mactable_forget(r->stations, out);
    if (r->sender == out) {
        r->sender = NULL;
        m->stats.dropped++;
    }
    for (struct packet *pkt; (pkt = pop_waiting(m));)
        drop(p, m, pkt);
}

/* The others keep their order, which is that of their turns. */
void radio_detach(struct plane *p, struct radio *r, struct direction *out)
{
    size_t at = (size_t)(find(r, out) - r->members);
    radio_silence(p, r, out);
    for (size_t i = at + 1; i < r->len; i++)
        r->members[i - 1] = r->members[i];
    r->len--;
    r->turn -= r->turn > at;
}

static bool is_possible(const struct fabric_motion *m)
{
    for (int i = 0; i < 2; i++) {
        if (!(fabs(m->from[i]) <= FABRIC_PLACE_MAX_M) ||
            !(fabs(m->velocity[i]) <= FABRIC_SPEED_MAX_MPS))
            return false;
    }
    return m->start_ns >= 0 && m->start_ns <= FABRIC_MOTION_MAX_NS && m->duration_ns >= 0 &&
           m->duration_ns <= FABRIC_MOTION_MAX_NS;
}

static const struct fabric_motion *motion_at(const struct radio_member *m, int64_t at)
{
    size_t i = m->n_motions - 1;
    while (i > 0 && at < m->motions[i].start_ns)
        i--;
    return &m->motions[i];
}

/* Of what is planned, that stays which starts before @m does. */
static int plan(struct radio_member *member, const struct fabric_motion *m, int64_t now)
{
    struct fabric_motion *all = member->motions;
    size_t over = (size_t)(motion_at(member, now) - all), n = member->n_motions - over;
    memmove(all, all + over, n * sizeof(*all));
    while (n > 0 && (m->start_ns <= now || (n > 1 && all[n - 1].start_ns >= m->start_ns)))
        n--;
    member->n_motions = n;
    if (n == FABRIC_MOTIONS_MAX)
        return -ENOSPC;
    all[member->n_motions++] = *m;
    return 0;
}

int radio_move(struct radio *r, const struct direction *out, const struct fabric_motion *m,
               int64_t now)
{
    struct radio_member *member = find(r, out);
    if (!member)
        return -ENOENT;
    if (!is_possible(m))
        return -EINVAL;
    return plan(member, m, now);
}

static void position(const struct radio_member *member, int64_t at, double xy[2])
{
    const struct fabric_motion *m = motion_at(member, at);
    int64_t end = m->start_ns + m->duration_ns;
    double s = at <= m->start_ns ? 0 : (double)((at < end ? at : end) - m->start_ns) / 1e9;
    for (int i = 0; i < 2; i++)
        xy[i] = m->from[i] + m->velocity[i] * s;
}

bool radio_position(const struct radio *r, const struct direction *out, int64_t at, double xy[2])
{
    const struct radio_member *m = find(r, out);
    if (m)
        position(m, at, xy);
    return m != NULL;
}

int radio_stats(const struct radio *r, const struct direction *out, struct fabric_radio_stats *s)
{
    const struct radio_member *m = find(r, out);
    if (!m)
        return -ENOENT;
    *s = m->stats;
    return 0;
}

/* The log-distance model of path loss with log-normal shadowing (T. Rappaport: Wireless
 * Communications, 4.9). */
static double received_dbm(const struct fabric_radio_config *c, struct rng *rng, double distance)
{
    double d = distance < c->reference_m ? c->reference_m : distance;
    double loss = c->reference_loss_db + 10 * c->exponent * log10(d / c->reference_m);
    return c->tx_dbm - loss + (c->shadowing_db > 0 ? c->shadowing_db * rng_normal(rng) : 0);
}

/* A distance to nowhere is not a number, and no comparison with it is true. */
static bool hears(const struct radio *r, struct radio_member *m, const double from[2], int64_t at)
{
    const struct fabric_radio_config *c = &r->config;
    double xy[2];
    position(m, at, xy);
    double distance = hypot(xy[0] - from[0], xy[1] - from[1]);
    if (c->log_distance && !(received_dbm(c, &m->rng, distance) >= c->sensitivity_dbm))
        return false;
    return c->range_m == 0 || distance <= c->range_m;
}

static void give(struct plane *p, struct radio_member *m, const struct packet *pkt)
{
    struct packet *copy = packet_clone(&p->pool, pkt);
    m->stats.heard++;
    if (copy)
        direction_offer(p, m->out, copy, packet_due(pkt));
    else
        plane_lose(p, &p->totals.no_memory);
}

/* Let @pkt, whose sending ended at its due time, reach the members. What is for a station that has
 * been heard is not given to the others, whose interfaces would only drop it. */
static void reach(struct plane *p, struct radio *r, struct radio_member *sender, struct packet *pkt)
{
    int64_t at = packet_due(pkt);
    double from[2];
    bool heard = false;
    position(sender, at, from);
    mactable_hear(r->stations, pkt->frame->data + 6, sender->out, at);
    const struct direction *only =
        mactable_way(r->stations, pkt->frame->data, at - RADIO_AGEING_NS);
    for (size_t i = 0; i < r->len; i++) {
        struct radio_member *m = &r->members[i];
        bool is_for_it = !only || m->out == only;
        if (m == sender || !(is_for_it || r->config.promiscuous))
            continue;
        if (hears(r, m, from, at)) {
            give(p, m, pkt);
            heard |= is_for_it;
        } else {
            m->stats.missed += is_for_it;
        }
    }
    sender->stats.sent++;
    sender->stats.unheard += !heard;
    packet_free(&p->pool, pkt);
}

static void begin(struct radio *r, struct radio_member *m, struct packet *pkt, int64_t at)
{
    r->sender = m->out;
    r->turn = (size_t)(m - r->members) + 1;
    transmitter_offer(&r->transmitter, &r->air, NULL, pkt, at);
}

static void begin_next(struct radio *r, int64_t at)
{
    r->sender = NULL;
    for (size_t i = 0; i < r->len; i++) {
        struct radio_member *m = &r->members[(r->turn + i) % r->len];
        struct packet *pkt = pop_waiting(m);
        if (pkt) {
            begin(r, m, pkt, at);
            return;
        }
    }
}

/* Let what has been sent by @now reach the members. */
static void advance(struct plane *p, struct radio *r, int64_t now)
{
    struct packet *pkt;
    int64_t ended;
    while ((pkt = transmitter_take(&r->transmitter, &r->air, now, &ended))) {
        struct radio_member *sender = r->sender ? find(r, r->sender) : NULL;
        begin_next(r, ended);
        pkt->node.deadline = ended;
        if (sender)
            reach(p, r, sender, pkt);
        else
            packet_free(&p->pool, pkt);
    }
}

static void reschedule(struct plane *p, struct radio *r)
{
    schedule_set(&p->schedule, &r->entry, transmitter_ends(&r->transmitter));
}

/* Up to the time that was scheduled, as a link's direction: what comes to the radio before the next
 * frame has been sent must find its turn, however late the thread is. */
static void step(struct plane *p, struct schedule_entry *e)
{
    struct radio *r = radio_of(e);
    advance(p, r, schedule_time(&p->schedule, e));
    reschedule(p, r);
}

static void queue(struct plane *p, struct radio *r, struct radio_member *m, struct packet *pkt)
{
    uint32_t limit = r->config.queue_packets;
    if (m->stats.waiting >= (limit ? limit : LINK_QUEUE_PACKETS_DEFAULT)) {
        drop(p, m, pkt);
        return;
    }
    packet_list_push(&m->waiting, pkt);
    m->stats.waiting++;
}

void radio_forward(struct plane *p, struct radio *r, struct direction *in, struct packet *pkt)
{
    struct radio_member *m = find(r, in->reverse);
    int64_t at = packet_due(pkt);
    if (bridge_is_loop(pkt)) {
        p->totals.hop_drops++;
        packet_free(&p->pool, pkt);
        return;
    }
    if (r->config.rate_bps == 0) {
        reach(p, r, m, pkt);
        return;
    }
    advance(p, r, at);
    if (r->transmitter.sending)
        queue(p, r, m, pkt);
    else
        begin(r, m, pkt, at);
    reschedule(p, r);
}
