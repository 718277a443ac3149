/* SPDX-License-Identifier: MIT */
#include "report.h"

#include "endpoint.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What is wrong is so each time; a machine that others share has slow spells. */
#define ATTEMPTS 6
#define MEDIAN_NS 100e3
#define P99_NS 500e3
#define US 1e3
#define LATE_SHARE 0.01 /* that may be later than the tail of the noise */

struct row {
    enum verdict verdict;
    struct text setting, direction, configured, measured, bound;
};

static const char *const verdict_names[] = {
    [PASSED] = "yes",
    [FAILED] = "**no**",
    [NOT_JUDGED] = "not judged",
};

struct text text(const char *format, ...)
{
    struct text t;
    va_list args;
    va_start(args, format);
    vsnprintf(t.s, sizeof(t.s), format, args);
    va_end(args);
    return t;
}

/* Text that is added to: its length is kept, and what does not fit is left out. */
__attribute__((format(printf, 2, 3))) static void add(struct text *t, const char *format, ...)
{
    size_t len = strlen(t->s);
    va_list args;
    if (len > 0 && len + 2 < sizeof(t->s)) {
        memcpy(t->s + len, ", ", 3);
        len += 2;
    }
    va_start(args, format);
    vsnprintf(t->s + len, sizeof(t->s) - len, format, args);
    va_end(args);
}

static void describe_delay(struct text *t, const struct link_config *c)
{
    static const char *const names[] = {"uniform", "normal", "pareto", "samples"};
    if (c->delay_ns)
        add(t, "delay %g ms", (double)c->delay_ns / 1e6);
    if (c->jitter_ns)
        add(t, "jitter %g ms %s", (double)c->jitter_ns / 1e6, names[c->distribution]);
    else if (c->distribution == LINK_SAMPLES)
        add(t, "jitter from samples");
    if (c->correlation > 0)
        add(t, "correlation %g", c->correlation);
}

static void describe_chances(struct text *t, const struct link_config *c)
{
    const struct link_burst *b = &c->burst;
    if (c->loss > 0)
        add(t, "loss %g %%", c->loss * 100);
    if (b->p > 0)
        add(t, "burst p %g r %g h %g k %g", b->p, b->r, b->h, b->k);
    if (c->duplicate > 0)
        add(t, "duplicate %g %%", c->duplicate * 100);
    if (c->corrupt > 0)
        add(t, "corrupt %g %%", c->corrupt * 100);
    if (c->reorder > 0)
        add(t, "reorder %g %%", c->reorder * 100);
}

static void describe_rate(struct text *t, const struct link_config *c)
{
    static const char *const disciplines[] = {"fifo", "red", "codel"};
    if (c->rate_bps)
        add(t, "rate %g Mbit/s", (double)c->rate_bps / 1e6);
    if (c->trace)
        add(t, "trace");
    if (c->queue_packets)
        add(t, "queue %" PRIu32 " packets", c->queue_packets);
    if (c->queue_bytes)
        add(t, "queue %" PRIu64 " bytes", c->queue_bytes);
    if (c->discipline != LINK_FIFO)
        add(t, "%s", disciplines[c->discipline]);
    if (c->mtu)
        add(t, "mtu %" PRIu32, c->mtu);
}

struct text describe(const struct link_config *c)
{
    struct text t = {""};
    describe_delay(&t, c);
    describe_chances(&t, c);
    describe_rate(&t, c);
    return t.s[0] ? t : text("perfect");
}

void report_table(const char *title, const char *about)
{
    printf("\n### %s\n\n%s\n\n", title, about);
    printf("| setting | direction | configured | measured | bound or error | agrees |\n");
    printf("| --- | --- | --- | --- | --- | --- |\n");
}

static struct text direction_name(int dir)
{
    static const char *const names[] = {"both", "ab", "ba"};
    return text("%s", names[dir + 1]);
}

void report_row(struct report *r, enum verdict v, struct text setting, int dir,
                struct text configured, struct text measured, struct text bound)
{
    if (r->n == r->room) {
        r->room = r->room ? 2 * r->room : 16;
        r->rows = reallocarray(r->rows, r->room, sizeof(*r->rows));
        if (!r->rows)
            fail("report: memory");
    }
    r->rows[r->n++] = (struct row){v, setting, direction_name(dir), configured, measured, bound};
}

void report_share(struct report *r, struct text setting, int dir, const char *what, double p,
                  uint64_t hits, uint64_t n)
{
    struct interval i = binomial_interval(hits, n);
    report_row(
        r, p >= i.low && p <= i.high ? PASSED : FAILED, setting, dir,
        text("%s %.4g %%", what, p * 100),
        text("%.4g %% (%" PRIu64 " of %" PRIu64 ")", 100 * (double)hits / (double)n, hits, n),
        text("%.4g to %.4g %%", i.low * 100, i.high * 100));
}

void report_exact(struct report *r, struct text setting, int dir, const char *what, uint64_t want,
                  uint64_t got)
{
    report_row(r, want == got ? PASSED : FAILED, setting, dir, text("%s %" PRIu64, what, want),
               text("%" PRIu64, got), text("exact"));
}

void report_none(struct report *r, struct text setting, int dir, const char *what, uint64_t got)
{
    if (got > 0)
        report_exact(r, setting, dir, what, 0, got);
}

void report_near_unless(struct report *r, bool disturbed, struct text setting, int dir,
                        const char *what, double want, double got, double most, const char *unit)
{
    enum verdict v = fabs(got - want) <= most ? PASSED : disturbed ? NOT_JUDGED : FAILED;
    report_row(r, v, setting, dir, text("%s %.5g%s", what, want, unit), text("%.5g%s", got, unit),
               text("± %.3g%s", most, unit));
}

void report_near(struct report *r, struct text setting, int dir, const char *what, double want,
                 double got, double most, const char *unit)
{
    report_near_unless(r, false, setting, dir, what, want, got, most, unit);
}

void report_chi_square(struct report *r, struct text setting, int dir, const char *what,
                       const struct chi_square *c)
{
    report_row(r, c->p >= OUTSIDE ? PASSED : FAILED, setting, dir, text("%s", what),
               text("chi-square %.1f with %u degrees", c->value, c->freedom),
               text("p %.3f, at least %g", c->p, OUTSIDE));
}

#define PARTS 5
#define NOISE_TIMES 10 /* the noise's median */

/* Return: the largest of the parts' least errors. Some of many frames are in time on a busy machine
 * too. */
static double worst_least(const double *errors, size_t n)
{
    double worst = 0;
    for (size_t part = 0; part < PARTS; part++) {
        double least = HUGE_VAL;
        for (size_t i = n * part / PARTS; i < n * (part + 1) / PARTS; i++)
            least = fmin(least, errors[i]);
        worst = fmax(worst, least);
    }
    return worst;
}

void report_errors(struct report *r, struct text setting, int dir, double *errors, size_t n,
                   const struct noise_level *noise)
{
    double worst = n >= PARTS ? worst_least(errors, n) : HUGE_VAL;
    sort_values(errors, n);
    double least = n ? errors[0] : 0, median = n ? quantile(errors, n, 0.5) : 0;
    double p99 = n ? quantile(errors, n, 0.99) : 0;
    double most = MEDIAN_NS + NOISE_TIMES * noise->median;
    bool wrong = least < 0 || worst > most || median > most;
    bool exact = median <= MEDIAN_NS && p99 <= P99_NS;
    enum verdict v = wrong ? FAILED : exact ? PASSED : is_idle(noise) ? FAILED : NOT_JUDGED;
    report_row(r, v, setting, dir, text("never early, late by 100 us (median), 500 us (p99)"),
               text("%.0f to %.0f us at least, %.0f us, %.0f us of %zu", least / US, worst / US,
                    median / US, p99 / US, n),
               text("machine alone %.0f us, %.0f us; others %.0f %%", noise->median / US,
                    noise->tail / US, noise->others * 100));
}

static double larger(struct distance d)
{
    return fmax(d.above, d.below);
}

/* A tail of the noise that is long beside the distribution would explain everything. */
static enum verdict judge_distance(double plain, double explained, double bound, bool is_short)
{
    if (plain <= bound)
        return PASSED;
    if (explained > bound)
        return FAILED;
    return is_short ? PASSED : NOT_JUDGED;
}

void report_distribution(struct report *r, struct text setting, int dir, const double *x, size_t n,
                         distribution f, const void *arg, double scale,
                         const struct noise_level *noise)
{
    double late = noise->tail + MEDIAN_NS, bound = ks_critical(n);
    double plain = larger(ks_distance(x, n, f, arg, 0, 0));
    double explained = larger(ks_distance(x, n, f, arg, late, LATE_SHARE));
    report_row(
        r, judge_distance(plain, explained, bound, late < scale / 4), setting, dir,
        text("distribution"),
        text("KS distance %.4f of %zu, %.4f if up to %.0f us late", plain, n, explained, late / US),
        text("at most %.4f", bound));
}

static bool has_verdict(const struct report *r, enum verdict v)
{
    for (size_t i = 0; i < r->n; i++) {
        if (r->rows[i].verdict == v)
            return true;
    }
    return false;
}

static void print_row(FILE *to, const struct row *row, bool again)
{
    fprintf(to, "| %s | %s | %s | %s | %s | %s%s |\n", row->setting.s, row->direction.s,
            row->configured.s, row->measured.s, row->bound.s, verdict_names[row->verdict],
            again ? ", again" : "");
}

static void print_rows(struct report *r)
{
    for (size_t i = 0; i < r->n; i++) {
        r->counts[r->rows[i].verdict]++;
        print_row(stdout, &r->rows[i], r->attempt > 0);
    }
    fflush(stdout);
}

/* Say why a measurement is made anew. */
static void print_reasons(const struct report *r, bool is_one)
{
    if (!is_one)
        fprintf(stderr, "accuracy: the endpoints did not keep up; once more\n");
    for (size_t i = 0; i < r->n; i++) {
        if (r->rows[i].verdict == FAILED)
            print_row(stderr, &r->rows[i], r->attempt > 0);
    }
}

void report_measure(struct report *r, measurement m, const void *setting)
{
    for (r->attempt = 0; r->attempt < ATTEMPTS; r->attempt++) {
        r->n = 0;
        bool is_one = m(r, r->seed + r->attempt, setting);
        bool last = r->attempt == ATTEMPTS - 1;
        if (last && !is_one)
            report_row(r, NOT_JUDGED, text("a setting of this table"), -1,
                       text("endpoints keep up"), text("they did not"), text("-"));
        if (last ||
            (is_one && !has_verdict(r, FAILED) && !(r->full && has_verdict(r, NOT_JUDGED)))) {
            print_rows(r);
            return;
        }
        print_reasons(r, is_one);
    }
}

int report_end(struct report *r)
{
    printf("\n");
    if (r->counts[NOT_JUDGED])
        printf("%u not judged: the machine was not idle.\n", r->counts[NOT_JUDGED]);
    printf("%u passed, %u failed", r->counts[PASSED], r->counts[FAILED]);
    if (r->counts[NOT_JUDGED])
        printf(", %u skipped", r->counts[NOT_JUDGED]);
    printf("\n");
    free(r->rows);
    return r->counts[FAILED] != 0;
}
