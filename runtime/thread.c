/* SPDX-License-Identifier: MIT */
#include "runtime/thread.h"

#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>

/* A thread inherits the signal mask of the one that starts it. */
int thread_start(pthread_t *out, void *(*fn)(void *arg), void *arg)
{
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &old);
    int err = pthread_create(out, NULL, fn, arg);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return -err;
}

/* The lowest: other real-time work goes first. */
#define PRIORITY 1

static bool has_processors_to_choose(void)
{
    cpu_set_t allowed;
    return sched_getaffinity(0, sizeof(allowed), &allowed) == 0 && CPU_COUNT(&allowed) > 1;
}

bool thread_become_urgent(void)
{
    struct sched_param param = {.sched_priority = PRIORITY};
    prctl(PR_SET_TIMERSLACK, 1);
    return has_processors_to_choose() &&
           sched_setscheduler(0, SCHED_RR | SCHED_RESET_ON_FORK, &param) == 0;
}

void thread_become_ordinary(void)
{
    sched_setscheduler(0, SCHED_OTHER | SCHED_RESET_ON_FORK, &(struct sched_param){0});
}
