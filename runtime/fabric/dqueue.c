/* SPDX-License-Identifier: MIT */
#include "runtime/fabric/dqueue.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define HEAP_FIRST_ROOM 64

static bool before(const struct dqueue_node *a, const struct dqueue_node *b)
{
    if (a->deadline != b->deadline)
        return a->deadline < b->deadline;
    return a->seq < b->seq;
}

static void append(struct dqueue *q, struct dqueue_node *n)
{
    n->next = NULL;
    if (q->head)
        q->tail->next = n;
    else
        q->head = n;
    q->tail = n;
}

static int heap_grow(struct dqueue *q)
{
    size_t room = q->heap_room ? 2 * q->heap_room : HEAP_FIRST_ROOM;
    struct dqueue_node **heap = realloc(q->heap, room * sizeof(struct dqueue_node *));
    if (!heap)
        return -ENOMEM;
    q->heap = heap;
    q->heap_room = room;
    return 0;
}

static int heap_push(struct dqueue *q, struct dqueue_node *n)
{
    if (q->heap_len == q->heap_room && heap_grow(q) < 0)
        return -ENOMEM;
    size_t i = q->heap_len++;
    for (; i > 0 && before(n, q->heap[(i - 1) / 2]); i = (i - 1) / 2)
        q->heap[i] = q->heap[(i - 1) / 2];
    q->heap[i] = n;
    return 0;
}

static size_t smaller_child(const struct dqueue *q, size_t i)
{
    size_t child = 2 * i + 1;
    if (child + 1 < q->heap_len && before(q->heap[child + 1], q->heap[child]))
        child++;
    return child;
}

static struct dqueue_node *heap_pop(struct dqueue *q)
{
    struct dqueue_node *top = q->heap[0];
    struct dqueue_node *last = q->heap[--q->heap_len];
    size_t i = 0, child;
    while ((child = smaller_child(q, i)) < q->heap_len && before(q->heap[child], last)) {
        q->heap[i] = q->heap[child];
        i = child;
    }
    q->heap[i] = last;
    return top;
}

static bool heap_is_next(const struct dqueue *q)
{
    return q->heap_len > 0 && (!q->head || before(q->heap[0], q->head));
}

int dqueue_push(struct dqueue *q, struct dqueue_node *n, int64_t deadline)
{
    n->deadline = deadline;
    n->seq = q->next_seq;
    if (!q->head || deadline >= q->tail->deadline)
        append(q, n);
    else if (heap_push(q, n) < 0)
        return -ENOMEM;
    q->next_seq++;
    q->len++;
    return 0;
}

struct dqueue_node *dqueue_peek(const struct dqueue *q)
{
    return heap_is_next(q) ? q->heap[0] : q->head;
}

struct dqueue_node *dqueue_pop(struct dqueue *q)
{
    if (q->len == 0)
        return NULL;
    q->len--;
    if (heap_is_next(q))
        return heap_pop(q);
    struct dqueue_node *n = q->head;
    q->head = n->next;
    return n;
}

int64_t dqueue_next(const struct dqueue *q)
{
    const struct dqueue_node *n = dqueue_peek(q);
    return n ? n->deadline : DQUEUE_NEVER;
}

void dqueue_free(struct dqueue *q)
{
    free(q->heap);
    memset(q, 0, sizeof(*q));
}
