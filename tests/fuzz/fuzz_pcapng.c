/* SPDX-License-Identifier: MIT */
/* The pcapng writer: any sequence of interfaces, packets, comments and statistics must be read back
 * as it was written, by the strict reader of the unit tests. */
#include "runtime/fabric/pcapng.h"
#include "tests/unit/pcapng_reader.h"

#include <stdlib.h>

#define INPUT_MAX 4096
#define CALLS_MAX 256

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
    const uint8_t *data;
    size_t size, at;
};

/* What was written; texts and bytes are in the input, cut to what the format takes. */
struct call {
    enum pcapng_reader_kind kind;
    struct pcapng_packet packet;
    const uint8_t *data;
    char text[400];
    uint64_t seen, dropped;
};

struct calls {
    struct call list[CALLS_MAX];
    size_t n, checked;
};

static void must(bool condition)
{
    if (!condition)
        abort();
}

static uint64_t number(struct input *in, int bytes)
{
    uint64_t v = 0;
    while (bytes-- > 0)
        v = v << 8 | (in->at < in->size ? in->data[in->at++] : 0);
    return v;
}

static void take_text(struct input *in, char text[400])
{
    size_t n = (size_t)number(in, 1) + (size_t)number(in, 1) / 2, left = in->size - in->at;
    n = n < left ? n : left;
    memcpy(text, in->data + in->at, n);
    text[n] = '\0';
    in->at += n;
}

static void write_packet(FILE *f, struct input *in, struct call *c)
{
    uint32_t len = (uint32_t)number(in, 1);
    uint64_t flags = number(in, 1);
    c->packet.time = (int64_t)(number(in, 8) & INT64_MAX);
    c->packet.flags = (uint32_t)flags % 4;
    take_text(in, c->text);
    if (flags & 0x80)
        c->packet.comment = c->text;
    c->data = in->data + in->at;
    c->packet.len = len < in->size - in->at ? len : (uint32_t)(in->size - in->at);
    in->at += c->packet.len;
    pcapng_packet(f, &c->packet, c->data);
}

static void write_one(FILE *f, struct input *in, struct calls *calls, uint32_t *interfaces)
{
    struct call *c = &calls->list[calls->n++];
    uint64_t what = number(in, 1);
    memset(c, 0, sizeof(*c));
    if (what % 3 == 0 || *interfaces == 0) {
        c->kind = READ_INTERFACE;
        take_text(in, c->text);
        c->packet.interface = (*interfaces)++;
        pcapng_interface(f, c->text);
        return;
    }
    c->packet.interface = (uint32_t)(what >> 2) % *interfaces;
    c->kind = what % 3 == 1 ? READ_PACKET : READ_STATISTICS;
    if (c->kind == READ_PACKET) {
        write_packet(f, in, c);
        return;
    }
    c->packet.time = (int64_t)(number(in, 8) & INT64_MAX);
    c->seen = number(in, 8);
    c->dropped = number(in, 8);
    pcapng_statistics(f, c->packet.interface, c->packet.time, c->seen, c->dropped);
}

static void check_text(const struct pcapng_block *b, const char *text)
{
    size_t n = strnlen(text, 255);
    must(b->text_len == n && memcmp(b->text, text, n) == 0);
}

static void check_packet(const struct pcapng_block *b, const struct call *c)
{
    must(b->len == c->packet.len && b->original_len == c->packet.len);
    must(memcmp(b->data, c->data, b->len) == 0);
    must(b->has_flags == (c->packet.flags != 0) && b->flags == c->packet.flags);
    must(b->has_comment == (c->packet.comment != NULL));
    if (b->has_comment)
        check_text(b, c->text);
}

static void on_block(void *arg, const struct pcapng_block *b)
{
    struct calls *calls = arg;
    if (b->kind == READ_SECTION) {
        check_text(b, "fuzz");
        return;
    }
    must(calls->checked < calls->n);
    const struct call *c = &calls->list[calls->checked++];
    must(b->kind == (uint32_t)c->kind && b->interface == c->packet.interface);
    must(b->kind == READ_INTERFACE || b->time == (uint64_t)c->packet.time);
    if (b->kind == READ_INTERFACE) {
        must(b->link_type == 1 && b->resolution == 9 && b->snap_len == 0);
        check_text(b, c->text);
    } else if (b->kind == READ_PACKET) {
        check_packet(b, c);
    } else {
        must(b->has_counts && b->received == c->seen && b->dropped == c->dropped);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct calls calls;
    struct input in = {.data = data, .size = size};
    char *bytes = NULL;
    size_t len = 0;
    uint32_t interfaces = 0;
    if (size > INPUT_MAX)
        return 0;
    FILE *f = open_memstream(&bytes, &len);
    must(f != NULL);
    calls.n = calls.checked = 0;
    pcapng_section(f, "fuzz");
    while (in.at < in.size && calls.n < CALLS_MAX)
        write_one(f, &in, &calls, &interfaces);
    must(fclose(f) == 0);
    must(pcapng_read((const uint8_t *)bytes, len, on_block, &calls) == NULL);
    must(calls.checked == calls.n);
    free(bytes);
    return 0;
}
