/* SPDX-License-Identifier: MIT */
#include "runtime/fabric/schedule.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int grow(struct schedule *s, size_t n)
{
    size_t room = n > 2 * s->room ? n : 2 * s->room;
    struct schedule_slot *slots = realloc(s->slots, room * sizeof(*slots));
    if (!slots)
        return -ENOMEM;
    s->slots = slots;
    s->room = room;
    return 0;
}

int schedule_admit(struct schedule *s, size_t n)
{
    int err = s->admitted + n > s->room ? grow(s, s->admitted + n) : 0;
    if (err == 0)
        s->admitted += n;
    return err;
}

void schedule_dismiss(struct schedule *s, size_t n)
{
    s->admitted -= n;
}

static void put(struct schedule *s, size_t i, struct schedule_slot slot)
{
    s->slots[i] = slot;
    slot.entry->place = i + 1;
}

static size_t rise(struct schedule *s, size_t i, int64_t at)
{
    for (; i > 0 && at < s->slots[(i - 1) / 2].at; i = (i - 1) / 2)
        put(s, i, s->slots[(i - 1) / 2]);
    return i;
}

static size_t earlier_child(const struct schedule *s, size_t i)
{
    size_t child = 2 * i + 1;
    if (child + 1 < s->len && s->slots[child + 1].at < s->slots[child].at)
        child++;
    return child;
}

static size_t sink(struct schedule *s, size_t i, int64_t at)
{
    size_t child;
    while ((child = earlier_child(s, i)) < s->len && s->slots[child].at < at) {
        put(s, i, s->slots[child]);
        i = child;
    }
    return i;
}

static void settle(struct schedule *s, size_t i, struct schedule_slot slot)
{
    put(s, sink(s, rise(s, i, slot.at), slot.at), slot);
}

static void take_out(struct schedule *s, struct schedule_entry *e)
{
    size_t i = e->place - 1;
    struct schedule_slot last = s->slots[--s->len];
    e->place = 0;
    if (last.entry != e)
        settle(s, i, last);
}

void schedule_set(struct schedule *s, struct schedule_entry *e, int64_t at)
{
    if (at == SCHEDULE_NEVER) {
        if (e->place)
            take_out(s, e);
        return;
    }
    if (e->place && s->slots[e->place - 1].at == at)
        return;
    size_t i = e->place ? e->place - 1 : s->len++;
    settle(s, i, (struct schedule_slot){at, e});
}

int64_t schedule_next(const struct schedule *s)
{
    return s->len ? s->slots[0].at : SCHEDULE_NEVER;
}

struct schedule_entry *schedule_first(const struct schedule *s)
{
    return s->slots[0].entry;
}

void schedule_free(struct schedule *s)
{
    free(s->slots);
    memset(s, 0, sizeof(*s));
}
