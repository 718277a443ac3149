/* SPDX-License-Identifier: MIT */
#include "runtime/fabric/mactable.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define MAC_GROUP_BIT (UINT64_C(1) << 40)

/* Fibonacci hashing: the product's top bits depend on all bits of the address. */
static unsigned set_of(uint64_t mac)
{
    return (unsigned)((mac * 0x9e3779b97f4a7c15) >> 54);
}

static_assert(MACTABLE_SETS == 1 << (64 - 54), "set_of() gives the set's number");

struct mactable *mactable_new(void)
{
    return calloc(1, sizeof(struct mactable));
}

/* Return: the station's entry, or else the one to give it: a free one or the oldest. */
static struct mac_entry *place_for(struct mac_entry set[MACTABLE_WAYS], uint64_t mac)
{
    struct mac_entry *best = &set[0];
    for (int i = 0; i < MACTABLE_WAYS; i++) {
        if (set[i].out && set[i].mac == mac)
            return &set[i];
        if (best->out && (!set[i].out || set[i].heard < best->heard))
            best = &set[i];
    }
    return best;
}

static bool learn(struct mactable *t, uint64_t mac, struct direction *out, int64_t now)
{
    struct mac_entry *e = place_for(t->entries[set_of(mac)], mac);
    bool moved = e->out && e->mac == mac && e->out != out;
    *e = (struct mac_entry){mac, now, out};
    return moved;
}

static struct direction *find(const struct mactable *t, uint64_t mac, int64_t since)
{
    const struct mac_entry *set = t->entries[set_of(mac)];
    for (int i = 0; i < MACTABLE_WAYS; i++) {
        if (set[i].out && set[i].mac == mac)
            return set[i].heard >= since ? set[i].out : NULL;
    }
    return NULL;
}

void mactable_forget(struct mactable *t, const struct direction *out)
{
    struct mac_entry *e = &t->entries[0][0];
    for (int i = 0; i < MACTABLE_SETS * MACTABLE_WAYS; i++) {
        if (e[i].out == out)
            memset(&e[i], 0, sizeof(e[i]));
    }
}

static uint64_t read_mac(const uint8_t *bytes)
{
    uint64_t mac = 0;
    for (int i = 0; i < 6; i++)
        mac = mac << 8 | bytes[i];
    return mac;
}

bool mactable_hear(struct mactable *t, const uint8_t *address, struct direction *out, int64_t now)
{
    uint64_t mac = read_mac(address);
    return !(mac & MAC_GROUP_BIT) && learn(t, mac, out, now);
}

struct direction *mactable_way(const struct mactable *t, const uint8_t *address, int64_t since)
{
    uint64_t mac = read_mac(address);
    return mac & MAC_GROUP_BIT ? NULL : find(t, mac, since);
}
