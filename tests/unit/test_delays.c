/* SPDX-License-Identifier: MIT */
#include "runtime/fabric/delays.h"
#include "tests/unit/check.h"

#include <stdbool.h>

#include <stdlib.h>

/* Return: whether @got is within a bucket's width, 1/128, of @want. */
static bool is_near(int64_t got, int64_t want)
{
    return llabs(got - want) <= want / 128 + 1;
}

static void nothing_is_zero(void)
{
    static struct delays d;
    CHECK_INT(delays_quantile(&d, 0.5), 0);
}

static void one_delay_is_all_quantiles(void)
{
    static struct delays d;
    delays_add(&d, 123456789);
    CHECK_INT(delays_quantile(&d, 0), 123456789);
    CHECK_INT(delays_quantile(&d, 0.5), 123456789);
    CHECK_INT(delays_quantile(&d, 1), 123456789);
    CHECK_INT(d.min, 123456789);
    CHECK_INT(d.max, 123456789);
}

/* Small ones have a bucket each, so that a quantile is one of them, of the rank or the next. */
static void quantiles_of_small_delays_are_exact(void)
{
    static struct delays d;
    for (int i = 1; i <= 100; i++)
        delays_add(&d, i);
    for (int percent = 0; percent < 100; percent++) {
        int64_t got = delays_quantile(&d, percent / 100.0);
        CHECK(got >= percent && got <= percent + 1);
    }
    CHECK_INT(delays_quantile(&d, 1), 100);
}

static void quantiles_are_close_at_every_size(void)
{
    static struct delays all[62];
    for (int bits = 1; bits < 62; bits++) {
        struct delays *d = &all[bits];
        int64_t unit = INT64_C(1) << bits;
        for (int i = 0; i < 1000; i++)
            delays_add(d, unit + unit / 1000 * i);
        CHECK(is_near(delays_quantile(d, 0.5), unit + unit / 1000 * 499));
        CHECK(is_near(delays_quantile(d, 0.99), unit + unit / 1000 * 989));
    }
}

static void extremes_are_kept(void)
{
    static struct delays d;
    delays_add(&d, -7);
    delays_add(&d, INT64_MAX);
    CHECK_INT(d.min, 0);
    CHECK_INT(d.max, INT64_MAX);
    CHECK_INT(delays_quantile(&d, 0.1), 0);
    CHECK_INT(delays_quantile(&d, 1), INT64_MAX);
}

static void joined_is_as_added_to_one(void)
{
    static struct delays one, other, all, none;
    for (int i = 0; i < 2000; i++) {
        int64_t delay = (int64_t)i * i * 977;
        delays_add(i % 3 ? &one : &other, delay);
        delays_add(&all, delay);
    }
    delays_join(&one, &other);
    delays_join(&one, &none);
    for (int percent = 0; percent <= 100; percent++)
        CHECK_INT(delays_quantile(&one, percent / 100.0), delays_quantile(&all, percent / 100.0));
    CHECK_INT(one.n, all.n);
    CHECK_INT(one.min, all.min);
    CHECK_INT(one.max, all.max);
    delays_join(&none, &all);
    CHECK_INT(none.min, 0);
    CHECK_INT(none.n, 2000);
}

static const struct check_test tests[] = {
    {"nothing is zero", nothing_is_zero},
    {"one delay is all quantiles", one_delay_is_all_quantiles},
    {"quantiles of small delays are exact", quantiles_of_small_delays_are_exact},
    {"quantiles are close at every size", quantiles_are_close_at_every_size},
    {"extremes are kept", extremes_are_kept},
    {"joined is as added to one", joined_is_as_added_to_one},
};

CHECK_MAIN(tests)
