/* SPDX-License-Identifier: MIT */
#include "runtime/fabric/flow.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define BIT_NS 8e9
#define MAGIC 0x716e666cU
#define BATCH 64 /* packets that one flow may send before another has its turn */

/* What stands behind the headers of a packet. */
struct stamp {
    uint32_t tag; /* MAGIC and the flow's number */
    uint32_t seq;
    int64_t sent;
    uint32_t check; /* over the others: a packet that was corrupted must not be measured */
} __attribute__((packed));

static_assert(sizeof(struct stamp) == FABRIC_FLOW_STAMP, "as fabric.h says");

static uint32_t check_of(const struct stamp *s)
{
    uint64_t v = ((uint64_t)s->tag << 32 | s->seq) ^ ((uint64_t)s->sent * 0x9e3779b97f4a7c15);
    return (uint32_t)((v * 0xbf58476d1ce4e5b9) >> 32);
}

static double exponential(struct rng *r, double mean)
{
    return -mean * log(1 - rng_unit(r));
}

/* Sending */

static void emit(struct plane *p, struct flow *f, uint32_t len, int64_t at)
{
    const struct fabric_flow_config *c = &f->config;
    struct frame *frame = frame_new(&p->pool, len);
    struct packet *pkt = frame ? packet_new(&p->pool, frame) : NULL;
    if (!pkt) {
        p->totals.no_memory++;
        return;
    }
    struct stamp s = {.tag = MAGIC ^ (uint32_t)f->id, .seq = f->next_seq++, .sent = at};
    s.check = check_of(&s);
    frame->len = len;
    memcpy(frame->data, c->header, FABRIC_FLOW_HEADER);
    memcpy(frame->data + FABRIC_FLOW_HEADER, &s, sizeof(s));
    memset(frame->data + FABRIC_FLOW_MIN, 0, len - FABRIC_FLOW_MIN);
    f->stats.sent++;
    f->stats.sent_bytes += len;
    direction_offer(p, f->out, pkt, at);
}

/* The length fields of the headers are those of a frame of config.size. */
static void set_lengths(struct fabric_flow_config *c, uint32_t len)
{
    uint32_t ip = len - 14, udp = len - 34;
    c->header[16] = (uint8_t)(ip >> 8);
    c->header[17] = (uint8_t)ip;
    c->header[38] = (uint8_t)(udp >> 8);
    c->header[39] = (uint8_t)udp;
    uint32_t sum = 0;
    c->header[24] = c->header[25] = 0;
    for (int i = 14; i < 34; i += 2)
        sum += (uint32_t)c->header[i] << 8 | c->header[i + 1];
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    c->header[24] = (uint8_t)(~sum >> 8);
    c->header[25] = (uint8_t)~sum;
}

static void emit_sized(struct plane *p, struct flow *f, uint32_t len, int64_t at)
{
    set_lengths(&f->config, len);
    emit(p, f, len, at);
}

/* The bytes of the next picture. The mean over a group of one key picture and the others is
 * rate / fps. */
static uint32_t picture_bytes(struct flow *f)
{
    const struct fabric_flow_config *c = &f->config;
    double mean = (double)c->rate_bps / 8 / c->fps, group = c->key_interval;
    double other = mean * group / (group - 1 + c->key_ratio);
    bool key = f->picture++ % c->key_interval == 0;
    return (uint32_t)(key ? other * c->key_ratio : other);
}

/* A picture's packets leave together, as an encoder hands them over. */
static void emit_picture(struct plane *p, struct flow *f, int64_t at)
{
    const struct fabric_flow_config *c = &f->config;
    uint32_t left = picture_bytes(f);
    do {
        uint32_t len = left < c->size ? left : c->size;
        emit_sized(p, f, len > FABRIC_FLOW_MIN ? len : FABRIC_FLOW_MIN, at);
        left -= len;
    } while (left > 0);
}

static void next_on_period(struct flow *f)
{
    const struct fabric_flow_config *c = &f->config;
    while (f->due >= (double)f->on_until) {
        double begins = (double)f->on_until + exponential(&f->rng, (double)c->off_ns);
        f->due = f->due > begins ? f->due : begins;
        f->on_until = (int64_t)(begins + exponential(&f->rng, (double)c->on_ns));
    }
}

static void plan_next(struct flow *f)
{
    const struct fabric_flow_config *c = &f->config;
    double interval = c->size * BIT_NS / (double)c->rate_bps;
    switch (c->pattern) {
    case FABRIC_POISSON:
        f->due += exponential(&f->rng, interval);
        break;
    case FABRIC_VIDEO:
        f->due += 1e9 / c->fps;
        break;
    case FABRIC_ONOFF:
        f->due += interval;
        next_on_period(f);
        break;
    default:
        f->due += interval;
    }
}

static bool is_over(const struct flow *f)
{
    const struct fabric_flow_config *c = &f->config;
    return !f->out || (c->count && f->stats.sent >= c->count);
}

static void on_due(struct plane *p, struct schedule_entry *e)
{
    struct flow *f = (struct flow *)e;
    for (int i = 0; i < BATCH && f->due <= (double)p->now && !is_over(f); i++) {
        if (f->config.pattern == FABRIC_VIDEO)
            emit_picture(p, f, (int64_t)f->due);
        else
            emit(p, f, f->config.size, (int64_t)f->due);
        plan_next(f);
    }
    f->running = !is_over(f);
    schedule_set(&p->schedule, &f->entry, f->running ? (int64_t)ceil(f->due) : SCHEDULE_NEVER);
}

struct flow *flow_new(int id, const struct fabric_flow_config *c, struct direction *out,
                      struct direction *in, uint64_t seed)
{
    struct flow *f = calloc(1, sizeof(*f));
    if (!f)
        return NULL;
    f->entry.due = on_due;
    f->id = id;
    f->config = *c;
    f->out = out;
    f->in = in;
    if (in)
        in->sinks++;
    rng_seed(&f->rng, seed, UINT64_C(1) << 32 | (uint32_t)id);
    set_lengths(&f->config, c->size);
    return f;
}

/* The first packet comes at a random moment of the first interval: sources that are started
 * together are not in step. */
void flow_run(struct plane *p, struct flow *f, bool on)
{
    const struct fabric_flow_config *c = &f->config;
    if (f->running == on || (on && is_over(f)))
        return;
    f->running = on;
    if (on) {
        double interval =
            c->pattern == FABRIC_VIDEO ? 1e9 / c->fps : c->size * BIT_NS / (double)c->rate_bps;
        f->due = (double)p->now + rng_unit(&f->rng) * interval;
        f->on_until = p->now + (int64_t)exponential(&f->rng, (double)c->on_ns);
        if (c->pattern == FABRIC_ONOFF)
            next_on_period(f);
    }
    schedule_set(&p->schedule, &f->entry, on ? (int64_t)ceil(f->due) : SCHEDULE_NEVER);
}

void flow_forget(struct plane *p, struct flow *f, const struct direction *d)
{
    if (f->out == d) {
        flow_run(p, f, false);
        f->out = NULL;
    }
    if (f->in == d)
        f->in = NULL;
}

void flow_free(struct plane *p, struct flow *f)
{
    schedule_set(&p->schedule, &f->entry, SCHEDULE_NEVER);
    if (f->in)
        f->in->sinks--;
    free(f);
}

/* Receiving */

static struct flow *flow_of(const struct plane *p, const struct direction *d,
                            const struct frame *frame, struct stamp *s)
{
    if (frame->len < FABRIC_FLOW_MIN)
        return NULL;
    memcpy(s, frame->data + FABRIC_FLOW_HEADER, sizeof(*s));
    struct flow *f = table_get(&p->flows, (int)(s->tag ^ MAGIC));
    return f && f->in == d && s->check == check_of(s) ? f : NULL;
}

static bool mark_seen(struct flow *f, uint32_t seq)
{
    uint64_t *word = &f->seen[seq % FLOW_WINDOW / 64], bit = UINT64_C(1) << seq % 64;
    bool seen = *word & bit;
    *word |= bit;
    return seen;
}

/* Go on to @seq, the newest: what lies between has not been seen, and may be lost. */
static void advance_to(struct flow *f, uint32_t seq)
{
    uint32_t gap = seq - f->newest;
    for (uint32_t i = 1; i <= gap && i <= FLOW_WINDOW; i++) {
        uint32_t n = f->newest + i;
        f->seen[n % FLOW_WINDOW / 64] &= ~(UINT64_C(1) << n % 64);
    }
    if (gap > 1)
        f->stats.gaps++;
    f->newest = seq;
}

/* RFC 3550, 6.4.1. */
static void add_jitter(struct flow *f, int64_t transit)
{
    if (f->heard)
        f->jitter += (fabs((double)(transit - f->transit)) - f->jitter) / 16;
    f->transit = transit;
}

static void measure(struct flow *f, const struct stamp *s, int64_t at, uint32_t len)
{
    int64_t delay = at - s->sent;
    if (!f->heard) {
        f->newest = s->seq;
        f->stats.gaps += s->seq > 0;
    } else if ((int32_t)(s->seq - f->newest) > 0) {
        advance_to(f, s->seq);
    } else if (s->seq != f->newest) {
        f->stats.reordered++;
    }
    bool old = f->newest - s->seq >= FLOW_WINDOW;
    if (!old && mark_seen(f, s->seq)) {
        f->stats.duplicates++;
        return;
    }
    add_jitter(f, delay);
    f->heard = true;
    f->stats.received++;
    f->stats.received_bytes += len;
    delays_add(&f->delays, delay);
}

bool flow_receive(struct plane *p, struct direction *d, struct packet *pkt)
{
    struct stamp s;
    struct flow *f = flow_of(p, d, pkt->frame, &s);
    if (!f)
        return false;
    direction_finish(p, d, pkt, LINK_DELIVERED);
    measure(f, &s, packet_due(pkt), pkt->frame->len);
    packet_free(&p->pool, pkt);
    return true;
}

void flow_sum(const struct flow *f, struct flow_sum *sum)
{
    struct fabric_flow_stats *to = &sum->stats;
    const struct fabric_flow_stats *from = &f->stats;
    to->sent += from->sent;
    to->sent_bytes += from->sent_bytes;
    to->received += from->received;
    to->received_bytes += from->received_bytes;
    to->duplicates += from->duplicates;
    to->reordered += from->reordered;
    to->gaps += from->gaps;
    to->expected += f->heard ? (uint64_t)f->newest + 1 : 0;
    to->late += delays_above(&f->delays, f->delays.min + f->config.playout_ns);
    to->running = to->running || f->running;
    sum->jitter += f->jitter * (double)from->received;
    delays_join(&sum->delays, &f->delays);
}

void flow_sum_read(const struct flow_sum *sum, struct fabric_flow_stats *out)
{
    const struct delays *d = &sum->delays;
    *out = sum->stats;
    out->jitter_ns = out->received ? (int64_t)(sum->jitter / (double)out->received) : 0;
    out->delay_min_ns = d->min;
    out->delay_max_ns = d->max;
    out->delay_mean_ns = d->n ? (int64_t)(d->sum / (double)d->n) : 0;
    out->delay_p50_ns = delays_quantile(d, 0.5);
    out->delay_p95_ns = delays_quantile(d, 0.95);
    out->delay_p99_ns = delays_quantile(d, 0.99);
}
