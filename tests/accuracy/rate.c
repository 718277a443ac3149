/* SPDX-License-Identifier: MIT */
#include "course.h"
#include "groups.h"
#include "runtime/clock.h"
#include "wire.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MS CLOCK_NS_PER_MS
#define MOST 0.01 /* that a rate may be off */

/* A rate in each direction, and frames of one size that take so long on it. */
struct rates {
    uint64_t rate[2];
    uint32_t len;
    double seconds;
};

/* Whether there was always a frame waiting. */
static bool kept_ahead(const struct journal *j, const struct link_config *c)
{
    double each = j->lens[0] * 8e9 / (double)c->rate_bps;
    for (uint32_t i = 1; i < j->n; i++) {
        if ((double)(j->sent[i] - j->sent[0]) > each * i)
            return false;
    }
    return true;
}

static void judge(struct report *r, const struct link_config *c, int dir, const struct journal *j)
{
    uint32_t len = j->lens[0];
    double expected = len * 8e9 / (double)c->rate_bps,
           got = course_spacing(j->arrivals, j->arrived, expected);
    double error = expected / got - 1;
    struct text setting = text("%g Mbit/s, %u-byte frames", (double)c->rate_bps / 1e6, len);
    report_none(r, setting, dir, "frames missing", j->n - j->arrived);
    report_row(r, fabs(error) <= MOST ? PASSED : FAILED, setting, dir,
               text("%g Mbit/s", (double)c->rate_bps / 1e6),
               text("%.5g Mbit/s over %zu frames", len * 8e3 / got, j->arrived),
               text("%+.3f %%, at most 1 %%", error * 100));
}

static bool measure(struct report *r, uint64_t seed, const void *setting)
{
    const struct rates *s = setting;
    struct link_config cfg[2];
    struct train trains[2];
    struct wire w;
    memset(cfg, 0, sizeof(cfg));
    for (int i = 0; i < 2; i++) {
        uint32_t count = (uint32_t)(s->seconds * (double)s->rate[i] / (s->len * 8));
        cfg[i].rate_bps = s->rate[i];
        cfg[i].queue_packets = count;
        trains[i] = (struct train){.count = count, .len = s->len};
    }
    bool kept_up = wire_run(&w, seed, cfg, trains);
    for (int dir = 0; dir < 2; dir++)
        kept_up = kept_up && kept_ahead(&w.journals[dir], &cfg[dir]);
    for (int dir = 0; kept_up && dir < 2; dir++)
        judge(r, &cfg[dir], dir, &w.journals[dir]);
    wire_close(&w);
    return kept_up;
}

static const struct rates rates[] = {
    {{10000000, 1000000}, 64, 1.2},
    {{100000000, 10000000}, 1500, 1.2},
    /* from here on only in full */
    {{2000000, 500000}, 64, 3},
    {{50000000, 30000000}, 64, 1.2},
    {{2000000, 20000000}, 1500, 3},
    {{1000000000, 300000000}, 1500, 1.2},
};

#define QUICK_RATES 2
#define TRACE_BYTES 1500 /* of payload, at each opportunity */

/* Opportunities, ms, over again after the last; uneven, two at one time, and a gap. */
static const int64_t traces[2][8] = {
    {20 * MS, 21 * MS, 21 * MS, 30 * MS, 55 * MS, 60 * MS, 70 * MS, 80 * MS},
    {5 * MS, 10 * MS, 15 * MS, 20 * MS, 25 * MS, 30 * MS, 35 * MS, 40 * MS},
};

/* Return: when opportunity number @i of a trace is. */
static int64_t opportunity(const int64_t *trace, uint64_t i)
{
    return (int64_t)(i / 8) * trace[7] + trace[i % 8];
}

/* All frames wait before the first opportunity, so that each goes when as many bytes of payload
 * have had one. */
static void judge_trace(struct report *r, struct text setting, int dir, const struct journal *j,
                        int64_t begun, const struct noise_level *noise)
{
    size_t n;
    const struct link_config none = {0};
    double *errors = course_errors(j, &none, &n);
    uint64_t bytes = 0;
    for (size_t i = 0; i < n; i++) {
        bytes += j->lens[i] - ENDPOINT_HEADER;
        int64_t at = opportunity(traces[dir], (bytes - 1) / TRACE_BYTES);
        errors[i] += (double)(j->sent[i] - begun - at);
    }
    report_none(r, setting, dir, "frames missing", j->n - n);
    report_errors(r, setting, dir, errors, n, noise);
    free(errors);
}

static bool measure_trace(struct report *r, uint64_t seed, const void *setting)
{
    struct train trains[2] = {{.count = 60, .len = 1514},
                              {.count = 1000, .len = *(const uint32_t *)setting}};
    struct link_config cfg[2];
    struct wire w;
    struct noise noise;
    memset(cfg, 0, sizeof(cfg));
    noise_start(&noise);
    wire_open(&w, seed, cfg);
    for (int dir = 0; dir < 2; dir++)
        cfg[dir].trace = link_series_new(traces[dir], 8);
    int64_t begun = clock_now();
    wire_set_both(&w, cfg);
    wire_send(&w, trains);
    bool kept_up = wire_finish(&w);
    struct noise_level level = noise_stop(&noise);
    for (int dir = 0; dir < 2; dir++) {
        if (kept_up)
            judge_trace(r, text("trace, %u-byte frames", trains[dir].len), dir, &w.journals[dir],
                        begun, &level);
        link_series_unref(cfg[dir].trace);
    }
    wire_close(&w);
    return kept_up;
}

void measure_rate(struct report *r)
{
    size_t n = r->full ? sizeof(rates) / sizeof(rates[0]) : QUICK_RATES;
    static const uint32_t lens[] = {64, 314};
    report_table("Rate", "A queue full of frames of one size, both directions at once: the spacing "
                         "of what arrives, within 1 %.");
    for (size_t i = 0; i < n; i++)
        report_measure(r, measure, &rates[i]);
    report_table("Trace",
                 "Mahimahi's: each frame is to come when the trace, repeated, has given as "
                 "many bytes the opportunity to go.");
    for (size_t i = 0; i < (r->full ? 2 : 1); i++)
        report_measure(r, measure_trace, &lens[i]);
}
