/* SPDX-License-Identifier: MIT */
#include "runtime/bench/load.h"

#include "runtime/clock.h"
#include "runtime/thread.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define WAIT_MS 20 /* how soon a thread sees that it is to stop */

struct load {
    struct load_config config; /* its pointers lead to the three below */
    int *from, *to;
    uint8_t frame[LOAD_FRAME_MAX];
    pthread_t sender, receiver;
    int epoll_fd;
    atomic_bool stopping;
    _Atomic uint64_t sent, received;
};

static void fill_burst(const struct load *l, struct mmsghdr *msgs, struct iovec *iov)
{
    *iov = (struct iovec){(void *)l->frame, l->config.len};
    for (uint32_t i = 0; i < l->config.burst; i++)
        msgs[i] = (struct mmsghdr){.msg_hdr = {.msg_iov = iov, .msg_iovlen = 1}};
}

static void sleep_until(int64_t t)
{
    int64_t ns = clock_to_monotonic(t);
    struct timespec at = {ns / CLOCK_NS_PER_S, ns % CLOCK_NS_PER_S};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
}

/* A full socket makes it wait, at most WAIT_MS, which is what keeps the load no faster than the
 * path. */
static void *send_all(void *arg)
{
    struct load *l = arg;
    struct mmsghdr msgs[LOAD_BURST_MAX];
    struct iovec iov;
    double interval = l->config.rate ? 1e9 * l->config.burst / (double)l->config.rate : 0;
    double due = (double)clock_now();
    fill_burst(l, msgs, &iov);
    prctl(PR_SET_TIMERSLACK, 1);
    for (size_t i = 0; !atomic_load(&l->stopping); i = (i + 1) % l->config.n_from) {
        int n = sendmmsg(l->from[i], msgs, l->config.burst, 0);
        if (n > 0)
            atomic_fetch_add(&l->sent, (uint64_t)n);
        due += interval;
        if (interval > 0)
            sleep_until((int64_t)due);
    }
    return NULL;
}

static void drain(struct load *l, int fd, struct mmsghdr *msgs)
{
    int n = recvmmsg(fd, msgs, LOAD_BURST_MAX, MSG_DONTWAIT, NULL);
    if (n > 0)
        atomic_fetch_add(&l->received, (uint64_t)n);
}

static void *receive_all(void *arg)
{
    struct load *l = arg;
    struct mmsghdr msgs[LOAD_BURST_MAX];
    struct epoll_event events[LOAD_BURST_MAX];
    uint8_t data[LOAD_FRAME_MAX];
    struct iovec iov = {data, sizeof(data)};
    for (int i = 0; i < LOAD_BURST_MAX; i++)
        msgs[i] = (struct mmsghdr){.msg_hdr = {.msg_iov = &iov, .msg_iovlen = 1}};
    while (!atomic_load(&l->stopping)) {
        int n = epoll_wait(l->epoll_fd, events, LOAD_BURST_MAX, WAIT_MS);
        for (int i = 0; i < n; i++)
            drain(l, events[i].data.fd, msgs);
    }
    return NULL;
}

static int *copy(const int *fds, size_t n)
{
    int *to = malloc((n + 1) * sizeof(int));
    if (to)
        memcpy(to, fds, n * sizeof(int));
    return to;
}

static int watch(struct load *l)
{
    l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    for (size_t i = 0; i < l->config.n_to; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.fd = l->to[i]};
        if (epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, l->to[i], &event) < 0)
            return -errno;
    }
    return l->epoll_fd < 0 ? -errno : 0;
}

static int set_patience(struct load *l)
{
    struct timeval patience = {.tv_usec = WAIT_MS * 1000};
    for (size_t i = 0; i < l->config.n_from; i++) {
        if (setsockopt(l->from[i], SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) < 0)
            return -errno;
    }
    return 0;
}

static int prepare(struct load *l)
{
    if (!l->from || !l->to)
        return -ENOMEM;
    int err = set_patience(l);
    return err ? err : watch(l);
}

static void release(struct load *l)
{
    if (l->epoll_fd >= 0)
        close(l->epoll_fd);
    free(l->from);
    free(l->to);
    free(l);
}

static int start_threads(struct load *l)
{
    int err = thread_start(&l->receiver, receive_all, l);
    if (err)
        return err;
    err = thread_start(&l->sender, send_all, l);
    if (err) {
        atomic_store(&l->stopping, true);
        pthread_join(l->receiver, NULL);
    }
    return err;
}

int load_start(struct load **out, const struct load_config *c)
{
    if (!c->n_from || !c->len || c->len > LOAD_FRAME_MAX || !c->burst || c->burst > LOAD_BURST_MAX)
        return -EINVAL;
    struct load *l = calloc(1, sizeof(*l));
    if (!l)
        return -ENOMEM;
    l->config = *c;
    l->epoll_fd = -1;
    l->from = copy(c->from, c->n_from);
    l->to = copy(c->to, c->n_to);
    memcpy(l->frame, c->frame, c->len);
    int err = prepare(l);
    if (!err)
        err = start_threads(l);
    if (err) {
        release(l);
        return err;
    }
    *out = l;
    return 0;
}

uint64_t load_sent(const struct load *l)
{
    return atomic_load(&l->sent);
}

uint64_t load_received(const struct load *l)
{
    return atomic_load(&l->received);
}

void load_stop(struct load *l)
{
    if (!l)
        return;
    atomic_store(&l->stopping, true);
    pthread_join(l->sender, NULL);
    pthread_join(l->receiver, NULL);
    release(l);
}
