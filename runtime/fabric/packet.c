/* SPDX-License-Identifier: MIT */
#include "runtime/fabric/packet.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SLAB_BYTES (256 * 1024)
#define SLAB_ALIGN 64

static_assert(offsetof(struct packet, node) == 0, "packet_of() is a cast");

static bool is_spent(const struct pool *p, size_t size)
{
    return p->limit && p->bytes + size > p->limit;
}

/* Cut a new slab into free items of @size bytes; its first bytes link it to the other slabs. */
static bool refill(struct pool *p, struct pool_item **list, size_t size)
{
    char *slab = is_spent(p, SLAB_BYTES) ? NULL : aligned_alloc(SLAB_ALIGN, SLAB_BYTES);
    if (!slab)
        return false;
    p->bytes += SLAB_BYTES;
    ((struct pool_item *)slab)->next = p->slabs;
    p->slabs = (struct pool_item *)slab;
    for (size_t at = SLAB_ALIGN; at + size <= SLAB_BYTES; at += size) {
        struct pool_item *item = (struct pool_item *)(slab + at);
        item->next = *list;
        *list = item;
    }
    return true;
}

static void *take(struct pool *p, struct pool_item **list, size_t size)
{
    if (!*list && !refill(p, list, size))
        return NULL;
    struct pool_item *item = *list;
    *list = item->next;
    return item;
}

static void give(struct pool_item **list, void *memory)
{
    struct pool_item *item = memory;
    item->next = *list;
    *list = item;
}

/* Of frames that have one: of small and of standard ones. */
static struct pool_item **frame_list(struct pool *p, size_t room)
{
    return room == FRAME_SMALL_ROOM ? &p->small : &p->standard;
}

static size_t room_class(size_t room)
{
    if (room <= FRAME_SMALL_ROOM)
        return FRAME_SMALL_ROOM;
    return room <= FRAME_STANDARD_ROOM ? FRAME_STANDARD_ROOM : room;
}

/* Frames too large for a list are rare, and come from the heap. */
static struct frame *large_new(struct pool *p, size_t size)
{
    struct frame *f = is_spent(p, size) ? NULL : malloc(size);
    if (f)
        p->bytes += size;
    return f;
}

struct frame *frame_new(struct pool *p, size_t room)
{
    room = room_class(room);
    size_t size = sizeof(struct frame) + room;
    struct frame *f =
        room <= FRAME_STANDARD_ROOM ? take(p, frame_list(p, room), size) : large_new(p, size);
    if (f)
        *f = (struct frame){.refs = 1, .room = (uint32_t)room};
    return f;
}

int pool_admit_flow(struct pool *p, int flow)
{
    size_t wanted = (size_t)flow + 1;
    if (wanted <= p->alive_room)
        return 0;
    size_t room = wanted > 2 * p->alive_room ? wanted : 2 * p->alive_room;
    uint64_t *alive = realloc(p->alive, room * sizeof(*alive));
    if (!alive)
        return -ENOMEM;
    memset(alive + p->alive_room, 0, (room - p->alive_room) * sizeof(*alive));
    p->alive = alive;
    p->alive_room = room;
    return 0;
}

void frame_count(struct pool *p, struct frame *f, int flow)
{
    f->flow = (uint32_t)flow + 1;
    p->alive[flow]++;
}

void frame_free(struct pool *p, struct frame *f)
{
    if (--f->refs > 0)
        return;
    if (f->flow)
        p->alive[f->flow - 1]--;
    if (f->room <= FRAME_STANDARD_ROOM) {
        give(frame_list(p, f->room), f);
    } else {
        p->bytes -= sizeof(*f) + f->room;
        free(f);
    }
}

struct packet *packet_new(struct pool *p, struct frame *f)
{
    struct packet *pkt = take(p, &p->packets, sizeof(*pkt));
    if (!pkt) {
        frame_free(p, f);
        return NULL;
    }
    pkt->frame = f;
    pkt->hops = 0;
    pkt->late_recorded = false;
    pkt->marks = 0;
    return pkt;
}

struct packet *packet_clone(struct pool *p, const struct packet *pkt)
{
    struct packet *copy = take(p, &p->packets, sizeof(*copy));
    if (!copy)
        return NULL;
    *copy = *pkt;
    copy->frame->refs++;
    return copy;
}

bool packet_own_frame(struct pool *p, struct packet *pkt)
{
    struct frame *shared = pkt->frame;
    if (shared->refs == 1)
        return true;
    struct frame *own = frame_new(p, shared->len);
    if (!own)
        return false;
    own->len = shared->len;
    own->visits = shared->visits;
    memcpy(own->data, shared->data, shared->len);
    if (shared->flow)
        frame_count(p, own, (int)shared->flow - 1);
    frame_free(p, shared);
    pkt->frame = own;
    return true;
}

void packet_free(struct pool *p, struct packet *pkt)
{
    frame_free(p, pkt->frame);
    give(&p->packets, pkt);
}

void pool_free(struct pool *p)
{
    while (p->slabs) {
        struct pool_item *slab = p->slabs;
        p->slabs = slab->next;
        free(slab);
    }
    free(p->alive);
    memset(p, 0, sizeof(*p));
}
