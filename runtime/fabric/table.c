/* SPDX-License-Identifier: MIT */
#include "runtime/fabric/table.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

static int table_grow(struct table *t)
{
    size_t room = t->room ? 2 * t->room : 16;
    void **items = room <= INT_MAX ? realloc(t->items, room * sizeof(void *)) : NULL;
    if (!items)
        return -ENOMEM;
    t->items = items;
    t->room = room;
    return 0;
}

int table_add(struct table *t, void *item)
{
    if (t->len == t->room && table_grow(t) < 0)
        return -ENOMEM;
    t->items[t->len] = item;
    return (int)t->len++;
}

void *table_get(const struct table *t, int id)
{
    return id >= 0 && (size_t)id < t->len ? t->items[id] : NULL;
}

void table_remove(struct table *t, int id)
{
    if (table_get(t, id))
        t->items[id] = NULL;
}

void table_free(struct table *t)
{
    free(t->items);
    memset(t, 0, sizeof(*t));
}
