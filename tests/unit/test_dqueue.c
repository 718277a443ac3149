/* SPDX-License-Identifier: MIT */
#include "runtime/fabric/dqueue.h"
#include "tests/unit/check.h"

#include <stdbool.h>
#include <stdlib.h>

static void empty_queue(void)
{
    struct dqueue q = {0};
    CHECK(dqueue_peek(&q) == NULL);
    CHECK(dqueue_pop(&q) == NULL);
    CHECK(dqueue_next(&q) == DQUEUE_NEVER);
    dqueue_free(&q);
}

static void in_order(void)
{
    struct dqueue q = {0};
    struct dqueue_node n[100];
    for (int i = 0; i < 100; i++)
        CHECK_INT(dqueue_push(&q, &n[i], i / 3), 0);
    CHECK_INT(q.heap_len, 0);
    CHECK_INT(q.len, 100);
    for (int i = 0; i < 100; i++)
        CHECK(dqueue_pop(&q) == &n[i]);
    CHECK_INT(q.len, 0);
    dqueue_free(&q);
}

static void reversed(void)
{
    struct dqueue q = {0};
    struct dqueue_node n[100];
    for (int i = 0; i < 100; i++)
        CHECK_INT(dqueue_push(&q, &n[i], 100 - i), 0);
    for (int i = 0; i < 100; i++) {
        CHECK_INT(dqueue_next(&q), i + 1);
        CHECK(dqueue_pop(&q) == &n[99 - i]);
    }
    dqueue_free(&q);
}

static void equal_deadlines_keep_their_order(void)
{
    struct dqueue q = {0};
    struct dqueue_node last, n[10];
    dqueue_push(&q, &last, 50);
    for (int i = 0; i < 10; i++)
        dqueue_push(&q, &n[i], i < 5 ? 40 : 50);
    for (int i = 0; i < 5; i++)
        CHECK(dqueue_pop(&q) == &n[i]);
    CHECK(dqueue_pop(&q) == &last);
    for (int i = 5; i < 10; i++)
        CHECK(dqueue_pop(&q) == &n[i]);
    dqueue_free(&q);
}

static void equal_deadlines_across_heap_and_list(void)
{
    struct dqueue q = {0};
    struct dqueue_node n[4];
    dqueue_push(&q, &n[0], 20);
    dqueue_push(&q, &n[1], 10);
    dqueue_push(&q, &n[2], 5);
    CHECK(dqueue_pop(&q) == &n[2]);
    CHECK(dqueue_pop(&q) == &n[1]);
    CHECK(dqueue_pop(&q) == &n[0]);
    dqueue_push(&q, &n[0], 20);
    dqueue_push(&q, &n[1], 10);
    dqueue_push(&q, &n[2], 10);
    dqueue_push(&q, &n[3], 20);
    CHECK(dqueue_pop(&q) == &n[1]);
    CHECK(dqueue_pop(&q) == &n[2]);
    CHECK(dqueue_pop(&q) == &n[0]);
    CHECK(dqueue_pop(&q) == &n[3]);
    dqueue_free(&q);
}

static bool is_before(const struct dqueue_node *a, const struct dqueue_node *b)
{
    return a->deadline < b->deadline || (a->deadline == b->deadline && a->seq < b->seq);
}

/* Against the definition: what comes out is never after anything that is still in. */
static void random_mix(void)
{
    enum { N = 300 };
    struct dqueue q = {0};
    struct dqueue_node nodes[N];
    bool in[N] = {false};
    srand(1);
    for (int step = 0; step < 20000; step++) {
        int i = rand() % N;
        if (!in[i] && rand() % 2) {
            CHECK_INT(dqueue_push(&q, &nodes[i], rand() % 50), 0);
            in[i] = true;
            continue;
        }
        struct dqueue_node *got = dqueue_pop(&q);
        if (got)
            in[got - nodes] = false;
        for (int k = 0; k < N; k++)
            CHECK(!in[k] || (got && is_before(got, &nodes[k])));
    }
    dqueue_free(&q);
}

static const struct check_test tests[] = {
    {"an empty queue gives nothing", empty_queue},
    {"nodes in order come out in order, without a heap", in_order},
    {"nodes in reverse come out by deadline", reversed},
    {"equal deadlines keep their order", equal_deadlines_keep_their_order},
    {"equal deadlines keep their order across heap and list", equal_deadlines_across_heap_and_list},
    {"a random mix comes out by deadline and age", random_mix},
};

CHECK_MAIN(tests)
