/* SPDX-License-Identifier: MIT */
#include "course.h"
#include "groups.h"
#include "runtime/clock.h"
#include "tally.h"
#include "wire.h"

#include <stdlib.h>
#include <string.h>

#define MS CLOCK_NS_PER_MS
#define FRAME 64
#define PART 200

static const struct train no_train;

/* Whether frames @from to @to less 1 came each @copies times, all of them with at least @least ns
 * and, if @most is not 0, less than @most. */
static uint64_t differing(const struct journal *j, uint32_t from, uint32_t to, unsigned copies,
                          int64_t least, int64_t most)
{
    struct tally t;
    uint64_t n = 0;
    tally_make(&t, j);
    int64_t *came = first_arrivals(j);
    for (uint32_t i = from; i < to; i++) {
        int64_t took = came[i] - j->sent[i];
        bool in_time = copies == 0 || (took >= least && (most == 0 || took < most));
        n += t.copies[i] != copies || !in_time;
    }
    free(came);
    tally_free(&t);
    return n;
}

/* A part of the train is sent, and all of it is on its way when the delay falls. */
static bool measure_delay_change(struct report *r, uint64_t seed, const void *setting)
{
    const struct link_config before[2] = {{.delay_ns = 400 * MS}, {.delay_ns = 20 * MS}};
    const struct link_config after[2] = {{.delay_ns = 20 * MS}, {.delay_ns = 400 * MS}};
    struct train train = {.count = PART, .len = FRAME, .gap_ns = MS / 10};
    struct train trains[2] = {train, train};
    struct wire w;
    (void)setting;
    wire_open(&w, seed, before);
    wire_send(&w, trains);
    wire_settle(&w);
    wire_set_both(&w, after);
    wire_send(&w, trains);
    bool kept_up = wire_finish(&w);
    for (int dir = 0; kept_up && dir < 2; dir++) {
        const struct journal *j = &w.journals[dir];
        struct text name =
            text("set from %s to %s", describe(&before[dir]).s, describe(&after[dir]).s);
        int64_t slow = 400 * MS;
        report_exact(r, name, dir, "frames on their way with another delay than the old", 0,
                     differing(j, 0, PART, 1, before[dir].delay_ns, dir ? slow : 0));
        report_exact(r, name, dir, "frames behind them with another than the new", 0,
                     differing(j, PART, 2 * PART, 1, after[dir].delay_ns, dir ? 0 : slow));
    }
    wire_close(&w);
    return kept_up;
}

/* Both directions, several options: before it none of them holds, after it all do. */
static bool measure_at_once(struct report *r, uint64_t seed, const void *setting)
{
    const struct link_config before[2] = {{.loss = 1}, {.delay_ns = 30 * MS, .duplicate = 1}};
    const struct link_config after[2] = {{.delay_ns = 30 * MS, .duplicate = 1}, {.loss = 1}};
    struct train train = {.count = PART, .len = FRAME, .gap_ns = MS / 10};
    struct train trains[2] = {train, train};
    struct wire w;
    (void)setting;
    wire_open(&w, seed, before);
    for (int i = 0; i < 4; i++) {
        wire_send(&w, trains);
        wire_settle(&w);
        wire_set_both(&w, i % 2 ? before : after);
    }
    bool kept_up = wire_finish(&w);
    for (int dir = 0; kept_up && dir < 2; dir++) {
        const struct journal *j = &w.journals[dir];
        uint64_t wrong = 0;
        for (uint32_t i = 0; i < 4; i++) {
            unsigned copies = (i % 2 == 0) == (dir == 0) ? 0 : 2;
            wrong += differing(j, i * PART, (i + 1) * PART, copies, 30 * MS, 0);
        }
        report_exact(r, text("set between loss 100 %% and delay 30 ms, duplicate 100 %%, 3 times"),
                     dir, "of 800 frames treated as neither", 0, wrong);
    }
    wire_close(&w);
    return kept_up;
}

/* What waits goes at the new rate. */
static bool measure_rate_change(struct report *r, uint64_t seed, const void *setting)
{
    const struct link_config slow = {.rate_bps = 50000}, fast = {.rate_bps = 4000000};
    const struct link_config before[2] = {slow, slow}, after[2] = {fast, slow};
    const struct train trains[2] = {{.count = PART, .len = 1000}, no_train};
    struct wire w;
    struct noise noise;
    (void)setting;
    noise_start(&noise);
    wire_open(&w, seed, before);
    wire_send(&w, trains);
    wire_settle(&w);
    double set = (double)clock_now();
    wire_set_both(&w, after);
    bool kept_up = wire_finish(&w);
    struct noise_level level = noise_stop(&noise);
    if (kept_up) {
        const struct journal *j = &w.journals[0];
        double gone = (set - (double)j->sent[0]) / (160 * MS); /* of the frame that is being sent */
        report_near_unless(r, !is_idle(&level), text("the same"), 0, "all are through after",
                           2 * (PART - gone), ((double)j->arrivals[j->arrived - 1].at - set) / MS,
                           20, " ms");
        double got = course_spacing(j->arrivals, j->arrived, 2e6) / MS;
        report_near(r, text("set from 0.05 to 4 Mbit/s while 200 frames of 1000 bytes wait"), 0,
                    "then each takes", 2, got, 0.02, " ms");
        report_none(r, text("the same"), 0, "frames missing", j->n - j->arrived);
    }
    wire_close(&w);
    return kept_up;
}

static int by_number(const void *a, const void *b)
{
    const struct arrival *x = a, *y = b;
    if (x->number != y->number)
        return x->number < y->number ? -1 : 1;
    return (x->flips > y->flips) - (x->flips < y->flips);
}

/* Return: how many arrivals differ: which frames came, how often, with which bit flipped. */
static uint64_t differences(const struct journal *a, const struct journal *b)
{
    size_t least = a->arrived < b->arrived ? a->arrived : b->arrived;
    uint64_t n = a->arrived + b->arrived - 2 * least;
    qsort(a->arrivals, a->arrived, sizeof(*a->arrivals), by_number);
    qsort(b->arrivals, b->arrived, sizeof(*b->arrivals), by_number);
    for (size_t i = 0; i < least; i++) {
        const struct arrival *x = &a->arrivals[i], *y = &b->arrivals[i];
        n += x->number != y->number || x->flips != y->flips || x->bit != y->bit;
    }
    return n;
}

#define FATES 4000

static const struct link_config fateful = {.delay_ns = 5 * MS,
                                           .jitter_ns = 2 * MS,
                                           .loss = 0.1,
                                           .burst = {0.05, 0.4, 0.2, 1},
                                           .duplicate = 0.1,
                                           .corrupt = 0.1,
                                           .reorder = 0.1};

static void report_many(struct report *r, int dir, const char *what, uint64_t n)
{
    report_row(r, n > FATES / 4 ? PASSED : FAILED, describe(&fateful), dir, text("%s: many", what),
               text("%llu", (unsigned long long)n), text("more than %d", FATES / 4));
}

/* The pace is not to matter: frames come at different paces from the second wire's ends. */
static bool measure_seed(struct report *r, uint64_t seed, const void *setting)
{
    const struct link_config cfg[2] = {fateful, fateful};
    struct train slow = {.count = FATES, .len = FRAME, .gap_ns = MS / 20};
    struct train quick = {.count = FATES, .len = FRAME, .gap_ns = MS / 50};
    const struct train slows[2] = {slow, slow}, mixed[2] = {quick, slow};
    struct wire same[2], other;
    (void)setting;
    bool kept_up = wire_run(&same[0], seed, cfg, slows);
    kept_up = wire_run(&same[1], seed, cfg, mixed) && kept_up;
    kept_up = wire_run(&other, seed + 1000, cfg, slows) && kept_up;
    for (int dir = 0; kept_up && dir < 2; dir++) {
        const struct journal *j = &same[0].journals[dir];
        report_exact(r, describe(&fateful), dir, "the same seed: of 4000 frames with another fate",
                     0, differences(j, &same[1].journals[dir]));
        report_many(r, dir, "another seed", differences(j, &other.journals[dir]));
    }
    if (kept_up)
        report_many(r, -1, "ab against ba",
                    differences(&same[0].journals[0], &same[0].journals[1]));
    for (int i = 0; i < 2; i++)
        wire_close(&same[i]);
    wire_close(&other);
    return kept_up;
}

void measure_change(struct report *r)
{
    report_table(
        "Change and chance",
        "`set` acts on the next frame, all at once, and leaves what travels alone. The seed "
        "and the frames decide their fates, not when they come.");
    report_measure(r, measure_delay_change, NULL);
    report_measure(r, measure_at_once, NULL);
    report_measure(r, measure_rate_change, NULL);
    report_measure(r, measure_seed, NULL);
}
