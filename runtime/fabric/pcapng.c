/* SPDX-License-Identifier: MIT */
#include "runtime/fabric/pcapng.h"

#include <string.h>

enum block_type {
    BLOCK_INTERFACE = 1,
    BLOCK_STATISTICS = 5,
    BLOCK_PACKET = 6,
    BLOCK_SECTION = 0x0a0d0d0a
};

enum option {
    OPTION_END = 0,
    OPTION_COMMENT = 1,
    OPTION_IF_NAME = 2,
    OPTION_EPB_FLAGS = 2,
    OPTION_SHB_APPLICATION = 4,
    OPTION_ISB_RECEIVED = 4,
    OPTION_ISB_DROPPED = 5,
    OPTION_IF_TSRESOL = 9
};

#define BYTE_ORDER_MAGIC 0x1a2b3c4dU
#define LINKTYPE_ETHERNET 1
#define BLOCK_FRAME 12 /* type, and the length twice */
#define OPTION_ROOM (4 * (4 + 256))

static void put32(FILE *f, uint32_t v)
{
    fwrite_unlocked(&v, sizeof(v), 1, f);
}

static void put_time(FILE *f, int64_t time)
{
    put32(f, (uint32_t)((uint64_t)time >> 32));
    put32(f, (uint32_t)time);
}

/* Bytes, and as many zeros as a multiple of four needs. */
static void put_padded(FILE *f, const void *data, size_t n)
{
    static const uint8_t zeros[4];
    fwrite_unlocked(data, 1, n, f);
    fwrite_unlocked(zeros, 1, -n % 4, f);
}

/* The options of a block, gathered so that its length is known ahead of it. */
struct options {
    uint8_t bytes[OPTION_ROOM];
    size_t n;
};

static void add_option(struct options *o, enum option code, const void *data, size_t len)
{
    uint16_t head[2] = {(uint16_t)code, (uint16_t)len};
    memcpy(o->bytes + o->n, head, sizeof(head));
    o->n += sizeof(head);
    if (len)
        memcpy(o->bytes + o->n, data, len);
    memset(o->bytes + o->n + len, 0, -len % 4);
    o->n += len + -len % 4;
}

static void add_text(struct options *o, enum option code, const char *text, size_t max)
{
    add_option(o, code, text, strnlen(text, max));
}

static void begin(FILE *f, enum block_type type, uint32_t body, struct options *o)
{
    if (o->n)
        add_option(o, OPTION_END, NULL, 0);
    put32(f, type);
    put32(f, BLOCK_FRAME + body + (uint32_t)o->n);
}

static void end(FILE *f, uint32_t body, const struct options *o)
{
    fwrite_unlocked(o->bytes, 1, o->n, f);
    put32(f, BLOCK_FRAME + body + (uint32_t)o->n);
}

void pcapng_section(FILE *f, const char *application)
{
    struct options o = {.n = 0};
    add_text(&o, OPTION_SHB_APPLICATION, application, PCAPNG_NAME_MAX);
    begin(f, BLOCK_SECTION, 16, &o);
    put32(f, BYTE_ORDER_MAGIC);
    put32(f, 1);          /* version 1.0 */
    put32(f, UINT32_MAX); /* the section's length, 64 bits: not said */
    put32(f, UINT32_MAX);
    end(f, 16, &o);
}

void pcapng_interface(FILE *f, const char *name)
{
    struct options o = {.n = 0};
    uint8_t nanoseconds = 9;
    add_text(&o, OPTION_IF_NAME, name, PCAPNG_NAME_MAX);
    add_option(&o, OPTION_IF_TSRESOL, &nanoseconds, 1);
    begin(f, BLOCK_INTERFACE, 8, &o);
    put32(f, LINKTYPE_ETHERNET);
    put32(f, 0); /* no limit to what is captured of a packet */
    end(f, 8, &o);
}

void pcapng_packet(FILE *f, const struct pcapng_packet *p, const uint8_t *data)
{
    struct options o;
    o.n = 0;
    if (p->comment)
        add_text(&o, OPTION_COMMENT, p->comment, PCAPNG_COMMENT_MAX);
    if (p->flags)
        add_option(&o, OPTION_EPB_FLAGS, &p->flags, sizeof(p->flags));
    uint32_t body = 20 + p->len + -p->len % 4;
    begin(f, BLOCK_PACKET, body, &o);
    put32(f, p->interface);
    put_time(f, p->time);
    put32(f, p->len);
    put32(f, p->len);
    put_padded(f, data, p->len);
    end(f, body, &o);
}

void pcapng_statistics(FILE *f, uint32_t interface, int64_t time, uint64_t seen, uint64_t dropped)
{
    struct options o = {.n = 0};
    add_option(&o, OPTION_ISB_RECEIVED, &seen, sizeof(seen));
    add_option(&o, OPTION_ISB_DROPPED, &dropped, sizeof(dropped));
    begin(f, BLOCK_STATISTICS, 12, &o);
    put32(f, interface);
    put_time(f, time);
    end(f, 12, &o);
}
