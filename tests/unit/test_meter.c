/* SPDX-License-Identifier: MIT */
/* What a flow makes of the packets that come: numbers beyond 32 bits, the window, RFC 3550's
 * jitter, percentiles, and the gaps that a playout buffer has. */
#include "runtime/fabric/meter.h"
#include "tests/unit/check.h"

#include <math.h>
#include <stdlib.h>

#define MS INT64_C(1000000)
#define LEN 100

static struct meter *meter_new(int64_t playout)
{
    struct meter *m = calloc(1, sizeof(*m));
    m->playout_ns = playout;
    return m;
}

static void end(struct meter *m)
{
    meter_free(m);
    free(m);
}

static void add(struct meter *m, uint32_t seq)
{
    CHECK_INT(meter_add(m, seq, MS, seq * MS, LEN), 0);
}

static void duplicates_are_not_received_twice(void)
{
    struct meter *m = meter_new(0);
    add(m, 0);
    add(m, 1);
    add(m, 1);
    add(m, 2);
    add(m, 0);
    CHECK_INT(m->received, 3);
    CHECK_INT(m->duplicates, 2);
    CHECK_INT(m->reordered, 0);
    CHECK_INT(m->bytes, 3 * LEN);
    end(m);
}

/* RFC 4737: a packet is reordered when a later one came before it. */
static void reordered_packets_are_counted_once(void)
{
    struct meter *m = meter_new(0);
    const uint32_t order[] = {3, 0, 5, 4, 6, 4, 1};
    for (unsigned i = 0; i < 7; i++)
        add(m, order[i]);
    CHECK_INT(m->reordered, 3);
    CHECK_INT(m->duplicates, 1);
    CHECK_INT(m->received, 6);
    end(m);
}

static void numbers_go_round(void)
{
    struct meter *m = meter_new(MS);
    for (uint32_t i = 0; i < 3; i++)
        add(m, UINT32_C(0x7ffffff0) * i);
    for (uint32_t i = 0; i < 63; i++)
        add(m, UINT32_MAX - 30 + i);
    CHECK_INT(m->next, (INT64_C(1) << 32) + 32);
    CHECK_INT(m->received, 66);
    CHECK_INT(m->reordered, 0);
    add(m, UINT32_MAX);
    add(m, 0);
    CHECK_INT(m->duplicates, 2);
    end(m);
}

static void window_ends(void)
{
    struct meter *m = meter_new(0);
    add(m, 0);
    add(m, 1);
    add(m, METER_WINDOW);
    add(m, 1); /* the last number that the window holds */
    CHECK_INT(m->duplicates, 1);
    add(m, METER_WINDOW + 100000);
    add(m, METER_WINDOW); /* long out of it */
    CHECK_INT(m->duplicates, 1);
    CHECK_INT(m->reordered, 1);
    add(m, METER_WINDOW + 100000);
    CHECK_INT(m->duplicates, 2);
    end(m);
}

static void numbers_before_the_first_are_ignored(void)
{
    struct meter *m = meter_new(0);
    add(m, 5);
    add(m, (uint32_t)-3);
    CHECK_INT(m->received, 1);
    end(m);
}

/* The definition of RFC 3550, over transit times that go up and down. */
static void jitter_is_that_of_rfc_3550(void)
{
    struct meter *m = meter_new(0);
    double j = 0, sum = 0;
    int64_t last = 0;
    for (uint32_t i = 0; i < 200; i++) {
        int64_t transit = (5 + i * i % 7) * MS;
        CHECK_INT(meter_add(m, i, transit, i * 20 * MS, LEN), 0);
        double d = fabs((double)(transit - last));
        if (i > 0) {
            j = i == 1 ? d : j + (d - j) / 16;
            sum += j;
        }
        last = transit;
    }
    CHECK(fabs(m->jitter - j) < 1);
    CHECK(fabs(m->jitter_sum - sum) < 100);
    end(m);
}

static void constant_delay_has_no_jitter(void)
{
    struct meter *m = meter_new(0);
    for (uint32_t i = 0; i < 20; i++)
        add(m, i);
    CHECK(m->jitter == 0);
    end(m);
}

static void rate_is_what_came_between_the_first_and_the_last(void)
{
    struct meter *m = meter_new(0);
    CHECK(meter_rate(m) == 0);
    add(m, 0);
    CHECK(meter_rate(m) == 0);
    for (uint32_t i = 1; i <= 10; i++)
        add(m, i);
    CHECK(fabs(meter_rate(m) - 8 * LEN / 0.001) < 1e-6);
    end(m);
}

static bool is_near(int64_t got, double want)
{
    return fabs((double)got - want) <= want / 2000 + 1;
}

static void quantiles_are_near(void)
{
    static struct delays d;
    CHECK_INT(delays_quantile(&d, 0.5), 0);
    for (int i = 1000; i >= 1; i--)
        CHECK_INT(delays_add(&d, i * INT64_C(1234567)), 0);
    CHECK(is_near(delays_quantile(&d, 0.5), 500 * 1234567.0));
    CHECK(is_near(delays_quantile(&d, 0.95), 950 * 1234567.0));
    CHECK(is_near(delays_quantile(&d, 0.99), 990 * 1234567.0));
    CHECK_INT(delays_quantile(&d, 0), 1234567);
    CHECK_INT(delays_quantile(&d, 1), 1234567000);
    delays_free(&d);
}

static void small_and_huge_delays(void)
{
    static struct delays d, sum;
    const int64_t values[] = {-5, 0, 1, 1023, 1024, 1025, INT64_MAX};
    for (unsigned i = 0; i < 7; i++)
        CHECK_INT(delays_add(&d, values[i]), 0);
    CHECK_INT(d.min, 0);
    CHECK_INT(delays_quantile(&d, 3.0 / 7), 1);
    CHECK_INT(delays_quantile(&d, 4.0 / 7), 1023);
    CHECK_INT(delays_quantile(&d, 6.0 / 7), 1025);
    CHECK_INT(delays_quantile(&d, 1), INT64_MAX);
    CHECK_INT(delays_join(&sum, &d), 0);
    CHECK_INT(delays_join(&sum, &d), 0);
    CHECK_INT(sum.n, 14);
    CHECK_INT(delays_quantile(&sum, 4.0 / 7), 1023);
    delays_free(&sum);
    delays_free(&d);
}

static void check_gaps(const struct meter *m, uint64_t missed, uint64_t bursts)
{
    struct meter_gaps g = meter_gaps(m);
    CHECK_INT(g.missed, missed);
    CHECK_INT(g.bursts, bursts);
}

static void gaps_are_counted_in_order_of_the_numbers(void)
{
    struct meter *m = meter_new(MS);
    check_gaps(m, 0, 0);
    add(m, 2); /* 0 and 1 are missing */
    check_gaps(m, 2, 1);
    add(m, 6); /* 3, 4 and 5 too */
    check_gaps(m, 5, 2);
    add(m, 4); /* which leaves two of one */
    check_gaps(m, 4, 3);
    add(m, 3);
    add(m, 5);
    check_gaps(m, 2, 1);
    end(m);
}

/* Every 10th and 11th number is missing, over many windows and the ends of their words. */
static void gaps_that_the_window_has_left(void)
{
    struct meter *m = meter_new(MS);
    uint32_t n = 5 * METER_WINDOW + 17, missed = 0, bursts = 0;
    for (uint32_t i = 0; i < n; i++) {
        bool lost = i % 67 == 10 || i % 67 == 11;
        missed += lost;
        bursts += i % 67 == 10;
        if (!lost)
            add(m, i);
    }
    check_gaps(m, missed, bursts);
    add(m, n + 3 * METER_WINDOW); /* n % 67 is not in a gap */
    check_gaps(m, missed + 3 * METER_WINDOW, bursts + 1);
    add(m, n + 3 * METER_WINDOW + 1);
    check_gaps(m, missed + 3 * METER_WINDOW, bursts + 1);
    end(m);
}

static void late_packets_are_missed(void)
{
    struct meter *m = meter_new(10 * MS);
    const int64_t delays[] = {20 * MS, 30 * MS, 30 * MS + 1, 15 * MS, 25 * MS + 1, 25 * MS};
    for (uint32_t i = 0; i < 6; i++)
        CHECK_INT(meter_add(m, i, delays[i], i * 20 * MS, LEN), 0);
    CHECK_INT(m->late, 2); /* after the least of 20 ms, then of 15 */
    CHECK_INT(m->received, 6);
    check_gaps(m, 2, 2);
    CHECK(fabs(m->played_sum - (3 * 30 + 3 * 25) * 1e6) < 1);
    end(m);
}

static void playout_follows_the_delay(void)
{
    struct meter *m = meter_new(10 * MS);
    for (uint32_t i = 0; i < 200; i++)
        CHECK_INT(meter_add(m, i, 20 * MS, i * 20 * MS, LEN), 0);
    for (uint32_t i = 200; i < 600; i++)
        CHECK_INT(meter_add(m, i, 100 * MS, i * 20 * MS, LEN), 0);
    CHECK(m->late >= METER_RECENT && m->late <= 2 * METER_RECENT);
    end(m);
}

static const struct check_test tests[] = {
    {"duplicates are not received twice", duplicates_are_not_received_twice},
    {"reordered packets are counted once", reordered_packets_are_counted_once},
    {"numbers go round", numbers_go_round},
    {"the window ends", window_ends},
    {"numbers before the first are ignored", numbers_before_the_first_are_ignored},
    {"jitter is that of RFC 3550", jitter_is_that_of_rfc_3550},
    {"constant delay has no jitter", constant_delay_has_no_jitter},
    {"rate is what came between the first and the last",
     rate_is_what_came_between_the_first_and_the_last},
    {"quantiles are near", quantiles_are_near},
    {"small and huge delays", small_and_huge_delays},
    {"gaps are counted in order of the numbers", gaps_are_counted_in_order_of_the_numbers},
    {"gaps that the window has left", gaps_that_the_window_has_left},
    {"late packets are missed", late_packets_are_missed},
    {"playout follows the delay", playout_follows_the_delay},
};

CHECK_MAIN(tests)
