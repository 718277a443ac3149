/* SPDX-License-Identifier: MIT */
#include "tally.h"

#include <stdlib.h>
#include <string.h>

static void count_arrival(struct tally *t, const struct journal *j, const struct arrival *a)
{
    if (a->number >= j->n || a->len != j->lens[a->number]) {
        t->broken++;
        return;
    }
    t->copies[a->number]++;
    t->corrupt += a->flips == 1;
    t->broken += a->flips > 1;
}

static void count_overtaking(struct tally *t, const struct journal *j)
{
    uint32_t least_later = UINT32_MAX;
    uint8_t *seen = calloc(j->n + 1, 1);
    if (!seen)
        fail("tally: memory");
    for (size_t i = j->arrived; i-- > 0;) {
        uint32_t number = j->arrivals[i].number;
        if (number >= j->n)
            continue;
        /* The first copy is the last that is met on the way back. */
        if (++seen[number] == t->copies[number])
            t->overtaking += least_later < number;
        least_later = number < least_later ? number : least_later;
    }
    free(seen);
}

void tally_make(struct tally *t, const struct journal *j)
{
    *t = (struct tally){.frames = j->n, .copies = calloc(j->n + 1, 1)};
    if (!t->copies)
        fail("tally: memory");
    for (size_t i = 0; i < j->arrived; i++)
        count_arrival(t, j, &j->arrivals[i]);
    for (uint32_t i = 0; i < j->n; i++) {
        t->missing += t->copies[i] == 0;
        t->twice += t->copies[i] == 2;
        t->broken += t->copies[i] > 2;
    }
    count_overtaking(t, j);
}

void tally_free(struct tally *t)
{
    free(t->copies);
}

int64_t *first_arrivals(const struct journal *j)
{
    int64_t *at = malloc((j->n + 1) * sizeof(*at));
    if (!at)
        fail("tally: memory");
    for (uint32_t i = 0; i < j->n; i++)
        at[i] = -1;
    for (size_t i = 0; i < j->arrived; i++) {
        const struct arrival *a = &j->arrivals[i];
        if (a->number < j->n && at[a->number] < 0)
            at[a->number] = a->at;
    }
    return at;
}
