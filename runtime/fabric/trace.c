/* SPDX-License-Identifier: MIT */
#include "runtime/fabric/trace.h"

#include "runtime/fabric/series.h"

#define ETHERNET_HEADER 14
#define BIT_NS 8e9

double trace_rate(const struct link_series *s)
{
    return (double)s->n * TRACE_OPPORTUNITY_BYTES * BIT_NS / (double)s->values[s->n - 1];
}

void trace_begin(struct trace_cursor *t, int64_t now)
{
    *t = (struct trace_cursor){.origin = now, .current = INT64_MIN};
}

static void step(struct trace_cursor *t, const struct link_series *s)
{
    if (t->next == s->n) {
        t->next = 0;
        t->lap++;
    }
    t->current = t->origin + t->lap * s->values[s->n - 1] + s->values[t->next++];
    t->left = TRACE_OPPORTUNITY_BYTES;
}

/* Return: the index of the first value not below @value; the last is not below it. */
static size_t search(const struct link_series *s, int64_t value)
{
    size_t low = 0, high = s->n - 1;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (s->values[middle] < value)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Go to the first opportunity that is not before @from. */
static void skip_to(struct trace_cursor *t, const struct link_series *s, int64_t from)
{
    int64_t period = s->values[s->n - 1], passed = from - t->origin;
    if (t->current != INT64_MIN && t->current >= from)
        return;
    t->lap = passed / period;
    t->next = search(s, passed % period);
    step(t, s);
}

int64_t trace_send(struct trace_cursor *t, const struct link_series *s, int64_t from, uint32_t len)
{
    uint32_t bytes = len > ETHERNET_HEADER ? len - ETHERNET_HEADER : 1;
    skip_to(t, s, from);
    while (bytes > t->left) {
        bytes -= t->left;
        step(t, s);
    }
    t->left -= bytes;
    return t->current;
}
