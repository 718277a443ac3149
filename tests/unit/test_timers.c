/* SPDX-License-Identifier: MIT */
#include "runtime/clock.h"
#include "runtime/timers.h"
#include "tests/unit/loop.h"

#include <stdlib.h>

#define MS CLOCK_NS_PER_MS
#define MANY 2000

/* A timer of a test, and the order in which they fired. */
struct entry {
    struct timer timer;
    int number;
};

static uv_loop_t loop;
static struct timers *timers;
static int fired[MANY], n_fired, n_wanted;
static bool all_fired;

static void on_fired(void *arg)
{
    struct entry *entry = arg;
    CHECK(clock_now() >= entry->timer.deadline);
    if (n_fired < MANY)
        fired[n_fired] = entry->number;
    all_fired = ++n_fired >= n_wanted;
}

static void open_timers(int wanted)
{
    n_fired = 0;
    n_wanted = wanted;
    all_fired = false;
    CHECK_INT(uv_loop_init(&loop), 0);
    CHECK_INT(timers_open(&timers, &loop), 0);
    CHECK_INT(timers_running(timers), 0);
}

static void close_timers(void)
{
    timers_close(timers);
    loop_close(&loop);
}

static void start(struct entry *entry, int number, int64_t deadline)
{
    entry->number = number;
    entry->timer.fn = on_fired;
    entry->timer.arg = entry;
    CHECK_INT(timer_start(timers, &entry->timer, deadline), 0);
}

static void by_deadline(void)
{
    struct entry e[5] = {0};
    static const int order[5] = {3, 0, 4, 1, 2};
    open_timers(5);
    int64_t now = clock_now();
    for (int i = 0; i < 5; i++)
        start(&e[i], order[i], now + order[i] * 2 * MS);
    CHECK_INT(timers_running(timers), 5);
    loop_until(&loop, &all_fired);
    for (int i = 0; i < 5; i++)
        CHECK_INT(fired[i], i);
    CHECK_INT(timers_running(timers), 0);
    close_timers();
}

static void equal_deadlines(void)
{
    struct entry e[50] = {0};
    open_timers(50);
    int64_t deadline = clock_now() + 5 * MS;
    for (int i = 0; i < 50; i++)
        start(&e[i], i, deadline);
    loop_until(&loop, &all_fired);
    for (int i = 0; i < 50; i++)
        CHECK_INT(fired[i], i);
    close_timers();
}

static void past_deadlines_fire(void)
{
    struct entry e[3] = {0};
    open_timers(3);
    start(&e[0], 2, clock_now());
    start(&e[1], 0, -5);
    start(&e[2], 1, 0);
    loop_until(&loop, &all_fired);
    for (int i = 0; i < 3; i++)
        CHECK_INT(fired[i], i);
    close_timers();
}

static void stopped_ones_do_not_fire(void)
{
    struct entry e[10] = {0};
    open_timers(5);
    int64_t now = clock_now();
    for (int i = 0; i < 10; i++)
        start(&e[i], i, now + (i + 1) * MS);
    for (int i = 0; i < 10; i += 2) {
        timer_stop(timers, &e[i].timer);
        timer_stop(timers, &e[i].timer);
    }
    loop_until(&loop, &all_fired);
    for (int i = 0; i < 5; i++)
        CHECK_INT(fired[i], 2 * i + 1);
    CHECK_INT(n_fired, 5);
    close_timers();
}

static void started_anew(void)
{
    struct entry e[2] = {0};
    open_timers(2);
    int64_t now = clock_now();
    start(&e[0], 0, now + 10000 * MS);
    start(&e[1], 1, now + 4 * MS);
    start(&e[0], 0, now + 2 * MS);
    CHECK_INT(timers_running(timers), 2);
    loop_until(&loop, &all_fired);
    CHECK_INT(fired[0], 0);
    CHECK_INT(fired[1], 1);
    close_timers();
}

static struct timer repeating;
static int repeats;
static bool repeated;

static void on_repeat(void *arg)
{
    (void)arg;
    repeated = ++repeats == 100;
    if (!repeated)
        timer_start(timers, &repeating, 0);
}

/* One that always starts itself anew, long due, leaves the loop its turns. */
static void restart_from_the_callback(void)
{
    struct entry other = {0};
    open_timers(1);
    repeats = 0;
    repeating = (struct timer){.fn = on_repeat};
    start(&other, 7, 0);
    timer_start(timers, &repeating, 0);
    uv_run(&loop, UV_RUN_ONCE);
    CHECK_INT(repeats, 1);
    CHECK_INT(n_fired, 1);
    loop_until(&loop, &repeated);
    CHECK_INT(repeats, 100);
    close_timers();
}

static struct entry victims[3];

static void on_stop_others(void *arg)
{
    (void)arg;
    timer_stop(timers, &victims[0].timer);
    timer_stop(timers, &victims[2].timer);
}

static void stop_from_a_callback(void)
{
    struct timer killer = {.fn = on_stop_others};
    open_timers(1);
    int64_t deadline = clock_now() + MS;
    timer_start(timers, &killer, deadline);
    for (int i = 0; i < 3; i++)
        start(&victims[i], i, deadline);
    loop_until(&loop, &all_fired);
    CHECK_INT(fired[0], 1);
    CHECK_INT(n_fired, 1);
    CHECK_INT(timers_running(timers), 0);
    close_timers();
}

static bool in_order(const struct entry *entries)
{
    for (int i = 1; i < n_fired; i++) {
        const struct timer *a = &entries[fired[i - 1]].timer, *b = &entries[fired[i]].timer;
        if (a->deadline > b->deadline || (a->deadline == b->deadline && a->seq > b->seq))
            return false;
    }
    return true;
}

static void many_random(void)
{
    static struct entry e[MANY];
    memset(e, 0, sizeof(e));
    open_timers(MANY);
    srand(1);
    int64_t base = clock_now();
    int left = MANY;
    for (int i = 0; i < MANY; i++)
        start(&e[i], i, base + rand() % 50 * MS / 10);
    for (int i = 0; i < MANY; i++) {
        int which = rand() % MANY;
        if (i % 2)
            start(&e[which], which, base + rand() % 50 * MS / 10);
        else if (e[which].timer.place && left--)
            timer_stop(timers, &e[which].timer);
    }
    n_wanted = (int)timers_running(timers);
    loop_until(&loop, &all_fired);
    CHECK_INT(n_fired, n_wanted);
    CHECK(in_order(e));
    close_timers();
}

static void closed_with_running_ones(void)
{
    struct entry e = {0};
    open_timers(1);
    start(&e, 0, clock_now() + 10000 * MS);
    close_timers();
    CHECK_INT(n_fired, 0);
}

static const struct check_test tests[] = {
    {"timers fire by deadline", by_deadline},
    {"equal deadlines fire in the order of their start", equal_deadlines},
    {"past deadlines fire, by age", past_deadlines_fire},
    {"a stopped timer does not fire", stopped_ones_do_not_fire},
    {"a start anew moves the deadline", started_anew},
    {"a restart from the callback leaves the loop its turns", restart_from_the_callback},
    {"a callback stops others that are due", stop_from_a_callback},
    {"many at random", many_random},
    {"closed while one runs", closed_with_running_ones},
};

int main(void)
{
    clock_start();
    loop_prepare();
    return check_run(tests, sizeof(tests) / sizeof(*tests));
}
