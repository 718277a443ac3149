/* SPDX-License-Identifier: MIT */
#include "runtime/fabric/bridge.h"

#include "runtime/fabric/direction.h"
#include "runtime/fabric/event.h"

#include <errno.h>
#include <stdlib.h>

struct bridge *bridge_new(int64_t ageing_ns, bool hub)
{
    struct bridge *b = calloc(1, sizeof(*b));
    if (!b)
        return NULL;
    b->ageing_ns = ageing_ns;
    b->stations = hub ? NULL : mactable_new();
    if (!hub && !b->stations) {
        free(b);
        return NULL;
    }
    return b;
}

void bridge_free(struct bridge *b)
{
    free(b->stations);
    free(b->members);
    free(b);
}

static int grow(struct bridge *b)
{
    size_t room = b->room ? 2 * b->room : 8;
    struct direction **members = realloc(b->members, room * sizeof(struct direction *));
    if (!members)
        return -ENOMEM;
    b->members = members;
    b->room = room;
    return 0;
}

int bridge_attach(struct bridge *b, struct direction *out)
{
    if (b->len == b->room && grow(b) < 0)
        return -ENOMEM;
    b->members[b->len++] = out;
    return 0;
}

/* The others keep their order, which is the order they are flooded in. */
void bridge_detach(struct bridge *b, struct direction *out)
{
    size_t kept = 0;
    for (size_t i = 0; i < b->len; i++) {
        if (b->members[i] != out)
            b->members[kept++] = b->members[i];
    }
    b->len = kept;
    bridge_forget(b, out);
}

void bridge_forget(struct bridge *b, const struct direction *out)
{
    if (b->stations)
        mactable_forget(b->stations, out);
}

static void flood(struct plane *p, struct bridge *b, const struct direction *back,
                  struct packet *pkt)
{
    int64_t at = packet_due(pkt);
    for (size_t i = 0; i < b->len; i++) {
        if (b->members[i] == back)
            continue;
        struct packet *copy = packet_clone(&p->pool, pkt);
        if (copy)
            direction_offer(p, b->members[i], copy, at);
        else
            plane_lose(p, &p->totals.no_memory);
    }
    packet_free(&p->pool, pkt);
}

/* Hops alone do not bound the copies of a frame where each switch of a loop doubles it. */
bool bridge_is_loop(struct packet *pkt)
{
    return ++pkt->hops > BRIDGE_HOPS_MAX || ++pkt->frame->visits > BRIDGE_VISITS_MAX;
}

static void suspect_loop(struct plane *p, struct bridge *b, uint32_t signs)
{
    struct fabric_event event = {.kind = FABRIC_EVENT_STORM, .sw = b->id, .time = p->now};
    if (!storm_sign(&b->storm, signs, p->now))
        return;
    b->stats.storms++;
    b->warned = b->warned || event_push(p->events, &event, NULL);
}

static void end_loop(struct plane *p, struct bridge *b, struct packet *pkt)
{
    p->totals.hop_drops++;
    b->stats.hop_drops++;
    packet_free(&p->pool, pkt);
    suspect_loop(p, b, STORM_SIGNS);
}

/* Return: the way to where @pkt is to go, NULL when it is to be flooded. */
static struct direction *learn_and_look_up(struct plane *p, struct bridge *b,
                                           struct direction *back, const struct packet *pkt)
{
    int64_t at = packet_due(pkt), since = b->ageing_ns ? at - b->ageing_ns : INT64_MIN;
    if (!b->stations)
        return NULL;
    if (mactable_hear(b->stations, pkt->frame->data + 6, back, at)) {
        b->stats.moves++;
        suspect_loop(p, b, 1);
    }
    return mactable_way(b->stations, pkt->frame->data, since);
}

static void flood_unless_storm(struct plane *p, struct bridge *b, const struct direction *back,
                               struct packet *pkt)
{
    if (storm_rages(&b->storm, p->now) && !storm_admits(&b->storm, p->now)) {
        p->totals.storm_drops++;
        b->stats.storm_drops++;
        packet_free(&p->pool, pkt);
        return;
    }
    b->stats.floods++;
    flood(p, b, back, pkt);
}

void bridge_forward(struct plane *p, struct bridge *b, struct direction *in, struct packet *pkt)
{
    struct direction *back = in->reverse;
    b->stats.frames++;
    if (bridge_is_loop(pkt)) {
        end_loop(p, b, pkt);
        return;
    }
    struct direction *out = learn_and_look_up(p, b, back, pkt);
    if (!out)
        flood_unless_storm(p, b, back, pkt);
    else if (out == back)
        packet_free(&p->pool, pkt);
    else
        direction_offer(p, out, pkt, packet_due(pkt));
}
