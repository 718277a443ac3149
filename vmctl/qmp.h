/* SPDX-License-Identifier: MIT */
/* The QEMU Machine Protocol's wire form: bytes in, replies and events out. Knows no socket.
 * https://www.qemu.org/docs/master/interop/qmp-spec.html */
#ifndef QN_VMCTL_QMP_H
#define QN_VMCTL_QMP_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

/* QEMU's messages are lines of a few KB; a longer one is not QEMU speaking. */
#define QMP_LINE_MAX (1 << 20)

struct qmp_handler {
    /* The greeting came; capabilities must be negotiated with qmp_command("qmp_capabilities"). */
    void (*greeting)(void *arg);
    /* An answer to command @id. @error is QEMU's description, NULL on success. Borrowed values. */
    void (*reply)(void *arg, uint64_t id, json_t *value, const char *error);
    /* An event. @data may be NULL. Borrowed values. */
    void (*event)(void *arg, const char *name, json_t *data);
};

struct qmp {
    const struct qmp_handler *handler;
    void *arg;
    char *line;
    size_t used, room;
    uint64_t next_id;
};

/** @arg is handed to every function of @handler; both must outlive @qmp. */
void qmp_init(struct qmp *qmp, const struct qmp_handler *handler, void *arg);
void qmp_free(struct qmp *qmp);

/** Take bytes from the socket; calls the handler for each whole message.
 * Return: 0, -EPROTO for what is not QMP, -EMSGSIZE for an endless line. */
int qmp_feed(struct qmp *qmp, const char *data, size_t n);

/** Make a command's line.
 * @arguments  an object, whose reference is taken, or NULL
 * @id         gets the number that its reply will carry
 * Return: a malloc'ed line with its newline, for the caller to free; NULL without memory. */
char *qmp_command(struct qmp *qmp, const char *name, json_t *arguments, uint64_t *id);

#endif
