/* SPDX-License-Identifier: MIT */
#include "statistics.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define STEPS 100000
#define SMALL 1e-300
#define PRECISE 1e-15
#define EXPECTED_LEAST 5

static double not_zero(double v)
{
    return fabs(v) < SMALL ? SMALL : v;
}

/* One step of W. Lentz's evaluation of a continued fraction, 1976: a/(b + what follows). */
struct fraction {
    double value, c, d;
};

static double fraction_step(struct fraction *f, double a, double b)
{
    f->d = 1 / not_zero(b + a * f->d);
    f->c = not_zero(b + a / f->c);
    f->value *= f->c * f->d;
    return fabs(f->c * f->d - 1);
}

/* The coefficients are those of DLMF 8.17.22. */
static double beta_fraction(double a, double b, double x)
{
    struct fraction f = {SMALL, SMALL, 0};
    fraction_step(&f, 1, 1);
    for (int m = 0; m < STEPS; m++) {
        double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
        double k = m + 1, even = k * (b - k) * x / ((a + 2 * k - 1) * (a + 2 * k));
        double change = fraction_step(&f, odd, 1);
        if (fmax(change, fraction_step(&f, even, 1)) < PRECISE)
            break;
    }
    return f.value;
}

double beta_inc(double a, double b, double x)
{
    if (x <= 0 || x >= 1)
        return x > 0;
    if (x > (a + 1) / (a + b + 2))
        return 1 - beta_inc(b, a, 1 - x);
    double scale = lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x);
    return exp(scale) / a * beta_fraction(a, b, x);
}

/* DLMF 8.7.1 */
static double gamma_series(double a, double x)
{
    double term = 1 / a, sum = term;
    for (int k = 1; k < STEPS && term > sum * PRECISE; k++) {
        term *= x / (a + k);
        sum += term;
    }
    return sum;
}

/* DLMF 8.9.2 */
static double gamma_fraction(double a, double x)
{
    struct fraction f = {SMALL, SMALL, 0};
    fraction_step(&f, 1, x + 1 - a);
    for (int k = 1; k < STEPS; k++) {
        if (fraction_step(&f, k * (a - k), x + 2 * k + 1 - a) < PRECISE)
            break;
    }
    return f.value;
}

double gamma_tail(double a, double x)
{
    if (x <= 0)
        return 1;
    double scale = exp(a * log(x) - x - lgamma(a));
    return x < a + 1 ? 1 - scale * gamma_series(a, x) : scale * gamma_fraction(a, x);
}

/* Return: the x at which I_x(a, b) is @p. */
static double beta_quantile(double a, double b, double p)
{
    double low = 0, high = 1;
    for (int i = 0; i < 60; i++) {
        double x = (low + high) / 2;
        if (beta_inc(a, b, x) < p)
            low = x;
        else
            high = x;
    }
    return (low + high) / 2;
}

struct interval binomial_interval(uint64_t hits, uint64_t n)
{
    double k = (double)hits, rest = (double)(n - hits);
    return (struct interval){
        hits == 0 ? 0 : beta_quantile(k, rest + 1, OUTSIDE / 2),
        hits == n ? 1 : beta_quantile(k + 1, rest, 1 - OUTSIDE / 2),
    };
}

double chi_square_tail(double value, unsigned freedom)
{
    return freedom ? gamma_tail(freedom / 2.0, value / 2) : 1;
}

/* Return: how many of the expected classes from @i on make one that is large enough; what would be
 * left behind them and is not belongs to it. */
static size_t join(const double *expected, size_t n, size_t i)
{
    double sum = 0, rest = 0;
    size_t taken = 0;
    while (i + taken < n && sum < EXPECTED_LEAST)
        sum += expected[i + taken++];
    for (size_t j = i + taken; j < n; j++)
        rest += expected[j];
    return rest < EXPECTED_LEAST ? n - i : taken;
}

struct chi_square chi_square_test(const uint64_t *counts, const double *expected, size_t n)
{
    struct chi_square c = {0};
    unsigned classes = 0;
    for (size_t i = 0, taken; i < n; i += taken, classes++) {
        double got = 0, want = 0;
        taken = join(expected, n, i);
        for (size_t j = i; j < i + taken; j++) {
            got += (double)counts[j];
            want += expected[j];
        }
        c.value += (got - want) * (got - want) / fmax(want, DBL_MIN);
    }
    c.freedom = classes ? classes - 1 : 0;
    c.p = chi_square_tail(c.value, c.freedom);
    return c;
}

struct distance ks_distance(const double *x, size_t n, distribution f, const void *arg, double late,
                            double excess)
{
    struct distance d = {0};
    for (size_t i = 0; i < n; i++) {
        double above = (double)(i + 1) / (double)n - f(x[i], arg);
        double below = f(x[i] - late, arg) - excess - (double)i / (double)n;
        d.above = fmax(d.above, above);
        d.below = fmax(d.below, below);
    }
    return d;
}

double ks_critical(size_t n)
{
    double root = sqrt((double)n);
    return sqrt(-log(OUTSIDE / 2) / 2) / (root + 0.12 + 0.11 / root);
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void sort_values(double *x, size_t n)
{
    qsort(x, n, sizeof(*x), compare);
}

double quantile(const double *x, size_t n, double q)
{
    double place = q * (double)(n - 1), whole = floor(place);
    size_t i = (size_t)whole;
    return i + 1 < n ? x[i] + (place - whole) * (x[i + 1] - x[i]) : x[n - 1];
}

static double mean_of(const double *x, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += x[i];
    return sum / (double)n;
}

double lag_correlation(const double *x, size_t n)
{
    double mean = mean_of(x, n), variance = 0, product = 0;
    for (size_t i = 0; i < n; i++) {
        variance += (x[i] - mean) * (x[i] - mean);
        if (i > 0)
            product += (x[i] - mean) * (x[i - 1] - mean);
    }
    return product / variance;
}

struct ranked {
    double value; /* first: compare() reads it */
    size_t place;
};

void to_ranks(double *x, size_t n)
{
    struct ranked *sorted = calloc(n, sizeof(*sorted));
    if (!sorted)
        abort();
    for (size_t i = 0; i < n; i++)
        sorted[i] = (struct ranked){x[i], i};
    qsort(sorted, n, sizeof(*sorted), compare);
    for (size_t i = 0; i < n; i++)
        x[sorted[i].place] = (double)i;
    free(sorted);
}
