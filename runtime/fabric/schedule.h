/* SPDX-License-Identifier: MIT */
/* What is to happen next, over everything that has something to happen: a heap of entries keyed by
 * time. An entry is embedded in what it schedules and knows its place, so that its time can change.
 */
#ifndef QN_FABRIC_SCHEDULE_H
#define QN_FABRIC_SCHEDULE_H

#include <stddef.h>
#include <stdint.h>

#define SCHEDULE_NEVER INT64_MAX

struct plane;

/* Zeroed memory is an entry that is not scheduled. */
struct schedule_entry {
    size_t place; /* 1-based index in the heap; 0: not in it */
    /* Its time has come: do one thing and set the next time. */
    void (*due)(struct plane *p, struct schedule_entry *e);
};

struct schedule_slot {
    int64_t at;
    struct schedule_entry *entry;
};

/* Zeroed memory is an empty schedule. */
struct schedule {
    struct schedule_slot *slots;
    size_t len, room;
    size_t admitted; /* entries that there are */
};

/** Make room for @n entries more, so that schedule_set() cannot fail. Return: 0 or -ENOMEM. */
int schedule_admit(struct schedule *s, size_t n);

/** Give the room of @n entries back, which are not scheduled. */
void schedule_dismiss(struct schedule *s, size_t n);

/** Schedule @e for @at, or move it there; SCHEDULE_NEVER takes it out. */
void schedule_set(struct schedule *s, struct schedule_entry *e, int64_t at);

/** Return: the earliest entry's time, or SCHEDULE_NEVER. */
int64_t schedule_next(const struct schedule *s);

/** Return: the earliest entry, left in place; of none, undefined. */
struct schedule_entry *schedule_first(const struct schedule *s);

/** Return: what @e, which is scheduled, is scheduled for. */
static inline int64_t schedule_time(const struct schedule *s, const struct schedule_entry *e)
{
    return s->slots[e->place - 1].at;
}

void schedule_free(struct schedule *s);

#endif
