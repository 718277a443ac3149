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

/** Note that the station of this address, of six bytes, was heard at time @now and is reached over
 * @out; one of a group is no station's. Return: whether it was reached over another until now. */
bool mactable_hear(struct mactable *t, const uint8_t *address, struct direction *out, int64_t now);

/** Return: the way to the station of this address if it was heard at or after @since, else NULL;
 * NULL for an address of a group. */
struct direction *mactable_way(const struct mactable *t, const uint8_t *address, int64_t since);

/** Forget all stations that are reached over @out. */
void mactable_forget(struct mactable *t, const struct direction *out);

#endif
