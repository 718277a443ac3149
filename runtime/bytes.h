/* SPDX-License-Identifier: MIT */
/* A growing byte buffer, always NUL-terminated once it holds anything. */
#ifndef QN_RUNTIME_BYTES_H
#define QN_RUNTIME_BYTES_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct bytes {
    char *data;
    size_t n, room;
};

/** Return: 0 or -ENOMEM, with @bytes as it was. */
static inline int bytes_add(struct bytes *bytes, const void *data, size_t n)
{
    if (n > SIZE_MAX / 4)
        return -ENOMEM;
    if (!bytes->data || bytes->n + n + 1 > bytes->room) {
        size_t room = (bytes->n + n + 1) + (bytes->n + n) / 2;
        char *more = realloc(bytes->data, room);
        if (!more)
            return -ENOMEM;
        bytes->data = more;
        bytes->room = room;
    }
    if (n)
        memcpy(bytes->data + bytes->n, data, n);
    bytes->n += n;
    bytes->data[bytes->n] = '\0';
    return 0;
}

static inline int bytes_add_text(struct bytes *bytes, const char *text)
{
    return bytes_add(bytes, text, strlen(text));
}

/** Append @text as one word of a POSIX shell. */
static inline int bytes_add_quoted(struct bytes *bytes, const char *text)
{
    int err = bytes_add_text(bytes, "'");
    for (const char *quote; !err && (quote = strchr(text, '\'')); text = quote + 1)
        err = bytes_add(bytes, text, (size_t)(quote - text)) || bytes_add_text(bytes, "'\\''");
    return err || bytes_add_text(bytes, text) || bytes_add_text(bytes, "'") ? -ENOMEM : 0;
}

/** Add, and keep only the last @max bytes. */
static inline void bytes_add_tail(struct bytes *bytes, const char *data, size_t n, size_t max)
{
    if (n > max) {
        data += n - max;
        n = max;
    }
    if (bytes->n + n > max) {
        size_t drop = bytes->n + n - max;
        memmove(bytes->data, bytes->data + drop, bytes->n - drop);
        bytes->n -= drop;
    }
    (void)bytes_add(bytes, data, n);
}

static inline void bytes_free(struct bytes *bytes)
{
    free(bytes->data);
    *bytes = (struct bytes){0};
}

#endif
