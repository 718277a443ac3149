/* SPDX-License-Identifier: MIT */
/* Takes apart what one port of a command processing unit sends: output of commands, and between it
 * the unit's own messages, told apart by a key of 128 random bits that no command sees. The guest
 * is not trusted: whatever bytes come, memory stays bounded and the parse goes on or ends in an
 * error. */
#ifndef QN_RUNTIME_FRAMING_H
#define QN_RUNTIME_FRAMING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One byte that text seldom holds, then 32 hexadecimal digits: output is held back, waiting for the
 * rest of a key, only when it ends with such a byte. */
#define FRAMING_KEY_LEN 33
/* The longest message behind a key: " started SEQ\n" and the like, with two numbers of at most 20
 * digits.
 */
#define FRAMING_MESSAGE_MAX 64

/* SERVE: a unit of serve.c has begun. OUT, ERR: the stream whose bytes follow. ARMED, STARTED: of a
 * held command. FAIL: a command that could not be started. */
enum framing_kind {
    FRAMING_DATA,
    FRAMING_READY,
    FRAMING_END,
    FRAMING_SERVE,
    FRAMING_OUT,
    FRAMING_ERR,
    FRAMING_ARMED,
    FRAMING_STARTED,
    FRAMING_FAIL
};

struct framing_event {
    enum framing_kind kind;
    const char *data; /* DATA: the bytes, valid during the callback */
    size_t n;
    uint64_t seq;  /* number of the command in its unit, where the message has one */
    int status;    /* END: 0-255; FAIL: errno */
    bool signaled; /* END: ended by signal status - 128 */
};

struct framing {
    char key[FRAMING_KEY_LEN + 1];
    char held[FRAMING_KEY_LEN + FRAMING_MESSAGE_MAX];
    size_t n_held;
};

typedef void framing_fn(void *arg, const struct framing_event *event);

/** @key is a string of FRAMING_KEY_LEN bytes. */
void framing_init(struct framing *framing, const char *key);

/** Take @n bytes; calls @fn for each event in order.
 * Return: 0, or -EPROTO for a key followed by no message that a unit sends. */
int framing_feed(struct framing *framing, const char *data, size_t n, framing_fn *fn, void *arg);

#endif
