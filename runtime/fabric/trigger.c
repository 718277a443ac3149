/* SPDX-License-Identifier: MIT */
#include "runtime/fabric/trigger.h"

#include "runtime/clock.h"
#include "runtime/fabric/event.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SNAPLEN (1 << 18) /* more than any frame */

static_assert(offsetof(struct held, entry) == 0, "on_due() casts");

static int compile(struct bpf_program *program, const char *filter, char *why, size_t room)
{
    pcap_t *dead = pcap_open_dead(DLT_EN10MB, SNAPLEN);
    if (!dead)
        return -ENOMEM;
    int err = pcap_compile(dead, program, filter, 1, PCAP_NETMASK_UNKNOWN) ? -EINVAL : 0;
    if (err)
        snprintf(why, room, "%s", pcap_geterr(dead));
    pcap_close(dead);
    return err;
}

int watch_new(struct watch **out, const struct fabric_trigger_config *c, char *why, size_t room)
{
    struct watch *w = calloc(1, sizeof(*w));
    if (!w)
        return -ENOMEM;
    w->first = c->first;
    w->count = c->count;
    w->hold = c->hold;
    w->drop = c->drop;
    int err = compile(&w->program, c->filter, why, room);
    if (err < 0)
        free(w);
    else
        *out = w;
    return err;
}

void watch_attach(struct watch *w)
{
    for (int i = 0; i < 2; i++) {
        struct direction *d = w->on[i];
        if (!d)
            continue;
        struct trigger **end = &d->triggers;
        while (*end)
            end = &(*end)->next;
        w->places[i] = (struct trigger){.watch = w, .dir = i};
        *end = &w->places[i];
    }
}

static void leave(struct watch *w, int i)
{
    struct direction *d = w->on[i];
    if (!d)
        return;
    for (struct trigger **t = &d->triggers; *t; t = &(*t)->next) {
        if (*t == &w->places[i]) {
            *t = w->places[i].next;
            break;
        }
    }
    w->on[i] = NULL;
}

void watch_detach(struct watch *w)
{
    leave(w, 0);
    leave(w, 1);
}

void watch_forget(struct watch *w, const struct direction *d)
{
    for (int i = 0; i < 2; i++) {
        if (w->on[i] == d)
            leave(w, i);
    }
}

void watch_free(struct watch *w)
{
    pcap_freecode(&w->program);
    free(w);
}

static bool matches(const struct watch *w, const struct packet *pkt)
{
    struct pcap_pkthdr header = {.caplen = pkt->frame->len, .len = pkt->frame->len};
    return pcap_offline_filter(&w->program, &header, pkt->frame->data) != 0;
}

/* Return: whether the watch fires for the frame. */
static bool fires(struct watch *w, const struct packet *pkt)
{
    if (!matches(w, pkt))
        return false;
    w->matched++;
    if (w->matched < w->first || (w->count && w->fired >= w->count))
        return false;
    w->fired++;
    return true;
}

static void release(struct plane *p, struct held *h)
{
    schedule_set(&p->schedule, &h->entry, SCHEDULE_NEVER);
    *h->link = h->next;
    if (h->next)
        h->next->link = h->link;
    else
        p->held_end = h->link;
    h->direction->held--;
    p->held_count--;
    schedule_dismiss(&p->schedule, 1);
    free(h);
}

/* The delay is over, or nobody has given a verdict for too long. */
static void on_due(struct plane *p, struct schedule_entry *e)
{
    struct held *h = (struct held *)e;
    struct packet *pkt = h->packet;
    struct direction *d = h->direction;
    int64_t at = schedule_time(&p->schedule, e);
    if (h->id)
        plane_lose(p, &p->totals.verdicts_missed);
    release(p, h);
    direction_enter(p, d, pkt, at);
}

static struct held *hold(struct plane *p, struct direction *d, struct packet *pkt, int64_t at)
{
    struct held *h = p->held_count < FABRIC_HELD_MAX ? calloc(1, sizeof(*h)) : NULL;
    if (!h || schedule_admit(&p->schedule, 1) < 0) {
        free(h);
        return NULL;
    }
    *h = (struct held){.entry.due = on_due, .direction = d, .packet = pkt, .at = at};
    h->id = ++p->last_held;
    h->link = p->held_end;
    *p->held_end = h;
    p->held_end = &h->next;
    p->held_count++;
    d->held++;
    pkt->marks |= PACKET_HELD;
    schedule_set(&p->schedule, &h->entry, at + FABRIC_VERDICT_TIMEOUT_NS);
    return h;
}

/* Tell of @pkt, and hold it if that is asked for and can be done. */
static struct held *report(struct plane *p, struct direction *d, struct packet *pkt, int64_t at,
                           const struct trigger *t, bool may_hold)
{
    struct watch *w = t->watch;
    struct held *h = w->hold && may_hold ? hold(p, d, pkt, at) : NULL;
    struct fabric_event event = {
        .trigger = w->id,
        .time = at,
        .dir = t->dir,
        .held = h ? h->id : 0,
        .last = w->count && w->fired == w->count,
        .len = pkt->frame->len,
    };
    bool told = event_push(p->events, &event, pkt->frame->data);
    if (!told || (w->hold && !h))
        plane_lose(p, &p->totals.triggers_missed);
    if (told || !h)
        return h;
    release(p, h);
    pkt->marks &= (uint8_t)~PACKET_HELD;
    return NULL;
}

bool triggers_take(struct plane *p, struct direction *d, struct packet *pkt, int64_t at)
{
    struct held *h = NULL;
    for (struct trigger *t = d->triggers, *next; t; t = next) {
        struct watch *w = t->watch;
        next = t->next;
        if (!fires(w, pkt))
            continue;
        if (w->drop) {
            if (h)
                release(p, h);
            direction_drop(p, d, pkt, LINK_TRIGGERED);
            return true;
        }
        struct held *now = report(p, d, pkt, at, t, !h);
        h = h ? h : now;
        if (w->count && w->fired == w->count)
            watch_detach(w);
    }
    return h != NULL;
}

void triggers_clear(struct plane *p, struct direction *d, enum link_fate fate)
{
    for (struct held *h = p->held, *next; h && d->held; h = next) {
        next = h->next;
        if (h->direction != d)
            continue;
        struct packet *pkt = h->packet;
        release(p, h);
        direction_drop(p, d, pkt, fate);
    }
}

static struct held *find(const struct plane *p, uint64_t id)
{
    struct held *h = p->held;
    while (h && h->id != id)
        h = h->next;
    return h;
}

static int replace(struct plane *p, struct packet *pkt, const struct fabric_verdict *v)
{
    struct frame *f = frame_new(&p->pool, v->len);
    if (!f)
        return -ENOMEM;
    memcpy(f->data, v->data, v->len);
    f->len = v->len;
    frame_free(&p->pool, pkt->frame);
    pkt->frame = f;
    pkt->marks |= PACKET_CHANGED;
    return 0;
}

static void pass(struct plane *p, struct held *h, int64_t delay)
{
    struct direction *d = h->direction;
    struct packet *pkt = h->packet;
    int64_t at = h->at + delay;
    pkt->marks |= delay > 0 ? PACKET_DELAYED : 0;
    if (at > p->now) {
        h->id = 0;
        schedule_set(&p->schedule, &h->entry, at);
        return;
    }
    release(p, h);
    direction_enter(p, d, pkt, p->now);
}

int trigger_verdict(struct plane *p, const struct fabric_verdict *v)
{
    struct held *h = v->held ? find(p, v->held) : NULL;
    if (!h)
        return -ENOENT;
    if (v->drop) {
        struct direction *d = h->direction;
        struct packet *pkt = h->packet;
        release(p, h);
        direction_drop(p, d, pkt, LINK_TRIGGERED);
        return 0;
    }
    int err = v->data ? replace(p, h->packet, v) : 0;
    pass(p, h, v->delay_ns);
    return err;
}
