/* SPDX-License-Identifier: MIT */
#include "runtime/clock.h"

#include <time.h>

static int64_t start_monotonic;
static int64_t start_wall;

static int64_t read_clock(clockid_t id)
{
    struct timespec ts;
    clock_gettime(id, &ts);
    return ts.tv_sec * CLOCK_NS_PER_S + ts.tv_nsec;
}

void clock_start(void)
{
    start_monotonic = read_clock(CLOCK_MONOTONIC);
    start_wall = read_clock(CLOCK_REALTIME);
}

int64_t clock_now(void)
{
    return read_clock(CLOCK_MONOTONIC) - start_monotonic;
}

int64_t clock_to_monotonic(int64_t ns)
{
    return ns + start_monotonic;
}

int64_t clock_from_monotonic(int64_t ns)
{
    return ns - start_monotonic;
}

int64_t clock_wall_at_start(void)
{
    return start_wall;
}

int64_t clock_wall_now(void)
{
    return read_clock(CLOCK_REALTIME);
}
