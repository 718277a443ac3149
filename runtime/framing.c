/* SPDX-License-Identifier: MIT */
#include "runtime/framing.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

void framing_init(struct framing *framing, const char *key)
{
    memset(framing, 0, sizeof(*framing));
    memcpy(framing->key, key, FRAMING_KEY_LEN);
}

static void emit_data(const char *data, size_t n, framing_fn *fn, void *arg)
{
    if (n)
        fn(arg, &(struct framing_event){.kind = FRAMING_DATA, .data = data, .n = n});
}

/* Steps over @word. */
static bool skip(const char **at, const char *word)
{
    size_t n = strlen(word);
    if (strncmp(*at, word, n) != 0)
        return false;
    *at += n;
    return true;
}

/* Steps over digits. Return: whether there is a number of at most @max. */
static bool read_number(const char **at, uint64_t max, uint64_t *out)
{
    char *end;
    if (**at < '0' || **at > '9')
        return false;
    errno = 0;
    *out = strtoull(*at, &end, 10);
    *at = end;
    return !errno && *out <= max;
}

/* What stands behind a message's word: a number of the command, and with END and FAIL one more. */
static const struct message {
    const char *word;
    enum framing_kind kind;
    int numbers;
    bool signaled;
} messages[] = {
    {" ready", FRAMING_READY, 1, false}, {" end", FRAMING_END, 2, false},
    {" killed", FRAMING_END, 2, true},   {" serve", FRAMING_SERVE, 0, false},
    {" out", FRAMING_OUT, 0, false},     {" err", FRAMING_ERR, 0, false},
    {" armed", FRAMING_ARMED, 1, false}, {" started", FRAMING_STARTED, 1, false},
    {" fail", FRAMING_FAIL, 2, false},
};

static bool read_message(const struct message *message, const char *text,
                         struct framing_event *event)
{
    uint64_t status = 0;
    event->kind = message->kind;
    event->signaled = message->signaled;
    if (!skip(&text, message->word) ||
        (message->numbers > 0 &&
         !(skip(&text, " ") && read_number(&text, UINT64_MAX, &event->seq))) ||
        (message->numbers > 1 && !(skip(&text, " ") && read_number(&text, 255, &status))))
        return false;
    event->status = (int)status;
    return !*text && !(event->signaled && status <= 128);
}

/* The message is the text between the key and the newline: @n bytes, and a NUL behind them. */
static int emit_message(const char *text, size_t n, framing_fn *fn, void *arg)
{
    for (size_t i = 0; i < sizeof(messages) / sizeof(*messages) && strlen(text) == n; i++) {
        struct framing_event event = {0};
        if (!read_message(&messages[i], text, &event))
            continue;
        fn(arg, &event);
        return 0;
    }
    return -EPROTO;
}

/* Return: how many bytes at the end of @data could be the start of the key. */
static size_t partial_key(const struct framing *framing, const char *data, size_t n)
{
    size_t longest = n < FRAMING_KEY_LEN - 1 ? n : FRAMING_KEY_LEN - 1;
    for (size_t len = longest; len > 0; len--) {
        if (memcmp(data + n - len, framing->key, len) == 0)
            return len;
    }
    return 0;
}

/* Parse one contiguous piece. Return: bytes used up, the rest (at most a key and a message) is to
 * be held; or -EPROTO. */
static ssize_t parse(const struct framing *framing, const char *data, size_t n, framing_fn *fn,
                     void *arg)
{
    size_t done = 0;
    for (;;) {
        const char *key = memmem(data + done, n - done, framing->key, FRAMING_KEY_LEN);
        if (!key) {
            size_t keep = partial_key(framing, data + done, n - done);
            emit_data(data + done, n - done - keep, fn, arg);
            return (ssize_t)(n - keep);
        }
        emit_data(data + done, (size_t)(key - data) - done, fn, arg);
        done = (size_t)(key - data);
        const char *text = key + FRAMING_KEY_LEN;
        size_t left = n - (size_t)(text - data);
        const char *end = memchr(text, '\n', left);
        if (!end && left < FRAMING_MESSAGE_MAX)
            return (ssize_t)done;
        char message[FRAMING_MESSAGE_MAX] = "";
        if (!end || end - text >= FRAMING_MESSAGE_MAX)
            return -EPROTO;
        memcpy(message, text, (size_t)(end - text));
        if (emit_message(message, (size_t)(end - text), fn, arg))
            return -EPROTO;
        done = (size_t)(end + 1 - data);
    }
}

static int hold(struct framing *framing, const char *data, size_t n)
{
    if (n > sizeof(framing->held))
        return -EPROTO;
    memmove(framing->held, data, n);
    framing->n_held = n;
    return 0;
}

int framing_feed(struct framing *framing, const char *data, size_t n, framing_fn *fn, void *arg)
{
    /* What is held is first completed from the new bytes, in a window that is sure to hold a whole
     * message; once the window's parse reaches past the held bytes, the rest is parsed in place. */
    while (framing->n_held && n) {
        char window[2 * sizeof(framing->held)];
        size_t held = framing->n_held;
        size_t take = n < sizeof(window) - held ? n : sizeof(window) - held;
        memcpy(window, framing->held, held);
        memcpy(window + held, data, take);
        framing->n_held = 0;
        ssize_t used = parse(framing, window, held + take, fn, arg);
        if (used < 0)
            return (int)used;
        data += take;
        n -= take;
        int err = hold(framing, window + used, held + take - (size_t)used);
        if (err)
            return err;
    }
    if (!n)
        return 0;
    ssize_t used = parse(framing, data, n, fn, arg);
    return used < 0 ? (int)used : hold(framing, data + used, n - (size_t)used);
}
