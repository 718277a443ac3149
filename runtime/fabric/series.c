/* SPDX-License-Identifier: MIT */
#include "runtime/fabric/series.h"

#include <stdlib.h>
#include <string.h>

struct link_series *link_series_new(const int64_t *values, size_t n)
{
    struct link_series *s = malloc(sizeof(*s) + n * sizeof(*values));
    if (!s)
        return NULL;
    atomic_init(&s->refs, 1);
    s->n = n;
    memcpy(s->values, values, n * sizeof(*values));
    return s;
}

struct link_series *link_series_ref(struct link_series *s)
{
    if (s)
        atomic_fetch_add(&s->refs, 1);
    return s;
}

void link_series_unref(struct link_series *s)
{
    if (s && atomic_fetch_sub(&s->refs, 1) == 1)
        free(s);
}
