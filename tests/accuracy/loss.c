/* SPDX-License-Identifier: MIT */
#include "burst.h"
#include "groups.h"
#include "tally.h"
#include "wire.h"

#define QUICK 20000
#define FULL 200000
#define FRAME 60
#define WINDOW 128

static void judge_share(struct report *r, const struct link_config *c, int dir,
                        const struct tally *t)
{
    struct burst_model m = burst_model(c);
    double n = t->frames;
    if (c->burst.p > 0)
        report_near(r, describe(c), dir, "lost", 100 * burst_share(&m),
                    100 * (double)t->missing / n, 100 * NORMAL_99 * burst_deviation(&m, n), " %");
    else
        report_share(r, describe(c), dir, "lost", c->loss, t->missing, t->frames);
}

static void judge_runs(struct report *r, const struct link_config *c, int dir,
                       const struct tally *t, bool lost)
{
    struct burst_model m = burst_model(c);
    uint64_t counts[RUN_CLASSES], runs = count_runs(t->copies, t->frames, lost, counts);
    double expected[RUN_CLASSES];
    burst_expect_runs(&m, lost, runs, expected);
    struct chi_square x = chi_square_test(counts, expected, RUN_CLASSES);
    if (x.freedom == 0)
        return;
    report_chi_square(r, describe(c), dir,
                      lost ? "lengths of runs of lost frames" : "lengths of runs between losses",
                      &x);
}

static void judge(struct report *r, const struct link_config *c, int dir, const struct journal *j)
{
    struct tally t;
    tally_make(&t, j);
    judge_share(r, c, dir, &t);
    judge_runs(r, c, dir, &t, true);
    judge_runs(r, c, dir, &t, false);
    tally_free(&t);
}

static bool measure(struct report *r, uint64_t seed, const void *setting)
{
    const struct link_config *cfg = setting;
    struct train train = {.count = r->full ? FULL : QUICK, .len = FRAME, .window = WINDOW};
    struct train trains[2] = {train, train};
    struct wire w;
    bool kept_up = wire_run(&w, seed, cfg, trains);
    for (int dir = 0; kept_up && dir < 2; dir++)
        judge(r, &cfg[dir], dir, &w.journals[dir]);
    wire_close(&w);
    return kept_up;
}

static const struct link_config settings[][2] = {
    {{.loss = 0.01}, {.loss = 0.1}},
    {{.burst = {0.01, 0.25, 0, 1}}, {.burst = {0.05, 0.5, 0.3, 0.99}}},
    {{.loss = 0.02, .burst = {0.02, 0.4, 0.1, 1}}, {.loss = 0.5}},
    /* from here on only in full */
    {{.loss = 0.001}, {.loss = 0.9}},
    {{.burst = {0.001, 0.05, 0, 1}}, {.burst = {0.2, 0.8, 0.5, 1}}},
    {{.burst = {0.3, 0.6, 0, 0.95}}, {.loss = 0.2, .burst = {0.1, 0.1, 0.6, 0.98}}},
};

#define QUICK_SETTINGS 3

void measure_loss(struct report *r)
{
    size_t n = r->full ? sizeof(settings) / sizeof(settings[0]) : QUICK_SETTINGS;
    report_table("Loss",
                 "Independent and Gilbert-Elliott loss. The share within its 99 % interval "
                 "(binomial; for bursts, with the chain's own variance); the lengths of runs "
                 "of lost and of passed frames by chi-square, at 1 %.");
    for (size_t i = 0; i < n; i++)
        report_measure(r, measure, settings[i]);
}
