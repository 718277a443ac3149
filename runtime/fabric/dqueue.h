/* SPDX-License-Identifier: MIT */
/* The deadline queue: nodes come out by deadline, and those of equal deadline in the order they
 * went in. Nodes are embedded in what they queue. A node whose deadline is no earlier than that of
 * the last one in order is appended to a list, in constant time; only those that overtake pay for
 * a heap. */
#ifndef QN_FABRIC_DQUEUE_H
#define QN_FABRIC_DQUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DQUEUE_NEVER INT64_MAX

struct dqueue_node {
    int64_t deadline;
    uint64_t seq;
    struct dqueue_node *next;
};

/* Zeroed memory is an empty queue. */
struct dqueue {
    struct dqueue_node *head, *tail; /* in order of (deadline, seq) */
    struct dqueue_node **heap;       /* those that had to overtake the tail when they came */
    size_t heap_len, heap_room;
    size_t len;
    uint64_t next_seq;
};

/** Queue @n until @deadline. Return: 0, or -ENOMEM and @n is not queued. */
int dqueue_push(struct dqueue *q, struct dqueue_node *n, int64_t deadline);

/** Return: the node that dqueue_pop() would give, or NULL when the queue is empty. */
struct dqueue_node *dqueue_peek(const struct dqueue *q);

/** Return: the node of the earliest deadline, taken out, or NULL when the queue is empty. */
struct dqueue_node *dqueue_pop(struct dqueue *q);

/** Return: whether a node of @deadline would come out before the last one in order. */
static inline bool dqueue_overtakes(const struct dqueue *q, int64_t deadline)
{
    return q->head && deadline < q->tail->deadline;
}

/** Return: the earliest deadline, or DQUEUE_NEVER when the queue is empty. */
int64_t dqueue_next(const struct dqueue *q);

/** Free the queue's own memory, not the nodes; the queue is empty afterwards. */
void dqueue_free(struct dqueue *q);

#endif
