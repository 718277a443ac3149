/* SPDX-License-Identifier: MIT */
#include "runtime/fabric/event.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

int event_queue_init(struct event_queue *q)
{
    q->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (q->event_fd < 0)
        return -errno;
    pthread_mutex_init(&q->lock, NULL);
    q->first = NULL;
    q->end = &q->first;
    q->bytes = 0;
    return 0;
}

void event_queue_destroy(struct event_queue *q)
{
    for (struct fabric_event *e; (e = event_take(q));)
        free(e);
    pthread_mutex_destroy(&q->lock);
    close(q->event_fd);
}

static size_t weight(const struct fabric_event *e)
{
    return sizeof(*e) + e->len;
}

static struct fabric_event *copy(const struct fabric_event *e, const uint8_t *data)
{
    struct fabric_event *event = malloc(weight(e));
    if (!event)
        return NULL;
    *event = *e;
    event->next = NULL;
    if (e->len)
        memcpy(event->data, data, e->len);
    return event;
}

bool event_push(struct event_queue *q, const struct fabric_event *e, const uint8_t *data)
{
    pthread_mutex_lock(&q->lock);
    bool room = q->bytes + weight(e) <= EVENT_QUEUE_BYTES, was_empty = !q->first;
    struct fabric_event *event = room ? copy(e, data) : NULL;
    if (event) {
        *q->end = event;
        q->end = &event->next;
        q->bytes += weight(e);
    }
    pthread_mutex_unlock(&q->lock);
    if (event && was_empty)
        eventfd_write(q->event_fd, 1);
    return event != NULL;
}

struct fabric_event *event_take(struct event_queue *q)
{
    eventfd_t count;
    pthread_mutex_lock(&q->lock);
    struct fabric_event *e = q->first;
    if (e) {
        q->first = e->next;
        q->bytes -= weight(e);
    }
    if (!q->first) {
        q->end = &q->first;
        eventfd_read(q->event_fd, &count);
    }
    pthread_mutex_unlock(&q->lock);
    return e;
}
