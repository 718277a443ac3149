/* SPDX-License-Identifier: MIT */
#include "runtime/fabric/tap.h"

#include "runtime/fabric/capture.h"

#include <errno.h>
#include <stdlib.h>

void taps_record(struct plane *p, const struct direction *d, const struct packet *pkt,
                 enum link_fate fate)
{
    struct capture_packet record = {
        .time = fate == LINK_DELIVERED ? packet_due(pkt) : p->now,
        .entered = pkt->entered,
        .fate = fate,
        .marks = pkt->marks,
        .len = pkt->frame->len,
    };
    for (const struct tap *t = d->taps; t; t = t->next) {
        record.interface = t->interface;
        record.dir = t->dir;
        capture_packet(t->capture, &record, pkt->frame->data);
    }
}

int tap_add(struct direction *d, struct capture *capture, unsigned interface, int dir)
{
    struct tap *t = malloc(sizeof(*t));
    if (!t)
        return -ENOMEM;
    *t = (struct tap){d->taps, capture, interface, dir};
    d->taps = t;
    return 0;
}

void taps_remove(struct direction *d, const struct capture *capture)
{
    for (struct tap **link = &d->taps; *link;) {
        struct tap *t = *link;
        if (capture && t->capture != capture) {
            link = &t->next;
            continue;
        }
        *link = t->next;
        free(t);
    }
}
