/* SPDX-License-Identifier: MIT */
#include "course.h"
#include "groups.h"
#include "runtime/clock.h"
#include "wire.h"

#include <math.h>
#include <stdlib.h>

#define MS CLOCK_NS_PER_MS
#define GAP_NS (200 * CLOCK_NS_PER_US)
#define QUICK 2500
#define FULL 20000
#define FRAME 64
#define PLANE_STEP 0.2
#define PLANE 60 /* steps, beyond which the integral's rest is below 1e-9 */

/* The distributions of fabric.h, of jitter / J. */

static double uniform_below(double x)
{
    return x <= -1 ? 0 : x >= 1 ? 1 : (x + 1) / 2;
}

static double normal_below(double x)
{
    return erfc(-x * M_SQRT1_2) / 2;
}

/* Pareto of shape 3 and minimum 1 has mean 3/2 and variance 3/4. */
static double pareto_below(double x)
{
    double v = 1.5 + x * sqrt(0.75);
    return v <= 1 ? 0 : 1 - pow(v, -3);
}

/* Return: the Pareto variable, scaled likewise, that a standard normal one becomes. */
static double pareto_of(double z)
{
    return (pow(erfc(z * M_SQRT1_2) / 2, -1 / 3.0) - 1.5) / sqrt(0.75);
}

static double below(double ns, const void *arg)
{
    static double (*const all[])(double) = {uniform_below, normal_below, pareto_below};
    const struct link_config *c = arg;
    return ns < (double)-c->delay_ns ? 0 : all[c->distribution](ns / (double)c->jitter_ns);
}

/* The deviation of a first-order process' lag correlation is that of M. Bartlett, 1946. */
static double correlation_bound(double want, size_t n)
{
    return NORMAL_99 * sqrt((1 - want * want) / (double)n);
}

/* Return: the correlation of jitters of @below's distribution, Pareto's, of which the normal
 * variables that they are made of have correlation @rho: the integral of their product. */
static double pareto_correlation(double rho)
{
    double sum = 0, rest = sqrt(1 - rho * rho);
    for (int i = -PLANE; i <= PLANE; i++) {
        for (int k = -PLANE; k <= PLANE; k++) {
            double x = i * PLANE_STEP, y = k * PLANE_STEP;
            sum += exp(-(x * x + y * y) / 2) * pareto_of(x) * pareto_of(rho * x + rest * y);
        }
    }
    return sum * PLANE_STEP * PLANE_STEP / (2 * M_PI);
}

/* The sample's correlation says little of a variable whose fourth moment is infinite, as Pareto's
 * is; that of the ranks does. Return: what that is to be (K. Pearson, 1907). */
static double pareto_rank_correlation(double wanted)
{
    double low = 0, high = 1;
    for (int i = 0; i < 20; i++) {
        double rho = (low + high) / 2;
        if (pareto_correlation(rho) < wanted)
            low = rho;
        else
            high = rho;
    }
    return 6 / M_PI * asin(low / 2);
}

static void judge_correlation(struct report *r, const struct link_config *c, int dir, double *late,
                              size_t n, const struct noise_level *noise)
{
    double want = c->correlation;
    bool by_ranks = c->distribution == LINK_PARETO;
    if (by_ranks) {
        want = pareto_rank_correlation(want);
        to_ranks(late, n);
    }
    /* While it stands still, what came together goes together. */
    bool stood_still = noise->most > (double)c->jitter_ns / 4;
    report_near_unless(r, stood_still, describe(c), dir,
                       by_ranks ? "correlation of ranks" : "correlation", want,
                       lag_correlation(late, n), correlation_bound(want, n), "");
}

static void judge(struct report *r, const struct link_config *c, int dir, const struct journal *j,
                  const struct noise_level *noise)
{
    size_t n;
    double *late = course_errors(j, c, &n);
    report_none(r, describe(c), dir, "frames missing", j->n - n);
    if (c->correlation > 0) {
        judge_correlation(r, c, dir, late, n, noise);
    } else {
        sort_values(late, n);
        report_distribution(r, describe(c), dir, late, n, below, c, (double)c->jitter_ns, noise);
    }
    free(late);
}

static bool measure(struct report *r, uint64_t seed, const void *setting)
{
    const struct link_config *cfg = setting;
    struct train train = {.count = r->full ? FULL : QUICK, .len = FRAME, .gap_ns = GAP_NS};
    struct train trains[2] = {train, train};
    struct wire w;
    struct noise noise;
    noise_start(&noise);
    bool kept_up = wire_run(&w, seed, cfg, trains);
    struct noise_level level = noise_stop(&noise);
    for (int dir = 0; kept_up && dir < 2; dir++)
        judge(r, &cfg[dir], dir, &w.journals[dir], &level);
    wire_close(&w);
    return kept_up;
}

/* Each frame's delay is then known, so that errors are errors of a delay. */
static void judge_samples(struct report *r, const struct link_config *c, int dir,
                          const struct journal *j, const int64_t *samples, size_t period,
                          const struct noise_level *noise)
{
    size_t n;
    double *errors = course_errors(j, c, &n);
    for (size_t i = 0; i < n; i++)
        errors[i] -= (double)samples[i % period];
    report_none(r, describe(c), dir, "frames missing", j->n - n);
    report_errors(r, describe(c), dir, errors, n, noise);
    free(errors);
}

static bool measure_samples(struct report *r, uint64_t seed, const void *setting)
{
    static const int64_t samples[2][5] = {{0, 5 * MS, -3 * MS, 12 * MS, MS},
                                          {30 * MS, -10 * MS, 0, 0, 7 * MS}};
    struct link_config cfg[2] = {{.delay_ns = 10 * MS, .distribution = LINK_SAMPLES},
                                 {.delay_ns = 20 * MS, .distribution = LINK_SAMPLES}};
    struct train train = {.count = r->full ? 4000 : 400, .len = FRAME, .gap_ns = MS};
    struct train trains[2] = {train, train};
    struct wire w;
    struct noise noise;
    (void)setting;
    for (int dir = 0; dir < 2; dir++)
        cfg[dir].samples = link_series_new(samples[dir], 5);
    noise_start(&noise);
    bool kept_up = wire_run(&w, seed, cfg, trains);
    struct noise_level level = noise_stop(&noise);
    for (int dir = 0; dir < 2; dir++) {
        if (kept_up)
            judge_samples(r, &cfg[dir], dir, &w.journals[dir], samples[dir], 5, &level);
        link_series_unref(cfg[dir].samples);
    }
    wire_close(&w);
    return kept_up;
}

#define JITTER(d, j, shape, rho)                                                                   \
    {                                                                                              \
        .delay_ns = (d)*MS, .jitter_ns = (j)*MS, .distribution = (shape), .correlation = (rho)     \
    }

static const struct link_config settings[][2] = {
    {JITTER(80, 40, LINK_UNIFORM, 0), JITTER(120, 20, LINK_NORMAL, 0)},
    {JITTER(60, 30, LINK_PARETO, 0), JITTER(80, 40, LINK_UNIFORM, 0.5)},
    {JITTER(150, 25, LINK_NORMAL, 0.8), JITTER(60, 30, LINK_PARETO, 0.5)},
    /* from here on only in full */
    {JITTER(20, 5, LINK_UNIFORM, 0), JITTER(20, 4, LINK_NORMAL, 0)},
    {JITTER(10, 10, LINK_UNIFORM, 0), JITTER(20, 40, LINK_NORMAL, 0)},
    {JITTER(20, 5, LINK_PARETO, 0), JITTER(150, 25, LINK_NORMAL, 0.25)},
    {JITTER(80, 40, LINK_UNIFORM, 0.95), JITTER(60, 30, LINK_PARETO, 0.9)},
};

#define QUICK_SETTINGS 3

void measure_jitter(struct report *r)
{
    size_t n = r->full ? sizeof(settings) / sizeof(settings[0]) : QUICK_SETTINGS;
    report_table(
        "Jitter",
        "The distribution of what is added to the delay by Kolmogorov and Smirnov at 1 %, and "
        "once more without what being late can explain; the correlation of each frame's "
        "jitter with the one before it within its 99 % interval; samples frame by frame.");
    for (size_t i = 0; i < n; i++)
        report_measure(r, measure, settings[i]);
    report_measure(r, measure_samples, NULL);
}
