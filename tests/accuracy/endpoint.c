/* SPDX-License-Identifier: MIT */
#include "endpoint.h"

#include "runtime/clock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>

#define FRAME_ROOM 2048
#define WINDOW_PATIENCE_NS (5 * CLOCK_NS_PER_MS)
#define WINDOW_CHECK_NS (20 * CLOCK_NS_PER_US)

void fail(const char *what)
{
    fprintf(stderr, "accuracy: %s: %s\n", what, strerror(errno));
    exit(3);
}

static void *grown(void *old, size_t n, size_t size)
{
    void *p = reallocarray(old, n, size);
    if (!p)
        fail("memory");
    return p;
}

void journal_free(struct journal *j)
{
    free(j->sent);
    free(j->lens);
    free(j->arrivals);
}

void be_punctual(void)
{
    prctl(PR_SET_TIMERSLACK, 1);
}

void sleep_until(int64_t at)
{
    int64_t ns = clock_to_monotonic(at);
    struct timespec t = {ns / CLOCK_NS_PER_S, ns % CLOCK_NS_PER_S};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR) {
    }
}

void sleep_for(int64_t ns)
{
    sleep_until(clock_now() + ns);
}

/* The number is in the source address, which corruption leaves alone; what is behind the header is
 * the same in all frames. */
static void make_frame(uint8_t *frame, uint32_t number)
{
    memset(frame, 0, ENDPOINT_HEADER);
    frame[0] = frame[6] = 0x02;
    memcpy(frame + 8, &number, sizeof(number));
    for (size_t i = ENDPOINT_HEADER; i < FRAME_ROOM; i++)
        frame[i] = (uint8_t)(i * 151 + 7);
}

static void wait_for_receiver(const struct journal *j, uint32_t number, uint32_t window)
{
    int64_t patience = clock_now() + WINDOW_PATIENCE_NS;
    while (atomic_load(&j->progress) + window < number && clock_now() < patience)
        sleep_for(WINDOW_CHECK_NS);
}

static void send_frame(struct endpoint *e, uint8_t *frame, uint32_t number, uint32_t len)
{
    struct journal *j = e->out;
    memcpy(frame + 8, &number, sizeof(number));
    j->lens[number] = len;
    j->sent[number] = clock_now();
    if (send(e->fd, frame, len, 0) != (ssize_t)len)
        fail("send");
}

static void *sender_main(void *arg)
{
    struct endpoint *e = arg;
    struct train t = e->train;
    uint32_t first = e->out->n - t.count;
    uint8_t frame[FRAME_ROOM];
    be_punctual();
    make_frame(frame, 0);
    int64_t start = clock_now();
    for (uint32_t i = 0; i < t.count; i++) {
        int64_t due = start + (int64_t)i * t.gap_ns;
        if (t.gap_ns && due > clock_now())
            sleep_until(due);
        if (t.window)
            wait_for_receiver(e->out, first + i, t.window);
        send_frame(e, frame, first + i, t.len);
    }
    return NULL;
}

static uint32_t count_flips(const uint8_t *frame, const uint8_t *pattern, uint32_t len,
                            uint32_t *bit)
{
    uint32_t flips = 0;
    if (memcmp(frame + ENDPOINT_HEADER, pattern + ENDPOINT_HEADER, len - ENDPOINT_HEADER) == 0)
        return 0;
    for (uint32_t i = 0; i < (len - ENDPOINT_HEADER) * 8; i++) {
        uint32_t at = ENDPOINT_HEADER + i / 8;
        if ((frame[at] ^ pattern[at]) >> i % 8 & 1) {
            *bit = i;
            flips++;
        }
    }
    return flips;
}

static void note_arrival(struct journal *j, const struct arrival *a)
{
    if (j->arrived == j->arrivals_room) {
        j->arrivals_room = j->arrivals_room ? 2 * j->arrivals_room : 1024;
        j->arrivals = grown(j->arrivals, j->arrivals_room, sizeof(*j->arrivals));
    }
    j->arrivals[j->arrived++] = *a;
    if (a->number >= atomic_load(&j->progress))
        atomic_store(&j->progress, a->number + 1);
}

static void *receiver_main(void *arg)
{
    struct endpoint *e = arg;
    uint8_t frame[FRAME_ROOM], pattern[FRAME_ROOM];
    make_frame(pattern, 0);
    ssize_t len;
    while ((len = recv(e->fd, frame, sizeof(frame), 0)) >= ENDPOINT_HEADER) {
        struct arrival a = {.at = clock_now(), .len = (uint32_t)len};
        memcpy(&a.number, frame + 8, sizeof(a.number));
        a.flips = count_flips(frame, pattern, a.len, &a.bit);
        note_arrival(e->in, &a);
    }
    return NULL;
}

static void start_thread(pthread_t *thread, void *(*main)(void *), struct endpoint *e)
{
    errno = pthread_create(thread, NULL, main, e);
    if (errno)
        fail("thread");
}

void endpoint_start(struct endpoint *e, int fd, struct journal *out, struct journal *in)
{
    *e = (struct endpoint){.fd = fd, .out = out, .in = in};
    start_thread(&e->receiver, receiver_main, e);
}

void endpoint_send(struct endpoint *e, const struct train *t)
{
    struct journal *j = e->out;
    e->train = *t;
    j->n += t->count;
    if (j->n > j->room) {
        j->room = j->n;
        j->sent = grown(j->sent, j->room, sizeof(*j->sent));
        j->lens = grown(j->lens, j->room, sizeof(*j->lens));
    }
    start_thread(&e->sender, sender_main, e);
}

void endpoint_sent(struct endpoint *e)
{
    pthread_join(e->sender, NULL);
}

void endpoint_stop(struct endpoint *e)
{
    shutdown(e->fd, SHUT_RD);
    pthread_join(e->receiver, NULL);
}
