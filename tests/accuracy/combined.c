/* SPDX-License-Identifier: MIT */
#include "burst.h"
#include "course.h"
#include "groups.h"
#include "runtime/clock.h"
#include "tally.h"
#include "wire.h"

#include <stdlib.h>

#define MS CLOCK_NS_PER_MS
#define GAP_NS (400 * CLOCK_NS_PER_US)
#define QUICK 4000
#define FULL 40000

/* Of the frames that are not lost, one is copied or not, has a bit flipped or not (the copy has
 * not), and each of both waits for the delay or not. */
static void judge_shares(struct report *r, const struct link_config *c, int dir,
                         const struct tally *t)
{
    struct burst_model m = burst_model(c);
    uint64_t passed = t->frames - t->missing;
    double now = c->reorder, either = 1 - (1 - now) * (1 - now);
    report_near(r, describe(c), dir, "lost", 100 * burst_share(&m),
                100 * (double)t->missing / t->frames,
                100 * NORMAL_99 * burst_deviation(&m, t->frames), " %");
    if (c->duplicate > 0)
        report_share(r, describe(c), dir, "of these passed, twice", c->duplicate, t->twice, passed);
    if (c->corrupt > 0)
        report_share(r, describe(c), dir, "of these, one bit flipped", c->corrupt, t->corrupt,
                     passed);
    if (c->reorder > 0)
        report_share(r, describe(c), dir, "of these, overtaking",
                     (1 - c->duplicate) * now + c->duplicate * either, t->overtaking, passed - 1);
    report_none(r, describe(c), dir, "frames damaged otherwise", t->broken);
}

static double uniform_below(double ns, const void *arg)
{
    const struct link_config *c = arg;
    double x = (ns / (double)c->jitter_ns + 1) / 2;
    return x < 0 ? 0 : x > 1 ? 1 : x;
}

static void judge_delay(struct report *r, const struct link_config *c, int dir,
                        const struct journal *j, const struct noise_level *noise)
{
    size_t n;
    double *errors = course_errors(j, c, &n);
    if (c->jitter_ns) {
        sort_values(errors, n);
        report_distribution(r, describe(c), dir, errors, n, uniform_below, c, (double)c->jitter_ns,
                            noise);
    } else if (c->reorder == 0) {
        report_errors(r, describe(c), dir, errors, n, noise);
    }
    free(errors);
}

static bool measure(struct report *r, uint64_t seed, const void *setting)
{
    const struct link_config *cfg = setting;
    struct train train = {.count = r->full ? FULL : QUICK, .len = 400, .gap_ns = GAP_NS};
    struct train trains[2] = {train, train};
    struct wire w;
    struct noise noise;
    noise_start(&noise);
    bool kept_up = wire_run(&w, seed, cfg, trains);
    struct noise_level level = noise_stop(&noise);
    for (int dir = 0; kept_up && dir < 2; dir++) {
        struct tally t;
        tally_make(&t, &w.journals[dir]);
        judge_shares(r, &cfg[dir], dir, &t);
        judge_delay(r, &cfg[dir], dir, &w.journals[dir], &level);
        tally_free(&t);
    }
    wire_close(&w);
    return kept_up;
}

/* 400-byte frames each 400 us are 8 Mbit/s. */
static const struct link_config settings[][2] = {
    {{.delay_ns = 40 * MS, .jitter_ns = 20 * MS, .loss = 0.05, .rate_bps = 10000000},
     {.delay_ns = 60 * MS,
      .loss = 0.01,
      .burst = {0.02, 0.4, 0.1, 1},
      .duplicate = 0.1,
      .corrupt = 0.05,
      .reorder = 0.05}},
    {{.delay_ns = 20 * MS, .loss = 0.02, .duplicate = 0.05, .corrupt = 0.1, .rate_bps = 20000000},
     {.delay_ns = 5 * MS, .burst = {0.05, 0.25, 0, 1}, .duplicate = 0.2, .rate_bps = 16000000}},
};

void measure_combined(struct report *r)
{
    report_table(
        "Combined",
        "All at once, both directions with different settings: loss first, of what passes a "
        "share is copied and corrupted, then it waits for the rate, then it travels.");
    for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++)
        report_measure(r, measure, settings[i]);
}
