/* SPDX-License-Identifier: MIT */
/* What the fabric's thread tells the control thread: a bounded queue. */
#ifndef QN_FABRIC_EVENT_H
#define QN_FABRIC_EVENT_H

#include "runtime/fabric/fabric.h"

#include <pthread.h>

#define EVENT_QUEUE_BYTES (16U << 20)

struct event_queue {
    pthread_mutex_t lock;
    struct fabric_event *first, **end;
    size_t bytes;
    int event_fd; /* readable while there are events */
};

/** Return: 0 or negative errno. */
int event_queue_init(struct event_queue *q);

/** Free what was not taken. */
void event_queue_destroy(struct event_queue *q);

/** Queue a copy of @e with @e->len bytes of @data. Return: false when there is no room. */
bool event_push(struct event_queue *q, const struct fabric_event *e, const uint8_t *data);

/** Return: the oldest event, to be freed with free(), or NULL. */
struct fabric_event *event_take(struct event_queue *q);

#endif
