/* SPDX-License-Identifier: MIT */
#include "runtime/fabric/command.h"

#include "runtime/fabric/engine.h"
#include "runtime/fabric/port.h"

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Lives on its caller's stack until it is done. */
struct command {
    command_fn *run;
    void *arg;
    int result;
    bool done;
    struct command *next;
};

int command_queue_init(struct command_queue *q)
{
    q->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (q->event_fd < 0)
        return -errno;
    pthread_mutex_init(&q->lock, NULL);
    pthread_cond_init(&q->done, NULL);
    q->first = NULL;
    q->end = &q->first;
    return 0;
}

void command_queue_destroy(struct command_queue *q)
{
    pthread_mutex_destroy(&q->lock);
    pthread_cond_destroy(&q->done);
    close(q->event_fd);
}

int command_call(struct command_queue *q, command_fn *run, void *arg)
{
    struct command c = {.run = run, .arg = arg};
    pthread_mutex_lock(&q->lock);
    *q->end = &c;
    q->end = &c.next;
    eventfd_write(q->event_fd, 1);
    while (!c.done)
        pthread_cond_wait(&q->done, &q->lock);
    pthread_mutex_unlock(&q->lock);
    return c.result;
}

static struct command *take_all(struct command_queue *q)
{
    eventfd_t count;
    pthread_mutex_lock(&q->lock);
    eventfd_read(q->event_fd, &count);
    struct command *first = q->first;
    q->first = NULL;
    q->end = &q->first;
    pthread_mutex_unlock(&q->lock);
    return first;
}

/* What a command lets go, as a verdict does, has gone when the call returns; and no port is left to
 * be flushed for another command to remove. */
void command_serve(struct command_queue *q, struct engine *e)
{
    for (struct command *c = take_all(q), *next; c; c = next) {
        next = c->next;
        c->result = c->run(e, c->arg);
        ports_flush(&e->plane);
        pthread_mutex_lock(&q->lock);
        c->done = true;
        pthread_cond_broadcast(&q->done);
        pthread_mutex_unlock(&q->lock);
    }
}
