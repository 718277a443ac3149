/* SPDX-License-Identifier: MIT */
/* Reads frames from sockets in batches. Its buffers serve all ports in turn, and so stay in cache.
 */
#ifndef QN_FABRIC_RECEIVER_H
#define QN_FABRIC_RECEIVER_H

#include "runtime/fabric/fabric.h"
#include "runtime/fabric/packet.h"

#include <sys/socket.h>

#define RECEIVER_BATCH 64

/* Each message is read into a standard frame, and what does not fit into its slot's overflow. */
struct receiver {
    struct mmsghdr msgs[RECEIVER_BATCH];
    struct iovec iov[RECEIVER_BATCH][2];
    struct frame *frames[RECEIVER_BATCH];
    uint8_t *overflow;
};

/** Return: a receiver, or NULL: no memory. */
struct receiver *receiver_new(struct pool *pool);

/** Read at most RECEIVER_BATCH datagrams from @fd, or frames if it is a tap, without waiting.
 * Return: how many, to be taken before the next read; 0 when there are none or on error. */
int receiver_read(struct receiver *r, struct pool *pool, int fd, bool is_tap);

/** Take datagram @i of the last read, and count it.
 * Return: its frame, the caller's; NULL when it is too large or there is no memory. */
struct frame *receiver_take(struct receiver *r, struct pool *pool, int i,
                            struct fabric_totals *totals);

void receiver_free(struct receiver *r, struct pool *pool);

#endif
