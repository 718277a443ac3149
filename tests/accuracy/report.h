/* SPDX-License-Identifier: MIT */
/* The table of what was configured and what was measured, in Markdown. A row is a check. */
#ifndef QN_TESTS_ACCURACY_REPORT_H
#define QN_TESTS_ACCURACY_REPORT_H

#include "noise.h"
#include "runtime/fabric/fabric.h"
#include "statistics.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum verdict { PASSED, FAILED, NOT_JUDGED };

struct row;

struct report {
    bool full; /* the grid of the table that is kept; else what fits into every build */
    uint64_t seed;
    struct row *rows; /* of the measurement at hand */
    size_t n, room;
    unsigned counts[3]; /* of each verdict */
    unsigned attempt;   /* the present one, from 0 */
};

/* A short text, by value: text("%d", 1).s lasts until the end of the statement. */
struct text {
    char s[160];
};

__attribute__((format(printf, 1, 2))) struct text text(const char *format, ...);

/** Return: what @c does to frames, in words. */
struct text describe(const struct link_config *c);

/** Begin a table. @about says what its rows hold and what they are judged by. */
void report_table(const char *title, const char *about);

/** Add a row: a check of direction @dir (-1: of both) under @setting. */
void report_row(struct report *r, enum verdict v, struct text setting, int dir,
                struct text configured, struct text measured, struct text bound);

/** Add a row: @what happened to @hits of @n frames, and was to happen with probability @p. */
void report_share(struct report *r, struct text setting, int dir, const char *what, double p,
                  uint64_t hits, uint64_t n);

/** Add a row: @got is a number that must be @want. */
void report_exact(struct report *r, struct text setting, int dir, const char *what, uint64_t want,
                  uint64_t got);

/** As report_exact() with 0 wanted, but a row that agrees is left out: it goes without saying. */
void report_none(struct report *r, struct text setting, int dir, const char *what, uint64_t got);

/** Add a row: how @what is distributed over classes. */
void report_chi_square(struct report *r, struct text setting, int dir, const char *what,
                       const struct chi_square *c);

/** Add a row: a value that is to be @want, give or take @most, both of them in @unit. */
void report_near(struct report *r, struct text setting, int dir, const char *what, double want,
                 double got, double most, const char *unit);

/** As report_near(), but where the machine has @disturbed the measurement, a value that is not near
 * is not judged. */
void report_near_unless(struct report *r, bool disturbed, struct text setting, int dir,
                        const char *what, double want, double got, double most, const char *unit);

/** Add a row: of the @n errors of a delay that came out, in order of sending, in ns; sorts them.
 * That none is below 0, and that the least of each fifth of them is small, is always judged; the
 * others where the machine was idle. */
void report_errors(struct report *r, struct text setting, int dir, double *errors, size_t n,
                   const struct noise_level *noise);

/** Add a row: how the @n ascending values @x, of a delay in ns, are distributed, which is to be as
 * @f has it. @scale: how wide that is. A machine that makes them late may keep them from it; what
 * is farther than its noise explains is wrong. */
void report_distribution(struct report *r, struct text setting, int dir, const double *x, size_t n,
                         distribution f, const void *arg, double scale,
                         const struct noise_level *noise);

/* One measurement of both directions. Random choices are to follow from @seed. Return: whether it
 * is one, that is, the endpoints kept up with what came. */
typedef bool (*measurement)(struct report *r, uint64_t seed, const void *setting);

/** Make a measurement and print its rows. When one fails, it is made anew with another seed: of the
 * values that are right, one in a hundred is outside a bound of 99 %, but not twice. What depends
 * on the machine's noise gets the same second and third chance. */
void report_measure(struct report *r, measurement m, const void *setting);

/** Print the sum. Return: the program's exit status. */
int report_end(struct report *r);

#endif
