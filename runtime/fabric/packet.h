/* SPDX-License-Identifier: MIT */
/* Frames and packets. A frame is the bytes, shared by every copy of it that is on its way; a packet
 * is one such copy: where it stands and when it is due. Both come from a pool that never gives
 * memory back before it is freed, so that forwarding allocates nothing once it is warm. */
#ifndef QN_FABRIC_PACKET_H
#define QN_FABRIC_PACKET_H

#include "runtime/fabric/dqueue.h"
#include "runtime/fabric/fabric.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FRAME_SMALL_ROOM 236     /* with its header, four cache lines */
#define FRAME_STANDARD_ROOM 2028 /* an Ethernet frame of MTU 1500 and any tags */
#define FRAME_MAX FABRIC_FRAME_MAX

#define CACHE_LINE 64

struct frame {
    uint32_t refs;
    uint32_t visits; /* switches passed, over all copies */
    uint32_t len;
    uint32_t room;
    uint32_t flow; /* that it is counted with, its number plus 1; 0: none */
    uint8_t data[];
};

/* The node is first: a packet's deadline is its due time at whatever it is on its way to. */
struct packet {
    _Alignas(CACHE_LINE) struct dqueue_node node;
    struct frame *frame;
    int64_t entered;    /* when it came to the direction at hand; for captures */
    uint16_t hops;      /* switches this copy has passed */
    bool late_recorded; /* its lateness has been counted */
    uint8_t marks;      /* what the direction at hand has done to it */
};

enum packet_mark {
    PACKET_CORRUPTED = 1,
    PACKET_DUPLICATE = 2,
    PACKET_REORDERED = 4,
    PACKET_HELD = 8,
    PACKET_CHANGED = 16, /* its bytes, by a trigger */
    PACKET_DELAYED = 32  /* by a trigger's verdict */
};

struct pool_item {
    struct pool_item *next;
};

/* Zeroed memory is an empty pool without a limit. */
struct pool {
    struct pool_item *packets, *small, *standard; /* free, by kind */
    struct pool_item *slabs;
    uint64_t *alive; /* frames of each flow that there are */
    size_t alive_room;
    size_t bytes, limit; /* of memory taken; beyond the limit there is none; 0: no limit */
};

/** Return: a frame of at least @room bytes with one reference, @len and @visits 0; NULL: no memory.
 */
struct frame *frame_new(struct pool *p, size_t room);

/** Make it possible to count the frames of a flow. Return: 0 or -ENOMEM. */
int pool_admit_flow(struct pool *p, int flow);

/** Count @f with the frames of @flow until it is freed. */
void frame_count(struct pool *p, struct frame *f, int flow);

/** Drop one reference. */
void frame_free(struct pool *p, struct frame *f);

/** Return: a packet that owns the caller's reference to @f, or NULL (the reference is dropped). */
struct packet *packet_new(struct pool *p, struct frame *f);

/** Return: another packet of the same frame, as far on its way; NULL: no memory. */
struct packet *packet_clone(struct pool *p, const struct packet *pkt);

/** Give @pkt a frame that no other packet shares. Return: false when there is no memory. */
bool packet_own_frame(struct pool *p, struct packet *pkt);

void packet_free(struct pool *p, struct packet *pkt);

/** Free all memory; every frame and packet must have been freed. */
void pool_free(struct pool *p);

static inline struct packet *packet_of(struct dqueue_node *n)
{
    return (struct packet *)n;
}

static inline int64_t packet_due(const struct packet *pkt)
{
    return pkt->node.deadline;
}

/** Return: the bytes of memory that holding @pkt takes. */
static inline size_t packet_weight(const struct packet *pkt)
{
    return sizeof(*pkt) + sizeof(struct frame) + pkt->frame->room;
}

/* Packets in order of arrival. Zeroed memory is an empty list. */
struct packet_list {
    struct packet *head, *tail;
};

static inline void packet_list_push(struct packet_list *l, struct packet *pkt)
{
    pkt->node.next = NULL;
    if (l->head)
        l->tail->node.next = &pkt->node;
    else
        l->head = pkt;
    l->tail = pkt;
}

static inline struct packet *packet_next(const struct packet *pkt)
{
    return packet_of(pkt->node.next);
}

static inline struct packet *packet_list_pop(struct packet_list *l)
{
    struct packet *pkt = l->head;
    if (pkt)
        l->head = packet_next(pkt);
    return pkt;
}

#endif
