/* SPDX-License-Identifier: MIT */
/* An array that grows by doubling. */
#ifndef QN_RUNTIME_ARRAY_H
#define QN_RUNTIME_ARRAY_H

#include <stdlib.h>

/** Make room for one item more than the @len that are in @items. @room: for how many there is room;
 * @size: of one. Return: where the items are now; NULL: no memory, and they are where they were. */
static inline void *array_grow(void *items, size_t len, size_t *room, size_t size)
{
    if (len < *room)
        return items;
    size_t more = *room ? 2 * *room : 16;
    void *moved = reallocarray(items, more, size);
    if (moved)
        *room = more;
    return moved;
}

#endif
