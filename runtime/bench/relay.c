/* SPDX-License-Identifier: MIT */
#include "runtime/bench/relay.h"

#include "runtime/clock.h"
#include "runtime/thread.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BATCH 64
#define ROOM 2048
#define WAIT_MS 20

struct relay {
    int from, to;
    bool taps;
    pthread_t thread;
    atomic_bool stopping;
    uint8_t data[BATCH][ROOM];
};

static void forward_datagrams(struct relay *r, struct mmsghdr *msgs, struct iovec *iov)
{
    for (int i = 0; i < BATCH; i++)
        iov[i].iov_len = ROOM;
    int n = recvmmsg(r->from, msgs, BATCH, MSG_DONTWAIT, NULL);
    for (int i = 0; i < n; i++)
        iov[i].iov_len = msgs[i].msg_len;
    for (int done = 0; done < n;) {
        int sent = sendmmsg(r->to, msgs + done, (unsigned)(n - done), MSG_NOSIGNAL);
        if (sent < 0)
            return;
        done += sent;
    }
}

static void forward_frames(struct relay *r)
{
    for (int i = 0; i < BATCH; i++) {
        ssize_t n = read(r->from, r->data[0], ROOM);
        if (n <= 0 || write(r->to, r->data[0], (size_t)n) < 0)
            return;
    }
}

static void *forward(void *arg)
{
    struct relay *r = arg;
    thread_become_urgent(); /* as the fabric's thread */
    struct mmsghdr msgs[BATCH] = {0};
    struct iovec iov[BATCH];
    for (int i = 0; i < BATCH; i++) {
        iov[i] = (struct iovec){r->data[i], ROOM};
        msgs[i].msg_hdr = (struct msghdr){.msg_iov = &iov[i], .msg_iovlen = 1};
    }
    while (!atomic_load(&r->stopping)) {
        struct pollfd ready = {.fd = r->from, .events = POLLIN};
        if (poll(&ready, 1, WAIT_MS) < 1)
            continue;
        if (r->taps)
            forward_frames(r);
        else
            forward_datagrams(r, msgs, iov);
    }
    return NULL;
}

int relay_start(struct relay **out, int from, int to, bool taps)
{
    struct relay *r = calloc(1, sizeof(*r));
    if (!r)
        return -ENOMEM;
    struct timeval patience = {.tv_usec = WAIT_MS * 1000};
    if (!taps)
        setsockopt(to, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    *r = (struct relay){.from = from, .to = to, .taps = taps};
    int err = thread_start(&r->thread, forward, r);
    if (err)
        free(r);
    else
        *out = r;
    return err;
}

int64_t relay_cpu_ns(const struct relay *r)
{
    clockid_t clock;
    struct timespec t = {0};
    if (pthread_getcpuclockid(r->thread, &clock) == 0)
        clock_gettime(clock, &t);
    return t.tv_sec * CLOCK_NS_PER_S + t.tv_nsec;
}

void relay_stop(struct relay *r)
{
    if (!r)
        return;
    atomic_store(&r->stopping, true);
    pthread_join(r->thread, NULL);
    free(r);
}
