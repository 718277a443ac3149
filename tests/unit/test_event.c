/* SPDX-License-Identifier: MIT */
#include "runtime/fabric/event.h"
#include "tests/unit/check.h"

#include <poll.h>
#include <stdlib.h>

#define LEN 60000

static bool is_readable(const struct event_queue *q)
{
    struct pollfd p = {q->event_fd, POLLIN, 0};
    return poll(&p, 1, 0) == 1;
}

static bool push(struct event_queue *q, int trigger, const uint8_t *data, uint32_t len)
{
    struct fabric_event e = {.trigger = trigger, .len = len};
    return event_push(q, &e, data);
}

/* Return: the oldest's trigger, or -1. */
static int take(struct event_queue *q)
{
    struct fabric_event *e = event_take(q);
    int trigger = e ? e->trigger : -1;
    free(e);
    return trigger;
}

static void events_come_in_order(void)
{
    struct event_queue q;
    CHECK_INT(event_queue_init(&q), 0);
    CHECK_INT(take(&q), -1);
    CHECK(push(&q, 1, (const uint8_t *)"abc", 3));
    CHECK(push(&q, 2, NULL, 0));
    struct fabric_event *e = event_take(&q);
    CHECK_INT(e->trigger, 1);
    CHECK_INT(e->len, 3);
    CHECK(memcmp(e->data, "abc", 3) == 0);
    free(e);
    CHECK(push(&q, 3, NULL, 0));
    CHECK_INT(take(&q), 2);
    CHECK_INT(take(&q), 3);
    CHECK_INT(take(&q), -1);
    event_queue_destroy(&q);
}

static void descriptor_is_readable_while_there_are_events(void)
{
    struct event_queue q;
    CHECK_INT(event_queue_init(&q), 0);
    CHECK(!is_readable(&q));
    for (int round = 0; round < 3; round++) {
        push(&q, 1, NULL, 0);
        push(&q, 2, NULL, 0);
        CHECK(is_readable(&q));
        take(&q);
        CHECK(is_readable(&q));
        take(&q);
        CHECK(!is_readable(&q));
    }
    event_queue_destroy(&q);
}

static void queue_is_bounded(void)
{
    static const uint8_t data[LEN];
    struct event_queue q;
    CHECK_INT(event_queue_init(&q), 0);
    int n = 0;
    while (n < 10000 && push(&q, n, data, LEN))
        n++;
    CHECK(n >= (int)(EVENT_QUEUE_BYTES / (LEN + 1024)));
    CHECK(n <= (int)(EVENT_QUEUE_BYTES / LEN));
    CHECK(!push(&q, n, data, LEN));
    CHECK_INT(take(&q), 0);
    CHECK(push(&q, n, data, LEN));
    CHECK(!push(&q, n, data, LEN));
    event_queue_destroy(&q);
}

static const struct check_test tests[] = {
    {"events come in order", events_come_in_order},
    {"the descriptor is readable while there are events",
     descriptor_is_readable_while_there_are_events},
    {"the queue is bounded, and has room again", queue_is_bounded},
};

CHECK_MAIN(tests)
