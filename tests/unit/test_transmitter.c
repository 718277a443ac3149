/* SPDX-License-Identifier: MIT */
#include "check.h"
#include "runtime/fabric/chance.h"
#include "runtime/fabric/transmitter.h"

#define S INT64_C(1000000000)
#define LEN 1000
#define LIMIT 100

struct bench {
    struct pool pool;
    struct chance chance;
    struct transmitter t;
    struct link_config c;
};

/* Return: what became of a packet that comes at @at, after all that ended before. */
static enum link_fate offer(struct bench *b, int64_t at)
{
    struct frame *frame = frame_new(&b->pool, LEN);
    struct packet *pkt = packet_new(&b->pool, frame);
    int64_t ended;
    frame->len = LEN;
    for (struct packet *sent; (sent = transmitter_take(&b->t, &b->c, at, &ended));)
        packet_free(&b->pool, sent);
    enum link_fate fate = transmitter_offer(&b->t, &b->c, &b->chance, pkt, at);
    if (fate != LINK_DELIVERED)
        packet_free(&b->pool, pkt);
    return fate;
}

/* Fill the queue at one instant, while RED is off, then have RED see it full for long. */
static void overload(struct bench *b)
{
    b->c.discipline = LINK_FIFO;
    while (offer(b, 0) == LINK_DELIVERED)
        ;
    b->c.discipline = LINK_RED;
    for (int i = 0; i < 3000; i++)
        offer(b, 0);
    CHECK(b->t.red.average > 0.9 * LIMIT);
}

/* Return: how many packets, one a second from when the queue has emptied, are dropped until one
 * passes. */
static int dropped_until_one_passes(struct bench *b)
{
    int n = 0;
    chance_seed(&b->chance, 1, 0);
    overload(b);
    for (int64_t at = 9 * S; n < 1000 && offer(b, at) != LINK_DELIVERED; at += S)
        n++;
    return n;
}

static void finish(struct bench *b)
{
    for (struct packet *pkt; (pkt = transmitter_drain(&b->t));)
        packet_free(&b->pool, pkt);
    pool_free(&b->pool);
}

/* A second at 100 kbit/s is one of 25 packets of 500 bytes, by each of which the average falls by
 * 0.002 of it: 28 seconds are enough from the limit to a fourth of it. Without the time that passes
 * it would take 700 packets. */
static void red_forgets_while_the_queue_is_empty(void)
{
    struct bench b = {.c = {.rate_bps = 100000, .queue_packets = LIMIT}};
    CHECK(dropped_until_one_passes(&b) < 40);
    finish(&b);
}

/* An opportunity each 120 ms is 100 kbit/s. */
static void red_forgets_at_the_mean_rate_of_a_trace(void)
{
    const int64_t trace[] = {S * 3 / 25};
    struct link_series *series = link_series_new(trace, 1);
    struct bench b = {.c = {.trace = series, .queue_packets = LIMIT}};
    CHECK(dropped_until_one_passes(&b) < 40);
    finish(&b);
    link_series_unref(series);
}

static const struct check_test tests[] = {
    {"RED forgets while the queue is empty", red_forgets_while_the_queue_is_empty},
    {"RED forgets at the mean rate of a trace", red_forgets_at_the_mean_rate_of_a_trace},
};

CHECK_MAIN(tests)
