/* SPDX-License-Identifier: MIT */
/* What decides whether a measurement agrees with what was configured. All bounds are two-sided at
 * 99 %, unless an argument says otherwise. */
#ifndef QN_TESTS_ACCURACY_STATISTICS_H
#define QN_TESTS_ACCURACY_STATISTICS_H

#include <stddef.h>
#include <stdint.h>

#define OUTSIDE 0.01                 /* the share of true values that are outside by chance */
#define NORMAL_99 2.5758293035489004 /* of a normal variable, 99 % are no farther from the mean */

struct interval {
    double low, high;
};

/** Return: the regularised incomplete beta function I_x(@a, @b), to 1e-12; a, b > 0. */
double beta_inc(double a, double b, double x);

/** Return: the upper tail of the regularised incomplete gamma function Q(@a, @x); a > 0, x >= 0. */
double gamma_tail(double a, double x);

/** Return: the exact interval of the probability behind @hits of @n (C. Clopper, E. Pearson: The
 * Use of Confidence or Fiducial Limits Illustrated in the Case of the Binomial, 1934). */
struct interval binomial_interval(uint64_t hits, uint64_t n);

/** Return: the probability that chi-square with @freedom degrees is above @value. */
double chi_square_tail(double value, unsigned freedom);

/* Counts in classes against what is expected of them. */
struct chi_square {
    double value;
    unsigned freedom;
    double p; /* the probability of a worse value */
};

/** Compare @counts of @n classes with @expected, of the same sum; classes of which fewer than 5 are
 * expected join the next ones. */
struct chi_square chi_square_test(const uint64_t *counts, const double *expected, size_t n);

/* A distribution function; @arg is the caller's. */
typedef double (*distribution)(double x, const void *arg);

/* How far an empirical distribution function is above and below another. */
struct distance {
    double above, below;
};

/** Return: the distances of the ascending @x from @f, of which what is measured may be later by up
 * to @late (in all but a share of @excess): such lateness is no distance. */
struct distance ks_distance(const double *x, size_t n, distribution f, const void *arg, double late,
                            double excess);

/** Return: what the Kolmogorov-Smirnov distance of @n values exceeds by chance in OUTSIDE of all
 * cases (M. Stephens: EDF Statistics for Goodness of Fit and Some Comparisons, 1974). */
double ks_critical(size_t n);

/** Sort @x ascending. */
void sort_values(double *x, size_t n);

/** Return: quantile @q of the ascending @x, interpolated. n > 0. */
double quantile(const double *x, size_t n, double q);

/** Return: the correlation of each of @x with the one before it. */
double lag_correlation(const double *x, size_t n);

/** Put in place of each of @x its rank among them. */
void to_ranks(double *x, size_t n);

#endif
