/* SPDX-License-Identifier: MIT */
/* A port: the socket to one peer, or a tap, and the few frames that wait for it to take them. */
#ifndef QN_FABRIC_PORT_H
#define QN_FABRIC_PORT_H

#include "runtime/fabric/plane.h"
#include "runtime/fabric/receiver.h"

struct direction;

#define PORT_HELD_MAX 256

struct port {
    int fd;
    bool is_tap;
    bool deleted;          /* a tap's interface was, at its last event */
    struct direction *out; /* of the link, leaves here; or NULL. out->reverse comes in */
    struct packet_list held;
    uint32_t held_len;
    bool deserted;  /* nobody is there: what comes for the peer is dropped */
    bool blocked;   /* the socket is full; epoll tells when it is not */
    bool unflushed; /* in p->unflushed */
    struct port *next_unflushed;
};

/** Make a port over @fd, which it owns, also on error, and watch it. Return: 0 or negative errno.
 */
int port_open(struct plane *p, int fd, struct port **port);

/** Close the socket and free the port; it must have no link and not be unflushed. */
void port_close(struct plane *p, struct port *port);

/** Act on what epoll says of the port: @events. Reads at most one batch of frames and offers them
 * to the link; sets p->now to when they were read. Return: how many came. */
int port_event(struct plane *p, struct port *port, uint32_t events, struct receiver *r);

/** Hand @pkt to the port, to go out when the ports are flushed. */
void port_send(struct plane *p, struct port *port, struct packet *pkt);

/** Say that nobody reads at the far end, or that somebody does again. */
void port_desert(struct plane *p, struct port *port, bool deserted);

/** Drop the frames that wait for the peer. */
void port_clear(struct plane *p, struct port *port);

/** Send what the ports have been handed. */
void ports_flush(struct plane *p);

#endif
