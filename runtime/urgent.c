/* SPDX-License-Identifier: MIT */
#include "runtime/urgent.h"

#include <pthread.h>
#include <sched.h>
#include <sys/prctl.h>

/* The lowest: other real-time work goes first. */
#define PRIORITY 1

static bool has_processors_to_choose(void)
{
    cpu_set_t allowed;
    return sched_getaffinity(0, sizeof(allowed), &allowed) == 0 && CPU_COUNT(&allowed) > 1;
}

bool urgent_become(void)
{
    struct sched_param param = {.sched_priority = PRIORITY};
    prctl(PR_SET_TIMERSLACK, 1);
    return has_processors_to_choose() &&
           pthread_setschedparam(pthread_self(), SCHED_RR, &param) == 0;
}
