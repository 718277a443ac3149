/* SPDX-License-Identifier: MIT */
#include "course.h"
#include "groups.h"
#include "runtime/clock.h"
#include "wire.h"

#include <stdlib.h>

#define MS CLOCK_NS_PER_MS
#define GAP_NS MS
#define QUICK 400
#define FULL 4000

/* What goes over both directions of a link. */
struct traffic {
    struct link_config cfg[2];
    uint32_t len;
    double load; /* share of the rate; 0: a frame each GAP_NS */
};

static struct train train_of(const struct report *r, const struct traffic *t, int dir)
{
    struct train train = {r->full ? FULL : QUICK, t->len, GAP_NS, 0};
    if (t->load > 0)
        train.gap_ns = (int64_t)(t->len * 8e9 / ((double)t->cfg[dir].rate_bps * t->load));
    return train;
}

static void judge(struct report *r, const struct traffic *t, int dir, const struct journal *j,
                  const struct noise_level *noise)
{
    size_t n;
    double *errors = course_errors(j, &t->cfg[dir], &n);
    struct text setting = describe(&t->cfg[dir]);
    if (t->load > 0)
        setting =
            text("%s, load %g %% of %u bytes", describe(&t->cfg[dir]).s, t->load * 100, t->len);
    report_none(r, setting, dir, "frames missing", j->n - n);
    report_errors(r, setting, dir, errors, n, noise);
    free(errors);
}

static bool measure(struct report *r, uint64_t seed, const void *setting)
{
    const struct traffic *t = setting;
    struct train trains[2] = {train_of(r, t, 0), train_of(r, t, 1)};
    struct wire w;
    struct noise noise;
    noise_start(&noise);
    bool kept_up = wire_run(&w, seed, t->cfg, trains);
    struct noise_level level = noise_stop(&noise);
    for (int dir = 0; kept_up && dir < 2; dir++)
        judge(r, t, dir, &w.journals[dir], &level);
    wire_close(&w);
    return kept_up;
}

#define DELAY(ns) .delay_ns = (ns)
#define LOADED(ns, rate)                                                                           \
    {                                                                                              \
        .delay_ns = (ns), .rate_bps = (rate)                                                       \
    }

static const struct traffic delays[] = {
    {{{0}, {DELAY(MS)}}, 64, 0},
    {{{DELAY(10 * MS)}, {DELAY(100 * MS)}}, 1514, 0},
    /* from here on only in full */
    {{{DELAY(MS / 10)}, {DELAY(2 * MS)}}, 64, 0},
    {{{DELAY(5 * MS)}, {DELAY(20 * MS)}}, 64, 0},
    {{{DELAY(50 * MS)}, {DELAY(200 * MS)}}, 64, 0},
    {{{DELAY(500 * MS)}, {DELAY(1000 * MS)}}, 1514, 0},
};

#define QUICK_DELAYS 2

static const struct traffic loads[] = {
    {{LOADED(20 * MS, 20000000), LOADED(5 * MS, 10000000)}, 1514, 0.1},
    {{LOADED(20 * MS, 20000000), LOADED(5 * MS, 10000000)}, 1514, 0.9},
    /* from here on only in full */
    {{LOADED(20 * MS, 20000000), LOADED(5 * MS, 10000000)}, 1514, 0.5},
    {{LOADED(20 * MS, 20000000), LOADED(5 * MS, 10000000)}, 1514, 0.8},
    {{LOADED(10 * MS, 100000000), LOADED(40 * MS, 50000000)}, 1514, 0.9},
    {{LOADED(10 * MS, 1000000), LOADED(40 * MS, 2000000)}, 64, 0.9},
};

#define QUICK_LOADS 2

static void measure_all(struct report *r, const struct traffic *t, size_t quick, size_t full)
{
    for (size_t i = 0; i < (r->full ? full : quick); i++)
        report_measure(r, measure, &t[i]);
}

void measure_delay(struct report *r)
{
    report_table(
        "Delay",
        "From send() in one thread to recv() in another, less the configured delay: least "
        "(of the best and the worst fifth of the train), median, 99th percentile. Beside it "
        "the machine alone at the same time: a timer and a socket without the fabric, median "
        "and 99.5th percentile, and how much of a processor other processes used.");
    measure_all(r, delays, QUICK_DELAYS, sizeof(delays) / sizeof(delays[0]));
    report_table(
        "Delay under load",
        "As before, at loads below the rate. A frame is to take the delay and its own time "
        "on the link, and waits for the frame before it only if that is still being sent.");
    measure_all(r, loads, QUICK_LOADS, sizeof(loads) / sizeof(loads[0]));
}
