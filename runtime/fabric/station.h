/* SPDX-License-Identifier: MIT */
/* A simulated station: an interface of a node that is nowhere but in the fabric. It answers ARP
 * requests, ICMP echo requests and UDP to the echo port, and drops the rest and what is broken. */
#ifndef QN_FABRIC_STATION_H
#define QN_FABRIC_STATION_H

#include "runtime/fabric/direction.h"

struct station {
    struct direction *out; /* of its link, or NULL */
    struct fabric_station_config config;
};

/** Take @pkt, owned from here on, that has come at its due time. */
void station_receive(struct plane *p, struct station *s, struct packet *pkt);

#endif
