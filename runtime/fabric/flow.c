/* SPDX-License-Identifier: MIT */
#include "runtime/fabric/flow.h"

#include "runtime/fabric/lateness.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define BIT_NS 8e9
#define MAGIC 0x716e666cU
#define ETHERNET_HEADER 14
#define IP_HEADER 20

/* A source that is this far behind lets the time pass: what the processor cannot do must not keep
 * the links from being served. */
#define LAG_MAX_NS 250e6

#define FPS_MIN 0.001
#define FPS_MAX 1000
/* Of an on/off source: bounds the work of planning a packet. */
#define PERIODS_PER_PACKET_MAX 1000

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

static uint32_t headers_of(const struct fabric_flow_config *c)
{
    return FABRIC_FLOW_HEADER + (c->rtp ? FABRIC_RTP_HEADER : 0);
}

static uint32_t least_size(const struct fabric_flow_config *c)
{
    return headers_of(c) + FABRIC_FLOW_STAMP;
}

static double picture_mean(const struct fabric_flow_config *c)
{
    return (double)c->rate_bps / 8 / c->fps;
}

static double interval_of(const struct fabric_flow_config *c)
{
    return c->pattern == FABRIC_VIDEO ? 1e9 / c->fps : c->size * BIT_NS / (double)c->rate_bps;
}

static bool periods_are_possible(const struct fabric_flow_config *c)
{
    return c->on_ns > 0 && c->on_ns <= LINK_DELAY_MAX_NS && c->off_ns >= 0 &&
           c->off_ns <= LINK_DELAY_MAX_NS &&
           (double)c->on_ns * PERIODS_PER_PACKET_MAX >= interval_of(c);
}

static bool pictures_are_possible(const struct fabric_flow_config *c)
{
    return c->fps >= FPS_MIN && c->fps <= FPS_MAX && c->key_interval > 0 && c->key_ratio > 0 &&
           picture_mean(c) >= least_size(c);
}

bool flow_config_is_possible(const struct fabric_flow_config *c)
{
    if (c->rate_bps == 0 || c->rate_bps > LINK_RATE_MAX_BPS || c->playout_ns < 0)
        return false;
    if (c->size < least_size(c) || c->size > FABRIC_FLOW_MAX)
        return false;
    if (c->pattern == FABRIC_ONOFF)
        return periods_are_possible(c);
    if (c->pattern == FABRIC_VIDEO)
        return pictures_are_possible(c);
    return c->pattern == FABRIC_CBR || c->pattern == FABRIC_POISSON;
}

/* Headers */

static void put16(uint8_t *at, uint32_t v)
{
    at[0] = (uint8_t)(v >> 8);
    at[1] = (uint8_t)v;
}

static void put32(uint8_t *at, uint32_t v)
{
    put16(at, v >> 16);
    put16(at + 2, v);
}

/* The checksum of an IPv4 header whose own field counts as 0. */
static uint32_t ip_checksum(const uint8_t *ip)
{
    uint32_t sum = 0;
    for (int i = 0; i < IP_HEADER; i += 2)
        sum += i == 10 ? 0 : (uint32_t)ip[i] << 8 | ip[i + 1];
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return ~sum & 0xffff;
}

static void set_lengths(struct flow *f, uint32_t len)
{
    uint8_t *ip = f->config.header + ETHERNET_HEADER;
    put16(ip + 2, len - ETHERNET_HEADER);
    put16(ip + 10, ip_checksum(ip));
    put16(ip + IP_HEADER + 4, len - ETHERNET_HEADER - IP_HEADER);
    f->header_len = len;
}

/* RFC 3550, 5.1. The marker tells the last packet of a picture. */
static void put_rtp(const struct flow *f, uint8_t *at, bool marker)
{
    const struct fabric_flow_config *c = &f->config;
    uint32_t units = c->pattern == FABRIC_VIDEO ? f->pictures - 1 : f->next_seq;
    at[0] = 2 << 6;
    at[1] = (uint8_t)((marker ? 0x80 : 0) | (c->rtp_type & 0x7f));
    put16(at + 2, f->next_seq);
    put32(at + 4, units * c->rtp_step);
    put32(at + 8, f->ssrc);
}

/* Sending */

static void fill(struct flow *f, struct frame *frame, uint32_t len, int64_t at, bool marker)
{
    uint32_t headers = headers_of(&f->config), used = least_size(&f->config);
    struct stamp s = {.tag = MAGIC ^ (uint32_t)f->id, .seq = f->next_seq, .sent = at};
    s.check = check_of(&s);
    if (f->header_len != len)
        set_lengths(f, len);
    frame->len = len;
    memcpy(frame->data, f->config.header, FABRIC_FLOW_HEADER);
    if (f->config.rtp)
        put_rtp(f, frame->data + FABRIC_FLOW_HEADER, marker);
    memcpy(frame->data + headers, &s, sizeof(s));
    memset(frame->data + used, 0, len - used);
}

static void emit(struct plane *p, struct flow *f, uint32_t len, int64_t at, bool marker)
{
    struct frame *frame = frame_new(&p->pool, len);
    struct packet *pkt = frame ? packet_new(&p->pool, frame) : NULL;
    if (!pkt) {
        plane_lose(p, &p->totals.no_memory);
        return;
    }
    fill(f, frame, len, at, marker);
    frame_count(&p->pool, frame, f->id);
    f->next_seq++;
    f->sent++;
    f->sent_bytes += len;
    direction_offer(p, f->out, pkt, at);
}

/* The bytes of the next picture. The mean over a group of one key picture and the others is
 * rate / fps. */
static double picture_bytes(struct flow *f)
{
    const struct fabric_flow_config *c = &f->config;
    double group = c->key_interval, other = picture_mean(c) * group / (group - 1 + c->key_ratio);
    bool key = f->pictures++ % c->key_interval == 0;
    return key ? other * c->key_ratio : other;
}

/* A picture's packets are due at one instant, as an encoder hands them over. What the last one is
 * larger than what was left is taken from the next picture, so that the rate is kept. */
static void emit_of_picture(struct plane *p, struct flow *f, int64_t at)
{
    const struct fabric_flow_config *c = &f->config;
    uint32_t least = least_size(c), len = c->size;
    if (!f->in_picture)
        f->left += picture_bytes(f);
    if (f->left < len)
        len = f->left > least ? (uint32_t)f->left : least;
    f->left -= len;
    f->in_picture = f->left >= 1;
    emit(p, f, len, at, !f->in_picture);
}

/* The clock of an on/off source stands still while it is off: what is left of an interval when an
 * on period ends passes in the next. */
static void skip_off_periods(struct flow *f)
{
    const struct fabric_flow_config *c = &f->config;
    while (f->due >= f->on_until) {
        double off = exponential(&f->rng, (double)c->off_ns);
        f->due += off;
        f->on_until += off + exponential(&f->rng, (double)c->on_ns);
    }
}

static void plan_next(struct flow *f)
{
    double interval = interval_of(&f->config);
    switch (f->config.pattern) {
    case FABRIC_POISSON:
        f->due += exponential(&f->rng, interval);
        break;
    case FABRIC_VIDEO:
        f->due += f->in_picture ? 0 : interval;
        break;
    case FABRIC_ONOFF:
        f->due += interval;
        skip_off_periods(f);
        break;
    default:
        f->due += interval;
    }
}

static void catch_up(const struct plane *p, struct flow *f)
{
    double lag = (double)p->now - f->due;
    if (lag <= LAG_MAX_NS)
        return;
    f->stalled += lag;
    f->due += lag;
    f->on_until += lag;
}

static bool is_over(const struct flow *f)
{
    const struct fabric_flow_config *c = &f->config;
    return !f->out || (c->count && f->sent >= c->count);
}

static int64_t due_of(const struct flow *f)
{
    return f->running ? (int64_t)ceil(f->due) : SCHEDULE_NEVER;
}

/* One packet at a time: whatever else is due before the next comes before it, however late the
 * thread is, so that flows that meet on a link meet in the order of their times. */
static void on_due(struct plane *p, struct schedule_entry *e)
{
    struct flow *f = (struct flow *)e;
    catch_up(p, f);
    if (f->config.pattern == FABRIC_VIDEO)
        emit_of_picture(p, f, due_of(f));
    else
        emit(p, f, f->config.size, due_of(f), false);
    plan_next(f);
    f->running = !is_over(f);
    schedule_set(&p->schedule, &f->entry, due_of(f));
}

struct flow *flow_new(struct plane *p, int id, const struct fabric_flow_config *c,
                      struct direction *out, struct direction *in, uint64_t seed)
{
    struct flow *f = pool_admit_flow(&p->pool, id) == 0 ? calloc(1, sizeof(*f)) : NULL;
    if (!f)
        return NULL;
    f->entry.due = on_due;
    f->id = id;
    f->config = *c;
    f->out = out;
    f->in = in;
    if (in)
        in->sinks++;
    f->meter.playout_ns = c->playout_ns;
    rng_seed(&f->rng, seed, UINT64_C(1) << 32 | (uint32_t)id);
    f->ssrc = (uint32_t)rng_next(&f->rng);
    return f;
}

/* The first packet comes at a random moment of the first interval, an on/off source is on or off as
 * it would be found: sources that are started together are not in step, and none begins with more
 * or less than its mean rate. */
static void begin(const struct plane *p, struct flow *f)
{
    const struct fabric_flow_config *c = &f->config;
    double interval = interval_of(c), on = (double)c->on_ns, off = (double)c->off_ns;
    f->due = (double)p->now;
    f->left = 0;
    f->in_picture = false;
    if (c->pattern == FABRIC_ONOFF) {
        bool is_on = rng_unit(&f->rng) * (on + off) < on;
        f->due += is_on ? 0 : exponential(&f->rng, off);
        f->on_until = f->due + exponential(&f->rng, on);
    }
    f->due += c->pattern == FABRIC_POISSON ? exponential(&f->rng, interval)
                                           : rng_unit(&f->rng) * interval;
    if (c->pattern == FABRIC_ONOFF)
        skip_off_periods(f);
}

void flow_run(struct plane *p, struct flow *f, bool on)
{
    if (f->running == on || (on && is_over(f)))
        return;
    f->running = on;
    if (on)
        begin(p, f);
    schedule_set(&p->schedule, &f->entry, due_of(f));
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
    meter_free(&f->meter);
    free(f);
}

/* Receiving */

static bool read_stamp(const struct frame *frame, uint32_t at, struct stamp *s)
{
    if (frame->len < at + sizeof(*s))
        return false;
    memcpy(s, frame->data + at, sizeof(*s));
    return s->check == check_of(s);
}

/* A guest may have made the stamp up. */
static bool is_sane(const struct flow *f, const struct stamp *s, int64_t at)
{
    uint32_t age = f->next_seq - s->seq;
    return age > 0 && age <= 1U << 31 && s->sent >= 0 && s->sent <= at;
}

/* The stamp stands where the flow's own headers end; nothing else in the packet tells. */
static struct flow *flow_of(const struct plane *p, const struct direction *d,
                            const struct packet *pkt, struct stamp *s)
{
    if (!read_stamp(pkt->frame, FABRIC_FLOW_HEADER, s) &&
        !read_stamp(pkt->frame, FABRIC_FLOW_HEADER + FABRIC_RTP_HEADER, s))
        return NULL;
    struct flow *f = table_get(&p->flows, (int)(s->tag ^ MAGIC));
    return f && f->in == d && is_sane(f, s, packet_due(pkt)) ? f : NULL;
}

bool flow_receive(struct plane *p, struct direction *d, struct packet *pkt)
{
    struct stamp s;
    struct flow *f = flow_of(p, d, pkt, &s);
    if (!f)
        return false;
    int64_t at = packet_due(pkt);
    if (meter_add(&f->meter, s.seq, at - s.sent, at, pkt->frame->len) < 0)
        plane_lose(p, &p->totals.no_memory);
    if (f->config.deliver)
        return false;
    lateness_add(&d->stats.lateness, at, p->now);
    direction_drop(p, d, pkt, LINK_DELIVERED);
    return true;
}

/* Statistics */

static void sum_counts(const struct flow *f, struct fabric_flow_stats *to)
{
    const struct meter *m = &f->meter;
    to->sent += f->sent;
    to->sent_bytes += f->sent_bytes;
    to->received += m->received;
    to->received_bytes += m->bytes;
    to->duplicates += m->duplicates;
    to->reordered += m->reordered;
    to->late += m->late;
    to->rate_bps += meter_rate(m);
    to->stalled_ns += (int64_t)f->stalled;
    to->running = to->running || f->running;
}

int flow_sum(const struct plane *p, const struct flow *f, struct flow_sum *sum)
{
    const struct meter *m = &f->meter;
    sum_counts(f, &sum->stats);
    sum->stats.in_flight += p->pool.alive[f->id];
    if (m->playout_ns > 0) {
        struct meter_gaps gaps = meter_gaps(m);
        sum->stats.missed += gaps.missed;
        sum->stats.bursts += gaps.bursts;
    }
    sum->jitter += m->jitter_sum;
    sum->jitters += m->received > 0 ? m->received - 1 : 0;
    sum->played += m->played_sum;
    return delays_join(&sum->delays, &m->delays);
}

static int64_t mean(double sum, uint64_t n)
{
    return n ? (int64_t)(sum / (double)n) : 0;
}

void flow_sum_read(const struct flow_sum *sum, struct fabric_flow_stats *out)
{
    const struct delays *d = &sum->delays;
    *out = sum->stats;
    out->jitter_ns = mean(sum->jitter, sum->jitters);
    out->played_ns = mean(sum->played, d->n);
    out->delay_min_ns = d->min;
    out->delay_max_ns = d->max;
    out->delay_mean_ns = mean(d->sum, d->n);
    out->delay_p50_ns = delays_quantile(d, 0.5);
    out->delay_p95_ns = delays_quantile(d, 0.95);
    out->delay_p99_ns = delays_quantile(d, 0.99);
}

void flow_sum_free(struct flow_sum *sum)
{
    delays_free(&sum->delays);
}
