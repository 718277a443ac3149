/* SPDX-License-Identifier: MIT */
/* Taps: where a capture listens to a direction. A frame is recorded once, when its way over the
 * direction ends, with how it ended: at the time when it was due at the far end, or was dropped. */
#ifndef QN_FABRIC_TAP_H
#define QN_FABRIC_TAP_H

#include "runtime/fabric/direction.h"

struct capture;

struct tap {
    struct tap *next;
    struct capture *capture;
    unsigned interface;
    int dir;
};

/** Record @pkt in every capture that listens to @d. */
void taps_record(struct plane *p, const struct direction *d, const struct packet *pkt,
                 enum link_fate fate);

/** Have @capture listen to a direction. Return: 0 or -ENOMEM. */
int tap_add(struct direction *d, struct capture *capture, unsigned interface, int dir);

/** Remove the taps of @capture, or with NULL all, from a direction. */
void taps_remove(struct direction *d, const struct capture *capture);

#endif
