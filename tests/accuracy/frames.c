/* SPDX-License-Identifier: MIT */
#include "groups.h"
#include "runtime/clock.h"
#include "tally.h"
#include "wire.h"

#include <stdlib.h>

#define QUICK 20000
#define FULL 200000
#define FRAME 64
#define BITS ((FRAME - ENDPOINT_HEADER) * 8)
#define WINDOW 128
#define GAP_NS (50 * CLOCK_NS_PER_US)

static void judge_flips(struct report *r, const struct link_config *c, int dir,
                        const struct journal *j)
{
    uint64_t counts[BITS] = {0}, n = 0;
    double expected[BITS];
    for (size_t i = 0; i < j->arrived; i++) {
        if (j->arrivals[i].flips == 1) {
            counts[j->arrivals[i].bit]++;
            n++;
        }
    }
    for (size_t i = 0; i < BITS; i++)
        expected[i] = (double)n / BITS;
    struct chi_square x = chi_square_test(counts, expected, BITS);
    report_chi_square(r, describe(c), dir, "which bit is flipped: all equally", &x);
}

/* What is not configured must not happen. */
static void judge_share(struct report *r, const struct link_config *c, int dir, const char *what,
                        double p, uint64_t hits, uint64_t n)
{
    if (p > 0)
        report_share(r, describe(c), dir, what, p, hits, n);
    else
        report_none(r, describe(c), dir, what, hits);
}

static void judge(struct report *r, const struct link_config *c, int dir, const struct journal *j)
{
    struct tally t;
    tally_make(&t, j);
    judge_share(r, c, dir, "twice", c->duplicate, t.twice, t.frames);
    judge_share(r, c, dir, "one bit flipped", c->corrupt, t.corrupt, t.frames);
    judge_share(r, c, dir, "overtaking", c->reorder, t.overtaking, t.frames - 1);
    report_none(r, describe(c), dir, "frames missing or damaged otherwise", t.missing + t.broken);
    if (c->corrupt > 0)
        judge_flips(r, c, dir, j);
    tally_free(&t);
}

static bool measure(struct report *r, uint64_t seed, const void *setting)
{
    const struct link_config *cfg = setting;
    struct train train = {.count = r->full ? FULL : QUICK, .len = FRAME, .window = WINDOW};
    /* A frame overtakes only if others still travel when it comes. */
    if (cfg[0].delay_ns)
        train = (struct train){.count = train.count, .len = FRAME, .gap_ns = GAP_NS};
    struct train trains[2] = {train, train};
    struct wire w;
    bool kept_up = wire_run(&w, seed, cfg, trains);
    for (int dir = 0; kept_up && dir < 2; dir++)
        judge(r, &cfg[dir], dir, &w.journals[dir]);
    wire_close(&w);
    return kept_up;
}

/* A frame may be 14 bytes larger than the mtu, and no more. */
static bool measure_mtu(struct report *r, uint64_t seed, const void *setting)
{
    const struct link_config *cfg = setting;
    struct train trains[2] = {
        {.count = 100, .len = cfg[0].mtu + ENDPOINT_HEADER, .window = WINDOW},
        {.count = 100, .len = cfg[1].mtu + ENDPOINT_HEADER + 1, .window = WINDOW},
    };
    struct wire w;
    bool kept_up = wire_run(&w, seed, cfg, trains);
    if (kept_up) {
        report_exact(r, describe(&cfg[0]), 0, "of 100 frames with as large a payload, passed", 100,
                     w.journals[0].arrived);
        report_exact(r, describe(&cfg[1]), 1, "of 100 with one byte more, passed", 0,
                     w.journals[1].arrived);
    }
    wire_close(&w);
    return kept_up;
}

#define DELAY (50 * CLOCK_NS_PER_MS)

static const struct link_config settings[][2] = {
    {{.duplicate = 0.01}, {.duplicate = 0.2}},
    {{.corrupt = 0.02}, {.corrupt = 0.3}},
    {{.delay_ns = DELAY, .reorder = 0.01}, {.delay_ns = 2 * DELAY, .reorder = 0.25}},
    /* from here on only in full */
    {{.duplicate = 0.001}, {.duplicate = 1}},
    {{.corrupt = 0.001}, {.corrupt = 1}},
    {{.delay_ns = DELAY, .reorder = 0.001}, {.delay_ns = DELAY, .reorder = 0.6}},
};

static const struct link_config mtus[][2] = {{{.mtu = 68}, {.mtu = 1000}},
                                             {{.mtu = 1500}, {.mtu = 576}}};

#define QUICK_SETTINGS 3

void measure_frames(struct report *r)
{
    size_t n = r->full ? sizeof(settings) / sizeof(settings[0]) : QUICK_SETTINGS;
    report_table(
        "Duplication, corruption, reordering, mtu",
        "Shares of all frames within the 99 % binomial interval (Clopper-Pearson). What is "
        "not configured must not happen.");
    for (size_t i = 0; i < n; i++)
        report_measure(r, measure, settings[i]);
    for (size_t i = 0; i < sizeof(mtus) / sizeof(mtus[0]); i++)
        report_measure(r, measure_mtu, mtus[i]);
}
