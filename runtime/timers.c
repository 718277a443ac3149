/* SPDX-License-Identifier: MIT */
#include "runtime/timers.h"

#include "runtime/clock.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <unistd.h>

struct timers {
    int fd;
    uv_poll_t watch;
    struct timer **heap; /* heap[0] is unused: places count from 1 */
    size_t n, room;
    uint64_t next_seq;
    int64_t armed; /* the deadline that fd is set to; -1: none */
};

static bool before(const struct timer *a, const struct timer *b)
{
    return a->deadline != b->deadline ? a->deadline < b->deadline : a->seq < b->seq;
}

static void put(struct timers *timers, size_t place, struct timer *timer)
{
    timers->heap[place] = timer;
    timer->place = place;
}

static void sift_up(struct timers *timers, size_t place, struct timer *timer)
{
    for (; place > 1 && before(timer, timers->heap[place / 2]); place /= 2)
        put(timers, place, timers->heap[place / 2]);
    put(timers, place, timer);
}

static void sift_down(struct timers *timers, size_t place, struct timer *timer)
{
    for (size_t child; (child = place * 2) <= timers->n; place = child) {
        if (child < timers->n && before(timers->heap[child + 1], timers->heap[child]))
            child++;
        if (!before(timers->heap[child], timer))
            break;
        put(timers, place, timers->heap[child]);
    }
    put(timers, place, timer);
}

static void arm(struct timers *timers)
{
    int64_t first = timers->n ? timers->heap[1]->deadline : -1;
    struct itimerspec spec = {0};
    if (first == timers->armed)
        return;
    timers->armed = first;
    if (first >= 0) {
        int64_t at = clock_to_monotonic(first);
        spec.it_value.tv_sec = at / CLOCK_NS_PER_S;
        spec.it_value.tv_nsec = at % CLOCK_NS_PER_S;
    }
    timerfd_settime(timers->fd, TFD_TIMER_ABSTIME, &spec, NULL);
}

static void on_expired(uv_poll_t *watch, int status, int events)
{
    struct timers *timers = watch->data;
    uint64_t count, last = timers->next_seq;
    (void)status;
    (void)events;
    if (read(timers->fd, &count, sizeof(count)) < 0 && errno == EAGAIN)
        return;
    timers->armed = -1;
    int64_t now = clock_now();
    /* Those started from within are left for the next turn, or one that restarts itself would hold
     * the loop. */
    while (timers->n && timers->heap[1]->deadline <= now && timers->heap[1]->seq < last) {
        struct timer *timer = timers->heap[1];
        timer_stop(timers, timer);
        timer->fn(timer->arg);
    }
    timers->armed = -2; /* whatever was armed meanwhile: set it again */
    arm(timers);
}

int timers_open(struct timers **out, uv_loop_t *loop)
{
    struct timers *timers = calloc(1, sizeof(*timers));
    if (!timers)
        return -ENOMEM;
    timers->armed = -1;
    timers->fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    int err = timers->fd < 0 ? -errno : uv_poll_init(loop, &timers->watch, timers->fd);
    if (err) {
        free(timers);
        return err;
    }
    timers->watch.data = timers;
    uv_poll_start(&timers->watch, UV_READABLE, on_expired);
    *out = timers;
    return 0;
}

static void on_closed(uv_handle_t *handle)
{
    struct timers *timers = handle->data;
    close(timers->fd);
    free(timers->heap);
    free(timers);
}

void timers_close(struct timers *timers)
{
    if (timers)
        uv_close((uv_handle_t *)&timers->watch, on_closed);
}

int timer_start(struct timers *timers, struct timer *timer, int64_t deadline_ns)
{
    timer_stop(timers, timer);
    if (timers->n + 2 > timers->room) {
        size_t room = timers->room * 2 + 16;
        struct timer **heap = realloc(timers->heap, room * sizeof(*heap));
        if (!heap)
            return -ENOMEM;
        timers->heap = heap;
        timers->room = room;
    }
    timer->deadline = deadline_ns < 1 ? 1 : deadline_ns;
    timer->seq = timers->next_seq++;
    sift_up(timers, ++timers->n, timer);
    arm(timers);
    return 0;
}

void timer_stop(struct timers *timers, struct timer *timer)
{
    size_t place = timer->place;
    if (!place)
        return;
    timer->place = 0;
    struct timer *last = timers->heap[timers->n--];
    if (last != timer) {
        if (place > 1 && before(last, timers->heap[place / 2]))
            sift_up(timers, place, last);
        else
            sift_down(timers, place, last);
    }
    arm(timers);
}

size_t timers_running(const struct timers *timers)
{
    return timers->n;
}
