/* SPDX-License-Identifier: MIT */
/* A strict reader of pcapng as draft-ietf-opsawg-pcapng has it, of one section in this machine's
 * byte order, written apart from what it checks. */
#ifndef QN_TESTS_UNIT_PCAPNG_READER_H
#define QN_TESTS_UNIT_PCAPNG_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum pcapng_reader_kind {
    READ_SECTION = 0x0a0d0d0a,
    READ_INTERFACE = 1,
    READ_STATISTICS = 5,
    READ_PACKET = 6
};

struct pcapng_block {
    uint32_t kind;
    uint32_t interface; /* of a packet, of statistics; of an interface its number */
    uint64_t time;      /* of a packet or statistics, in the interface's unit */
    const uint8_t *data;
    uint32_t len, original_len;
    uint32_t link_type, snap_len;
    uint8_t resolution; /* if_tsresol; 0: absent */
    uint32_t flags;
    bool has_flags, has_comment, has_counts;
    const char *text; /* the comment, or the interface's or application's name; not terminated */
    size_t text_len;
    uint64_t received, dropped;
};

typedef void pcapng_block_fn(void *arg, const struct pcapng_block *b);

struct pcapng_reader {
    const uint8_t *data;
    size_t len;
    uint32_t interfaces;
    const char *wrong;
};

static inline uint32_t reader_u32(const uint8_t *at)
{
    uint32_t v;
    memcpy(&v, at, sizeof(v));
    return v;
}

static inline uint16_t reader_u16(const uint8_t *at)
{
    uint16_t v;
    memcpy(&v, at, sizeof(v));
    return v;
}

static inline uint64_t reader_time(const uint8_t *at)
{
    return (uint64_t)reader_u32(at) << 32 | reader_u32(at + 4);
}

static inline bool reader_fail(struct pcapng_reader *r, const char *why)
{
    r->wrong = why;
    return false;
}

static inline bool reader_is_zero(const uint8_t *at, size_t n)
{
    while (n > 0 && !*at) {
        at++;
        n--;
    }
    return n == 0;
}

static inline bool reader_text(struct pcapng_block *b, const uint8_t *value, size_t n)
{
    b->text = (const char *)value;
    b->text_len = n;
    return true;
}

static inline bool reader_u64(uint64_t *out, const uint8_t *value, size_t n)
{
    memcpy(out, value, n == 8 ? n : 0);
    return n == 8;
}

/* Return: whether the option may stand in the block, and has the length it is to have. */
static inline bool reader_option(struct pcapng_block *b, uint16_t code, const uint8_t *value,
                                 size_t n)
{
    bool packet = b->kind == READ_PACKET, statistics = b->kind == READ_STATISTICS;
    bool interface = b->kind == READ_INTERFACE;
    if (code == 1 && packet) {
        b->has_comment = true;
        return reader_text(b, value, n);
    }
    if ((code == 2 && interface) || (code == 4 && b->kind == READ_SECTION))
        return reader_text(b, value, n);
    if (code == 2 && packet && n == 4) {
        b->has_flags = true;
        b->flags = reader_u32(value);
        return true;
    }
    if (code == 9 && interface && n == 1) {
        b->resolution = *value;
        return true;
    }
    b->has_counts = b->has_counts || statistics;
    if (code == 4 && statistics)
        return reader_u64(&b->received, value, n);
    return code == 5 && statistics && reader_u64(&b->dropped, value, n);
}

/* Options fill the rest of the block, the last of them an end. */
static inline bool reader_options(struct pcapng_reader *r, struct pcapng_block *b,
                                  const uint8_t *at, size_t n)
{
    while (n >= 4) {
        uint16_t code = reader_u16(at), len = reader_u16(at + 2);
        size_t padded = 4 + ((size_t)len + 3) / 4 * 4;
        if (code == 0)
            return (len == 0 && n == 4) || reader_fail(r, "something behind the end of options");
        if (padded > n)
            return reader_fail(r, "an option is longer than its block");
        if (!reader_is_zero(at + 4 + len, padded - 4 - len))
            return reader_fail(r, "an option's padding is not zero");
        if (!reader_option(b, code, at + 4, len))
            return reader_fail(r, "an option that does not belong there");
        at += padded;
        n -= padded;
    }
    return reader_fail(r, "options without an end");
}

static inline bool reader_packet(struct pcapng_reader *r, struct pcapng_block *b,
                                 const uint8_t *body, size_t n, size_t *fixed)
{
    if (n < 20)
        return reader_fail(r, "a packet block is short");
    b->interface = reader_u32(body);
    b->time = reader_time(body + 4);
    b->len = reader_u32(body + 12);
    b->original_len = reader_u32(body + 16);
    b->data = body + 20;
    size_t padded = ((size_t)b->len + 3) / 4 * 4;
    if (b->interface >= r->interfaces)
        return reader_fail(r, "a packet of an unknown interface");
    if (b->len > b->original_len || padded > n - 20)
        return reader_fail(r, "a packet is longer than its block");
    if (!reader_is_zero(body + 20 + b->len, padded - b->len))
        return reader_fail(r, "a packet's padding is not zero");
    *fixed = 20 + padded;
    return true;
}

static inline bool reader_statistics(struct pcapng_reader *r, struct pcapng_block *b,
                                     const uint8_t *body, size_t n, size_t *fixed)
{
    if (n < 12)
        return reader_fail(r, "a statistics block is short");
    b->interface = reader_u32(body);
    b->time = reader_time(body + 4);
    *fixed = 12;
    return b->interface < r->interfaces || reader_fail(r, "statistics of an unknown interface");
}

static inline bool reader_interface(struct pcapng_reader *r, struct pcapng_block *b,
                                    const uint8_t *body, size_t n, size_t *fixed)
{
    if (n < 8 || reader_u16(body + 2) != 0)
        return reader_fail(r, "an interface block is short, or its reserved field is not zero");
    b->link_type = reader_u16(body);
    b->snap_len = reader_u32(body + 4);
    b->interface = r->interfaces++;
    *fixed = 8;
    return true;
}

static inline bool reader_section(struct pcapng_reader *r, const uint8_t *body, size_t n,
                                  size_t *fixed)
{
    if (n < 16 || reader_u32(body) != 0x1a2b3c4d || reader_u16(body + 4) != 1 ||
        reader_u16(body + 6) != 0)
        return reader_fail(r, "no section of version 1.0 in this byte order");
    *fixed = 16;
    return true;
}

static inline bool reader_body(struct pcapng_reader *r, struct pcapng_block *b, const uint8_t *body,
                               size_t n)
{
    size_t fixed = 0;
    bool good = b->kind == READ_SECTION      ? reader_section(r, body, n, &fixed)
                : b->kind == READ_INTERFACE  ? reader_interface(r, b, body, n, &fixed)
                : b->kind == READ_STATISTICS ? reader_statistics(r, b, body, n, &fixed)
                : b->kind == READ_PACKET     ? reader_packet(r, b, body, n, &fixed)
                                             : reader_fail(r, "an unknown block");
    return good && (fixed == n || reader_options(r, b, body + fixed, n - fixed));
}

/* Return: NULL, or what is wrong with the @len bytes. @fn is called for each block. */
static inline const char *pcapng_read(const uint8_t *data, size_t len, pcapng_block_fn *fn,
                                      void *arg)
{
    struct pcapng_reader r = {.data = data, .len = len};
    for (size_t at = 0; at < len;) {
        size_t left = len - at;
        uint32_t size = left < 12 ? 0 : reader_u32(data + at + 4);
        if (size < 12 || size % 4 || size > left)
            return "a block's length";
        if (reader_u32(data + at + size - 4) != size)
            return "a block's second length";
        struct pcapng_block b = {.kind = reader_u32(data + at)};
        if ((b.kind == READ_SECTION) != (at == 0))
            return "a section that is not the first block, or none";
        if (!reader_body(&r, &b, data + at + 8, size - 12))
            return r.wrong;
        fn(arg, &b);
        at += size;
    }
    return len ? NULL : "an empty file";
}

#endif
