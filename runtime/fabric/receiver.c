/* SPDX-License-Identifier: MIT */
#include "runtime/fabric/receiver.h"

#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#define OVERFLOW_ROOM (FRAME_MAX - FRAME_STANDARD_ROOM)

static bool equip(struct receiver *r, struct pool *pool, int i)
{
    r->frames[i] = frame_new(pool, FRAME_STANDARD_ROOM);
    if (!r->frames[i])
        return false;
    r->iov[i][0] = (struct iovec){r->frames[i]->data, FRAME_STANDARD_ROOM};
    r->iov[i][1] = (struct iovec){r->overflow + (size_t)i * OVERFLOW_ROOM, OVERFLOW_ROOM};
    r->msgs[i].msg_hdr.msg_iov = r->iov[i];
    r->msgs[i].msg_hdr.msg_iovlen = 2;
    return true;
}

struct receiver *receiver_new(struct pool *pool)
{
    struct receiver *r = calloc(1, sizeof(*r));
    if (!r)
        return NULL;
    r->overflow = malloc((size_t)RECEIVER_BATCH * OVERFLOW_ROOM);
    for (int i = 0; i < RECEIVER_BATCH; i++) {
        if (!r->overflow || !equip(r, pool, i)) {
            receiver_free(r, pool);
            return NULL;
        }
    }
    return r;
}

static int read_frames(struct receiver *r, unsigned ready, int fd)
{
    unsigned n = 0;
    for (; n < ready; n++) {
        ssize_t len = readv(fd, r->iov[n], 2);
        if (len <= 0)
            break;
        r->msgs[n].msg_len = (unsigned)len;
        r->msgs[n].msg_hdr.msg_flags = 0;
    }
    return (int)n;
}

int receiver_read(struct receiver *r, struct pool *pool, int fd, bool is_tap)
{
    unsigned ready = 0;
    while (ready < RECEIVER_BATCH && (r->frames[ready] || equip(r, pool, (int)ready)))
        ready++;
    if (is_tap)
        return read_frames(r, ready, fd);
    int n = recvmmsg(fd, r->msgs, ready, MSG_DONTWAIT, NULL);
    return n > 0 ? n : 0;
}

static struct frame *copy_in_parts(struct receiver *r, struct pool *pool, int i, uint32_t len)
{
    struct frame *f = frame_new(pool, len);
    if (!f)
        return NULL;
    uint32_t first = len < FRAME_STANDARD_ROOM ? len : FRAME_STANDARD_ROOM;
    memcpy(f->data, r->frames[i]->data, first);
    memcpy(f->data + first, r->iov[i][1].iov_base, len - first);
    return f;
}

/* A small frame is copied out, so that a crowd of them in flight takes little memory and cache. */
static struct frame *extract(struct receiver *r, struct pool *pool, int i, uint32_t len)
{
    if (len <= FRAME_SMALL_ROOM || len > FRAME_STANDARD_ROOM)
        return copy_in_parts(r, pool, i, len);
    struct frame *f = r->frames[i];
    r->frames[i] = NULL;
    return f;
}

struct frame *receiver_take(struct receiver *r, struct pool *pool, int i,
                            struct fabric_totals *totals)
{
    const struct mmsghdr *msg = &r->msgs[i];
    totals->received++;
    if (msg->msg_hdr.msg_flags & MSG_TRUNC) {
        totals->malformed++;
        return NULL;
    }
    struct frame *f = extract(r, pool, i, msg->msg_len);
    if (f)
        f->len = msg->msg_len;
    else
        totals->no_memory++;
    return f;
}

void receiver_free(struct receiver *r, struct pool *pool)
{
    for (int i = 0; i < RECEIVER_BATCH; i++) {
        if (r->frames[i])
            frame_free(pool, r->frames[i]);
    }
    free(r->overflow);
    free(r);
}
