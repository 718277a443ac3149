/* SPDX-License-Identifier: MIT */
#include "runtime/fabric/radio.h"

#include "runtime/fabric/bridge.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

struct radio *radio_new(struct plane *p, const struct fabric_radio_config *c, uint64_t seed, int id)
{
    struct radio *r = calloc(1, sizeof(*r));
    struct link_config air = {.rate_bps = c->rate_bps, .queue_packets = c->queue_packets};
    if (!r)
        return NULL;
    r->stations = mactable_new();
    if (!r->stations) {
        free(r);
        return NULL;
    }
    r->config = *c;
    rng_seed(&r->rng, seed, UINT64_C(2) << 32 | (uint32_t)id);
    direction_init(p, &r->air, &air);
    r->air.to = (struct end){.kind = FABRIC_AIR, .radio = r};
    return r;
}

void radio_free(struct plane *p, struct radio *r)
{
    direction_free(p, &r->air);
    free(r->stations);
    free(r->members);
    free(r);
}

int radio_attach(struct radio *r, struct direction *out)
{
    if (r->len == r->room) {
        size_t room = r->room ? 2 * r->room : 8;
        struct radio_member *members = realloc(r->members, room * sizeof(*members));
        if (!members)
            return -ENOMEM;
        r->members = members;
        r->room = room;
    }
    r->members[r->len++] = (struct radio_member){.out = out};
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

void radio_forget(struct radio *r, const struct direction *out)
{
    mactable_forget(r->stations, out);
}

void radio_detach(struct radio *r, struct direction *out)
{
    struct radio_member *m = find(r, out);
    if (m)
        *m = r->members[--r->len];
    radio_forget(r, out);
}

int radio_move(struct radio *r, const struct direction *out, const struct fabric_motion *m)
{
    struct radio_member *member = find(r, out);
    if (!member)
        return -ENOENT;
    member->motion = *m;
    return 0;
}

static void position(const struct fabric_motion *m, int64_t at, double xy[2])
{
    int64_t end = m->start_ns + m->duration_ns;
    double s = at <= m->start_ns ? 0 : (double)((at < end ? at : end) - m->start_ns) / 1e9;
    for (int i = 0; i < 2; i++)
        xy[i] = m->from[i] + m->velocity[i] * s;
}

bool radio_position(const struct radio *r, const struct direction *out, int64_t at, double xy[2])
{
    const struct radio_member *m = find(r, out);
    if (m)
        position(&m->motion, at, xy);
    return m != NULL;
}

/* G. Box, M. Muller, 1958. */
static double normal(struct rng *r)
{
    double u = 1 - rng_unit(r);
    return sqrt(-2 * log(u)) * cos(2 * M_PI * rng_unit(r));
}

/* The log-distance model of path loss with log-normal shadowing (T. Rappaport: Wireless
 * Communications, 4.9). */
static double received_dbm(struct radio *r, double distance)
{
    const struct fabric_radio_config *c = &r->config;
    double d = distance > c->reference_m ? distance : c->reference_m;
    double loss = c->reference_loss_db + 10 * c->exponent * log10(d / c->reference_m);
    return c->tx_dbm - loss + (c->shadowing_db > 0 ? c->shadowing_db * normal(&r->rng) : 0);
}

static bool reaches(struct radio *r, const double from[2], const struct radio_member *to,
                    int64_t at)
{
    double xy[2];
    position(&to->motion, at, xy);
    double distance = hypot(xy[0] - from[0], xy[1] - from[1]);
    if (r->config.range_m > 0 && distance > r->config.range_m)
        return false;
    return !r->config.log_distance || received_dbm(r, distance) >= r->config.sensitivity_dbm;
}

void radio_forward(struct plane *p, struct radio *r, struct direction *in, struct packet *pkt)
{
    if (++pkt->hops > BRIDGE_HOPS_MAX) {
        p->totals.hop_drops++;
        packet_free(&p->pool, pkt);
        return;
    }
    pkt->via = in->reverse;
    direction_offer(p, &r->air, pkt, packet_due(pkt));
}

static void send_copy(struct plane *p, struct direction *out, const struct packet *pkt)
{
    struct packet *copy = packet_clone(&p->pool, pkt);
    if (copy)
        direction_offer(p, out, copy, packet_due(pkt));
    else
        p->totals.no_memory++;
}

/* What is for a station that has been heard is not given to the others, whose interfaces would only
 * drop it. */
void radio_air(struct plane *p, struct radio *r, struct packet *pkt)
{
    int64_t at = packet_due(pkt);
    double from[2];
    const struct direction *only = NULL;
    bool sender_is_here = radio_position(r, pkt->via, at, from);
    if (sender_is_here) {
        mactable_hear(r->stations, pkt->frame->data + 6, pkt->via, at);
        only =
            r->config.promiscuous ? NULL : mactable_way(r->stations, pkt->frame->data, INT64_MIN);
    }
    for (size_t i = 0; sender_is_here && i < r->len; i++) {
        const struct radio_member *m = &r->members[i];
        if (m->out != pkt->via && (!only || m->out == only) && reaches(r, from, m, at))
            send_copy(p, m->out, pkt);
    }
    packet_free(&p->pool, pkt);
}
