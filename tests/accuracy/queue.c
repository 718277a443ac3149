/* SPDX-License-Identifier: MIT */
#include "course.h"
#include "groups.h"
#include "runtime/clock.h"
#include "tally.h"
#include "wire.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MS CLOCK_NS_PER_MS
#define STOPPED_BPS 500       /* so slow that nothing leaves a queue while frames are offered */
#define EMPTYING_BPS 50000000 /* and so fast that the endpoints can follow */

/* Send a train into queues that do not move, then let what they took come. */
static bool fill(struct wire *w, uint64_t seed, const struct link_config cfg[2],
                 const struct train trains[2])
{
    struct link_config emptying[2] = {cfg[0], cfg[1]};
    wire_open(w, seed, cfg);
    wire_send(w, trains);
    wire_settle(w);
    for (int i = 0; i < 2; i++) {
        emptying[i].rate_bps = EMPTYING_BPS;
        emptying[i].discipline = LINK_FIFO;
    }
    wire_set_both(w, emptying);
    return wire_finish(w);
}

/* Return: how many frames came up to the first that did not. */
static uint64_t unbroken(const struct journal *j)
{
    uint64_t n = 0;
    while (n < j->arrived && j->arrivals[n].number == n)
        n++;
    return n;
}

#define OFFERED 400
#define PACKETS 100
#define BYTES 20000
#define FRAME 314

/* One frame is being sent, and as many wait as the limit allows. */
static bool measure_fifo(struct report *r, uint64_t seed, const void *setting)
{
    struct link_config cfg[2] = {{.rate_bps = STOPPED_BPS, .queue_packets = PACKETS},
                                 {.rate_bps = STOPPED_BPS, .queue_bytes = BYTES}};
    struct train train = {.count = OFFERED, .len = FRAME};
    struct train trains[2] = {train, train};
    const uint64_t want[2] = {1 + PACKETS, 1 + BYTES / FRAME};
    struct wire w;
    (void)setting;
    bool kept_up = fill(&w, seed, cfg, trains);
    for (int dir = 0; kept_up && dir < 2; dir++) {
        struct text name = text("%s", dir == 0 ? "queue 100 packets" : "queue 20000 bytes");
        report_exact(r, name, dir, "of 400 frames of 314 bytes at once, the first", want[dir],
                     unbroken(&w.journals[dir]));
        report_none(r, name, dir, "others", w.journals[dir].arrived - want[dir]);
    }
    wire_close(&w);
    return kept_up;
}

#define RED_ROUNDS 400
#define RED_OFFERED 14000
#define RED_LIMIT 12000

/* The reference: figure 2 of Floyd and Jacobson's paper, for frames that are offered at once to a
 * queue that nothing leaves. Return: how many it drops before the average is at max; at *@taken how
 * many it takes. */
static double red_reference(const struct link_red *c, unsigned short random[3], double *taken)
{
    double average = 0, queue = 0, drops = 0;
    int count = -1;
    for (int i = 1; i < RED_OFFERED; i++) {
        average += c->weight * (queue - average);
        if (average >= c->max)
            break;
        count = average < c->min ? -1 : count + 1;
        double p = c->p * (average - c->min) / (c->max - c->min);
        if (count >= 0 && (count * p >= 1 || erand48(random) < p / (1 - count * p))) {
            count = 0;
            drops++;
        } else {
            queue++;
        }
    }
    *taken = queue + 1; /* the first is sent at once */
    return drops;
}

static void judge_red(struct report *r, const struct link_config *c, int dir,
                      const struct journal *j)
{
    double sum[2] = {0}, squares[2] = {0}, taken, last;
    unsigned short random[3] = {1, 2, 3};
    struct text setting =
        text("red min %g max %g p %g weight %g", c->red.min, c->red.max, c->red.p, c->red.weight);
    for (int i = 0; i < RED_ROUNDS; i++) {
        double drops = red_reference(&c->red, random, &taken);
        sum[0] += drops / RED_ROUNDS;
        squares[0] += drops * drops / RED_ROUNDS;
        sum[1] += taken / RED_ROUNDS;
        squares[1] += taken * taken / RED_ROUNDS;
    }
    last = j->arrivals[j->arrived - 1].number + 1;
    for (int i = 0; i < 2; i++) {
        double deviation = sqrt(fmax(squares[i] - sum[i] * sum[i], 0));
        report_near(r, setting, dir,
                    i == 0 ? "dropped before the average is at max" : "taken in all", sum[i],
                    i == 0 ? last - (double)j->arrived : (double)j->arrived,
                    NORMAL_99 * deviation + 0.5, "");
    }
}

static bool measure_red(struct report *r, uint64_t seed, const void *setting)
{
    const struct link_config *cfg = setting;
    struct train train = {.count = RED_OFFERED, .len = 64};
    struct train trains[2] = {train, train};
    struct wire w;
    bool kept_up = fill(&w, seed, cfg, trains);
    for (int dir = 0; kept_up && dir < 2; dir++)
        judge_red(r, &cfg[dir], dir, &w.journals[dir]);
    wire_close(&w);
    return kept_up;
}

#define RED(low, high, most, newest)                                                               \
    {                                                                                              \
        .rate_bps = STOPPED_BPS, .queue_packets = RED_LIMIT, .discipline = LINK_RED, .red = {      \
            .min = (low),                                                                          \
            .max = (high),                                                                         \
            .p = (most),                                                                           \
            .weight = (newest)                                                                     \
        }                                                                                          \
    }

static const struct link_config reds[][2] = {
    {RED(1000, 11000, 0.1, 1), RED(500, 8000, 0.3, 0.01)},
    /* from here on only in full */
    {RED(3000, 9000, 0.5, 1), RED(1000, 9000, 0.02, 0.002)},
};

/* A frame of a full length that takes a millisecond. */
#define CODEL_FRAME 1514
#define CODEL_BPS ((uint64_t)CODEL_FRAME * 8 * 1000)
#define CODEL_FRAMES 900
#define TARGET_MS 5.0

static double interval_ms(const struct link_config *c)
{
    int64_t ns = c->codel_interval_ns ? c->codel_interval_ns : LINK_CODEL_INTERVAL_DEFAULT_NS;
    return (double)ns / MS;
}

/* All frames come at once, and each that is sent takes a millisecond: so many milliseconds are
 * between two drops as frames that were not dropped. RFC 8289, 4.1: the first drop comes one
 * interval after the wait has been above target, the next ones at intervals over the square roots
 * of 1, 2, 3, ... */
static void judge_codel(struct report *r, const struct link_config *c, int dir,
                        const struct journal *j)
{
    struct tally t;
    double first = -1, last = 0, worst = 0;
    unsigned drops = 0;
    tally_make(&t, j);
    for (uint32_t i = 0; i < t.frames; i++) {
        if (t.copies[i] > 0)
            continue;
        double gap = i - last - 1;
        if (first < 0)
            first = i;
        else
            worst = fmax(worst, fabs(gap - interval_ms(c) / sqrt(drops)));
        last = i;
        drops++;
    }
    struct text setting = text("codel target 5 ms interval %g ms", interval_ms(c));
    report_near(r, setting, dir, "first drop after", TARGET_MS + interval_ms(c), first, 4, " ms");
    report_row(r, drops > 5 && worst <= 1.01 ? PASSED : FAILED, setting, dir,
               text("drops interval / sqrt(n) apart"),
               text("off by %.2f ms at most, of %u drops", worst, drops),
               text("1 ms: a frame's time"));
    tally_free(&t);
}

static bool measure_codel(struct report *r, uint64_t seed, const void *setting)
{
    struct link_config base = {
        .rate_bps = CODEL_BPS, .queue_packets = CODEL_FRAMES, .discipline = LINK_CODEL};
    struct link_config cfg[2] = {base, base};
    struct train train = {.count = CODEL_FRAMES, .len = CODEL_FRAME};
    struct train trains[2] = {train, train};
    struct wire w;
    (void)setting;
    cfg[1].codel_interval_ns = 50 * MS;
    bool kept_up = wire_run(&w, seed, cfg, trains);
    for (int dir = 0; kept_up && dir < 2; dir++)
        judge_codel(r, &cfg[dir], dir, &w.journals[dir]);
    wire_close(&w);
    return kept_up;
}

#define STANDING_MS 100

/* Return: the median wait of the later half of the frames that came, ms. */
static double standing_wait(const struct link_config *c, const struct journal *j)
{
    size_t n = 0, half = j->arrived / 2;
    double *waits = malloc((half + 1) * sizeof(*waits)),
           own = CODEL_FRAME * 8e9 / (double)c->rate_bps;
    if (!waits)
        fail("queue: memory");
    for (size_t i = j->arrived - half; i < j->arrived; i++) {
        const struct arrival *a = &j->arrivals[i];
        waits[n++] = ((double)(a->at - j->sent[a->number]) - own) / MS;
    }
    sort_values(waits, n);
    double median = quantile(waits, n, 0.5);
    free(waits);
    return median;
}

/* A tenth more than the rate comes, without end. A plain queue stands at its limit; CoDel's is to
 * stand at about the target. */
static bool measure_standing(struct report *r, uint64_t seed, const void *setting)
{
    struct link_config cfg[2] = {{.rate_bps = CODEL_BPS, .queue_packets = STANDING_MS},
                                 {.rate_bps = CODEL_BPS,
                                  .queue_packets = 1000,
                                  .discipline = LINK_CODEL,
                                  .codel_interval_ns = 20 * MS}};
    struct train train = {.count = r->full ? 11000 : 2750, .len = CODEL_FRAME, .gap_ns = MS / 1.1};
    struct train trains[2] = {train, train};
    struct wire w;
    struct noise noise;
    (void)setting;
    noise_start(&noise);
    bool kept_up = wire_run(&w, seed, cfg, trains);
    struct noise_level level = noise_stop(&noise);
    if (kept_up) {
        report_near_unless(r, !is_idle(&level), text("fifo of 100 ms, load 110 %%"), 0,
                           "median wait", STANDING_MS, standing_wait(&cfg[0], &w.journals[0]), 5,
                           " ms");
        report_near_unless(r, !is_idle(&level),
                           text("codel target 5 ms interval 20 ms, load 110 %%"), 1, "median wait",
                           TARGET_MS, standing_wait(&cfg[1], &w.journals[1]), TARGET_MS, " ms");
    }
    wire_close(&w);
    return kept_up;
}

void measure_queue(struct report *r)
{
    size_t n = r->full ? sizeof(reds) / sizeof(reds[0]) : 1;
    report_table(
        "Queues",
        "Limits to the frame. RED against the paper's algorithm, run 400 times, within 99 % "
        "of what it gives. CoDel against RFC 8289.");
    report_measure(r, measure_fifo, NULL);
    for (size_t i = 0; i < n; i++)
        report_measure(r, measure_red, reds[i]);
    report_measure(r, measure_codel, NULL);
    report_measure(r, measure_standing, NULL);
}
