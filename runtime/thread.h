/* SPDX-License-Identifier: MIT */
#ifndef QN_RUNTIME_THREAD_H
#define QN_RUNTIME_THREAD_H

#include <pthread.h>

/** Start a thread in which all signals are blocked from its beginning: they are the control
 * thread's. Return: 0 or negative errno. */
int thread_start(pthread_t *out, void *(*fn)(void *arg), void *arg);

#endif
