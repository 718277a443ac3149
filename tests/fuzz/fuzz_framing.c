/* SPDX-License-Identifier: MIT */
/* The guest's bytes, taken whole and in chunks: both must give the same. The input's first four
 * bytes seed the chunks' sizes. */
#include "runtime/framing.h"

#include <stdlib.h>
#include <string.h>

#define KEY "\0360123456789abcdef0123456789abcdef"
#define INPUT_MAX 8192

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The events, data that belongs together joined: for data the bytes, for a message its fields. */
struct log {
    char text[64 * INPUT_MAX];
    size_t n;
};

static void add(struct log *log, const void *data, size_t n)
{
    if (n > sizeof(log->text) - log->n)
        abort();
    memcpy(log->text + log->n, data, n);
    log->n += n;
}

static void on_event(void *arg, const struct framing_event *event)
{
    struct log *log = arg;
    if (event->kind == FRAMING_DATA) {
        if (!event->n || memmem(event->data, event->n, KEY, FRAMING_KEY_LEN))
            abort();
        add(log, event->data, event->n);
        return;
    }
    if (event->status < 0 || event->status > 255)
        abort();
    add(log, &event->kind, sizeof(event->kind));
    add(log, &event->seq, sizeof(event->seq));
    add(log, &event->status, sizeof(event->status));
    add(log, &event->signaled, sizeof(event->signaled));
}

static size_t chunk(uint32_t *state, size_t left)
{
    *state = *state * 1664525 + 1013904223;
    size_t n = (*state >> 16) % ((*state >> 30) ? 40 : 3) + 1;
    return n < left ? n : left;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct log whole, parts;
    struct framing framing;
    uint32_t state;
    if (size < sizeof(state) || size > INPUT_MAX)
        return 0;
    memcpy(&state, data, sizeof(state));
    const char *text = (const char *)data + sizeof(state);
    size -= sizeof(state);

    whole.n = parts.n = 0;
    framing_init(&framing, KEY);
    int whole_err = framing_feed(&framing, text, size, on_event, &whole);
    framing_init(&framing, KEY);
    int err = 0;
    for (size_t at = 0, n; at < size && !err; at += n) {
        n = chunk(&state, size - at);
        err = framing_feed(&framing, text + at, n, on_event, &parts);
    }
    if (err != whole_err || parts.n != whole.n || memcmp(parts.text, whole.text, whole.n) != 0)
        abort();
    return 0;
}
