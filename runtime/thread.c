/* SPDX-License-Identifier: MIT */
#include "runtime/thread.h"

#include <signal.h>
#include <stddef.h>

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
