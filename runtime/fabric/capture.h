/* SPDX-License-Identifier: MIT */
/* A capture: a pcapng file, written by a thread of its own from a bounded ring that the fabric's
 * thread fills. What finds no room in the ring is counted, and said in the file. */
#ifndef QN_FABRIC_CAPTURE_H
#define QN_FABRIC_CAPTURE_H

#include "runtime/fabric/fabric.h"

#define CAPTURE_RING_BYTES (8U << 20)

/* Of an interface. */
#define CAPTURE_NAME_MAX 255

struct capture;

struct capture_packet {
    int64_t time;    /* experiment ns */
    int64_t entered; /* when it came to the link */
    unsigned interface;
    int dir; /* 0: outbound at the interface, the link's end a; 1: inbound */
    enum link_fate fate;
    unsigned marks; /* enum packet_mark */
    uint32_t len;
};

/** Create the file and start its thread. Return: 0 or negative errno. */
int capture_start(struct capture **out, const char *path);

/** Write what waits, end the thread, close the file, free. @stats may be NULL.
 * Return: 0, or the negative errno of the first write that failed. */
int capture_stop(struct capture *c, struct fabric_capture_stats *stats);

/** Enter an interface. Called by the fabric's thread alone, as capture_packet().
 * Return: its number, or -ENOBUFS. */
int capture_interface(struct capture *c, const char *name);

/** Record a packet of @p->len bytes. */
void capture_packet(struct capture *c, const struct capture_packet *p, const uint8_t *data);

#endif
