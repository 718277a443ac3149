/* SPDX-License-Identifier: MIT */
/* What has come of a numbered stream of packets: which, how late, how evenly, and whether in time
 * to be played out. */
#ifndef QN_FABRIC_METER_H
#define QN_FABRIC_METER_H

#include "runtime/fabric/delays.h"

#include <stdbool.h>
#include <stdint.h>

#define METER_WINDOW 4096 /* numbers behind the newest whose packets are told from duplicates */
#define METER_RECENT 16   /* packets in each half of what the playout buffer looks back on */

/* Packets that were not there when they were to be played, in the order of their numbers. */
struct meter_gaps {
    uint64_t missed, bursts;
    bool open; /* the last one was missed */
};

/* Zeroed memory has heard nothing. */
struct meter {
    int64_t playout_ns; /* how far behind the least recent delay a packet is played; 0: it is not */
    uint64_t received, bytes, duplicates, reordered, late;
    struct delays delays;
    int64_t next;              /* one beyond the highest number that has come */
    int64_t first_at, last_at; /* the first and the last arrival */
    uint32_t first_len;        /* of the first packet */
    int64_t transit;           /* of the last packet */
    double jitter, jitter_sum; /* RFC 3550's J, and its sum over all packets from the second on */
    int64_t least[2];          /* delays, of the recent packets' newer and older half */
    double played_sum;         /* over all packets, of the delay they would be played with */
    struct meter_gaps gaps;    /* of the numbers that the window has left behind */
    uint64_t seen[METER_WINDOW / 64], played[METER_WINDOW / 64];
};

/** Take in the packet of number @seq, modulo 2^32, that took @delay and came at @at. Return: 0 or
 * -ENOMEM, as delays_add(). */
int meter_add(struct meter *m, uint32_t seq, int64_t delay, int64_t at, uint32_t len);

/** Return: what was missed up to the newest packet. */
struct meter_gaps meter_gaps(const struct meter *m);

/** Return: bit/s from the first arrival to the last, 0 when there are fewer than two. */
double meter_rate(const struct meter *m);

void meter_free(struct meter *m);

#endif
