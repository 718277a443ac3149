/* SPDX-License-Identifier: MIT */
/* Which direction leads to a station, by its MAC address: a set-associative table of fixed size, in
 * which a new station displaces the one of its set that was heard longest ago. */
#ifndef QN_FABRIC_MACTABLE_H
#define QN_FABRIC_MACTABLE_H

#include <stdbool.h>
#include <stdint.h>

#define MACTABLE_WAYS 4
#define MACTABLE_SETS 1024

struct direction;

struct mac_entry {
    uint64_t mac;
    int64_t heard;
    struct direction *out; /* NULL: the entry is free */
};

struct mactable {
    struct mac_entry entries[MACTABLE_SETS][MACTABLE_WAYS];
};

/** Return: an empty table, or NULL: no memory. Freed by free(). */
struct mactable *mactable_new(void);

/** Note that the station @mac was heard at time @now and is reached over @out.
 * Return: whether it was reached over another until now. */
bool mactable_learn(struct mactable *t, uint64_t mac, struct direction *out, int64_t now);

/** Return: the way to @mac if it was heard at or after @since, else NULL. */
struct direction *mactable_find(const struct mactable *t, uint64_t mac, int64_t since);

/** As mactable_learn(), of an address of six bytes; one of a group is no station's. */
bool mactable_hear(struct mactable *t, const uint8_t *address, struct direction *out, int64_t now);

/** As mactable_find(), of an address of six bytes; NULL for one of a group. */
struct direction *mactable_way(const struct mactable *t, const uint8_t *address, int64_t since);

/** Forget all stations that are reached over @out. */
void mactable_forget(struct mactable *t, const struct direction *out);

#endif
