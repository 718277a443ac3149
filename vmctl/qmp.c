/* SPDX-License-Identifier: MIT */
#include "vmctl/qmp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void qmp_init(struct qmp *qmp, const struct qmp_handler *handler, void *arg)
{
    *qmp = (struct qmp){.handler = handler, .arg = arg, .next_id = 1};
}

void qmp_free(struct qmp *qmp)
{
    free(qmp->line);
    qmp->line = NULL;
    qmp->used = qmp->room = 0;
}

static const char *error_text(json_t *error)
{
    const char *text = json_string_value(json_object_get(error, "desc"));
    return text ? text : "QEMU refused the command without a description";
}

static int dispatch(struct qmp *qmp, json_t *message)
{
    const char *event = json_string_value(json_object_get(message, "event"));
    json_t *error = json_object_get(message, "error");
    json_t *value = json_object_get(message, "return");
    uint64_t id = (uint64_t)json_integer_value(json_object_get(message, "id"));

    if (event)
        qmp->handler->event(qmp->arg, event, json_object_get(message, "data"));
    else if (json_object_get(message, "QMP"))
        qmp->handler->greeting(qmp->arg);
    else if (error)
        qmp->handler->reply(qmp->arg, id, NULL, error_text(error));
    else if (value)
        qmp->handler->reply(qmp->arg, id, value, NULL);
    else
        return -EPROTO;
    return 0;
}

static int take_line(struct qmp *qmp, const char *line, size_t n)
{
    if (n == 0 || (n == 1 && line[0] == '\r'))
        return 0;
    json_t *message = json_loadb(line, n, 0, NULL);
    if (!message)
        return -EPROTO;
    int err = dispatch(qmp, message);
    json_decref(message);
    return err;
}

static int append(struct qmp *qmp, const char *data, size_t n)
{
    if (qmp->used + n > QMP_LINE_MAX)
        return -EMSGSIZE;
    if (qmp->used + n > qmp->room) {
        size_t room = (qmp->used + n) * 2;
        char *line = realloc(qmp->line, room);
        if (!line)
            return -ENOMEM;
        qmp->line = line;
        qmp->room = room;
    }
    if (n)
        memcpy(qmp->line + qmp->used, data, n);
    qmp->used += n;
    return 0;
}

int qmp_feed(struct qmp *qmp, const char *data, size_t n)
{
    while (n) {
        const char *end = memchr(data, '\n', n);
        size_t part = end ? (size_t)(end - data) : n;
        int err = append(qmp, data, part);
        if (err || !end)
            return err;
        size_t used = qmp->used;
        qmp->used = 0;
        err = take_line(qmp, qmp->line, used);
        if (err)
            return err;
        data += part + 1;
        n -= part + 1;
    }
    return 0;
}

char *qmp_command(struct qmp *qmp, const char *name, json_t *arguments, uint64_t *id)
{
    json_t *message = json_pack("{s:s, s:I}", "execute", name, "id", (json_int_t)qmp->next_id);
    if (arguments)
        json_object_set_new(message, "arguments", arguments);
    char *text = message ? json_dumps(message, JSON_COMPACT) : NULL;
    json_decref(message);
    size_t n = text ? strlen(text) : 0;
    char *line = text ? realloc(text, n + 2) : NULL;
    if (!line) {
        free(text);
        return NULL;
    }
    memcpy(line + n, "\n", 2);
    *id = qmp->next_id++;
    return line;
}
