/* SPDX-License-Identifier: MIT */
/* Calls from other threads into the fabric's: each waits until it has been carried out. */
#ifndef QN_FABRIC_COMMAND_H
#define QN_FABRIC_COMMAND_H

#include <pthread.h>
#include <stdbool.h>

struct engine;

typedef int command_fn(struct engine *e, void *arg);

struct command;

struct command_queue {
    pthread_mutex_t lock;
    pthread_cond_t done;
    struct command *first, **end;
    int event_fd; /* readable while there are commands */
};

/** Return: 0 or negative errno. */
int command_queue_init(struct command_queue *q);

void command_queue_destroy(struct command_queue *q);

/** Have the fabric's thread call @run(engine, @arg), and wait. Return: what @run returned. */
int command_call(struct command_queue *q, command_fn *run, void *arg);

/** In the fabric's thread: carry out what has been asked. */
void command_serve(struct command_queue *q, struct engine *e);

#endif
