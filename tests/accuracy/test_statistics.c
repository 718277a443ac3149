/* SPDX-License-Identifier: MIT */
/* The judges, judged by what is known of them: values from closed forms and printed tables. */
#include "statistics.h"

#include "tests/unit/check.h"

#include <math.h>
#include <stdbool.h>

static bool near(double got, double want, double most)
{
    if (fabs(got - want) <= most)
        return true;
    fprintf(stderr, "got %.12g, want %.12g\n", got, want);
    return false;
}

/* I_x(1, b) = 1 - (1 - x)^b, I_x(a, 1) = x^a, I_1/2(a, a) = 1/2. */
static void test_beta(void)
{
    CHECK(near(beta_inc(1, 7, 0.2), 1 - pow(0.8, 7), 1e-13));
    CHECK(near(beta_inc(2.5, 1, 0.9), pow(0.9, 2.5), 1e-13));
    CHECK(near(beta_inc(3000, 3000, 0.5), 0.5, 1e-10));
    CHECK(near(beta_inc(2, 3, 0), 0, 0));
    CHECK(near(beta_inc(2, 3, 1), 1, 0));
}

/* Against the sum that the binomial distribution is. */
static void test_binomial(void)
{
    struct interval i = binomial_interval(0, 20), all = binomial_interval(20, 20);
    CHECK(near(i.low, 0, 0));
    CHECK(near(i.high, 1 - pow(0.005, 1.0 / 20), 1e-9));
    CHECK(near(all.low, pow(0.005, 1.0 / 20), 1e-9));
    CHECK(near(all.high, 1, 0));
    i = binomial_interval(3, 10);
    double tail = 0;
    for (int k = 0; k <= 3; k++)
        tail += exp(lgamma(11) - lgamma(k + 1) - lgamma(11 - k)) * pow(i.high, k) *
                pow(1 - i.high, 10 - k);
    CHECK(near(tail, 0.005, 1e-9));
    i = binomial_interval(100000, 1000000);
    CHECK(near(i.low, 0.1 - 2.5758 * 3e-4, 1e-5));
    CHECK(near(i.high, 0.1 + 2.5758 * 3e-4, 1e-5));
}

/* Two degrees: exp(-x/2); one: erfc(sqrt(x/2)); ten, 1 %: 23.209. */
static void test_chi_square(void)
{
    CHECK(near(chi_square_tail(3, 2), exp(-1.5), 1e-13));
    CHECK(near(chi_square_tail(0.3, 1), erfc(sqrt(0.15)), 1e-13));
    CHECK(near(chi_square_tail(9, 1), erfc(sqrt(4.5)), 1e-13));
    CHECK(near(chi_square_tail(23.209, 10), 0.01, 1e-6));
    CHECK(near(chi_square_tail(1, 0), 1, 0));
    const uint64_t counts[] = {10, 20, 30, 1, 2};
    const double expected[] = {20, 20, 20, 2, 1};
    struct chi_square c = chi_square_test(counts, expected, 5);
    /* The last two are too small and join the third. */
    CHECK_INT(c.freedom, 2);
    CHECK(near(c.value, 5 + 0 + 100.0 / 23, 1e-12));
}

static double uniform(double x, const void *arg)
{
    (void)arg;
    return fmin(fmax(x, 0), 1);
}

/* K. Smirnov's table, as corrected by Stephens: 100 values, 1 %: 0.1608. */
static void test_distance(void)
{
    double x[100];
    for (int i = 0; i < 100; i++)
        x[i] = (i + 0.5) / 100;
    struct distance d = ks_distance(x, 100, uniform, NULL, 0, 0);
    CHECK(near(fmax(d.above, d.below), 0.005, 1e-12));
    for (int i = 0; i < 100; i++)
        x[i] += 0.1;
    d = ks_distance(x, 100, uniform, NULL, 0, 0);
    CHECK(near(d.below, 0.105, 1e-12));
    CHECK(near(ks_distance(x, 100, uniform, NULL, 0.1, 0).below, 0.005, 1e-12));
    CHECK(near(ks_critical(100), 0.1608, 2e-4));
}

static void test_order(void)
{
    double x[] = {5, 1, 4, 2, 3};
    to_ranks(x, 5);
    CHECK(near(x[0], 4, 0));
    CHECK(near(x[4], 2, 0));
    sort_values(x, 5);
    CHECK(near(quantile(x, 5, 0.5), 2, 0));
    CHECK(near(quantile(x, 5, 0.99), 3.96, 1e-12));
    CHECK(near(quantile(x, 5, 1), 4, 0));
    const double alternating[] = {1, -1, 1, -1};
    CHECK(near(lag_correlation(alternating, 4), -0.75, 1e-12));
}

static const struct check_test tests[] = {
    {"the incomplete beta function", test_beta},
    {"the binomial interval", test_binomial},
    {"chi-square", test_chi_square},
    {"the Kolmogorov-Smirnov distance", test_distance},
    {"quantiles, ranks, correlation", test_order},
};

CHECK_MAIN(tests)
