/* SPDX-License-Identifier: MIT */
/* QEMU's bytes, taken whole and byte by byte: both must give the same. */
#include "vmctl/qmp.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct tally {
    size_t greetings, replies, errors, events, names;
    uint64_t ids;
};

static void on_greeting(void *arg)
{
    ((struct tally *)arg)->greetings++;
}

static void on_reply(void *arg, uint64_t id, json_t *value, const char *error)
{
    struct tally *tally = arg;
    if (!value == !error)
        abort();
    if (error)
        tally->errors += strlen(error) + 1;
    else
        tally->replies++;
    tally->ids += id;
}

static void on_event(void *arg, const char *name, json_t *data)
{
    struct tally *tally = arg;
    (void)data;
    tally->events++;
    tally->names += strlen(name);
}

static const struct qmp_handler handler = {on_greeting, on_reply, on_event};

static int feed(struct tally *tally, const uint8_t *data, size_t size, size_t piece)
{
    struct qmp qmp;
    int err = 0;
    qmp_init(&qmp, &handler, tally);
    for (size_t at = 0; at < size && !err; at += piece)
        err = qmp_feed(&qmp, (const char *)data + at, size - at < piece ? size - at : piece);
    qmp_free(&qmp);
    return err;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tally whole = {0}, parts = {0};
    int err = feed(&whole, data, size, size ? size : 1);
    if (feed(&parts, data, size, 1) != err || memcmp(&whole, &parts, sizeof(whole)) != 0)
        abort();
    return 0;
}
