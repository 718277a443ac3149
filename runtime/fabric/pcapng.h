/* SPDX-License-Identifier: MIT */
/* The pcapng format, draft-ietf-opsawg-pcapng: blocks as bytes, in this machine's byte order. */
#ifndef QN_FABRIC_PCAPNG_H
#define QN_FABRIC_PCAPNG_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define PCAPNG_NAME_MAX 255
#define PCAPNG_COMMENT_MAX 255

struct pcapng_packet {
    uint32_t interface;
    int64_t time;        /* ns since the Unix epoch */
    uint32_t len;        /* bytes, all captured */
    uint32_t flags;      /* epb_flags; 0: none */
    const char *comment; /* or NULL */
};

#define PCAPNG_INBOUND 1U
#define PCAPNG_OUTBOUND 2U

/** Write a section header that names @application. */
void pcapng_section(FILE *f, const char *application);

/** Write the description of an Ethernet interface with nanoseconds as its unit. */
void pcapng_interface(FILE *f, const char *name);

void pcapng_packet(FILE *f, const struct pcapng_packet *p, const uint8_t *data);

/** Write an interface's statistics: what it saw, and what was not captured of that. */
void pcapng_statistics(FILE *f, uint32_t interface, int64_t time, uint64_t seen, uint64_t dropped);

#endif
