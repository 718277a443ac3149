/* SPDX-License-Identifier: MIT */
/* Things by number. A number is never given out twice, so a stale one is found out. */
#ifndef QN_FABRIC_TABLE_H
#define QN_FABRIC_TABLE_H

#include <stddef.h>

/* Zeroed memory is an empty table. */
struct table {
    void **items;
    size_t len, room;
};

/** Return: the number @item will be found under, or -ENOMEM. */
int table_add(struct table *t, void *item);

/** Return: the item, or NULL when @id names none. */
void *table_get(const struct table *t, int id);

void table_remove(struct table *t, int id);

/** Free the table's own memory, not the items. */
void table_free(struct table *t);

#endif
