/* SPDX-License-Identifier: MIT */
/* A byte stream on the loop over a connected descriptor: socket pair or pipe. */
#ifndef QN_RUNTIME_STREAM_H
#define QN_RUNTIME_STREAM_H

#include <stddef.h>
#include <uv.h>

struct stream;

struct stream_handler {
    /* Bytes came. The stream may be closed from here. */
    void (*data)(void *arg, const char *data, size_t n);
    /* The other end has closed, or failed with @err (negative errno; 0: orderly). Called once. */
    void (*end)(void *arg, int err);
};

/** Start reading @fd, whose ownership passes to the stream (closed on failure too).
 * Return: 0 or negative errno. */
int stream_open(struct stream **out, uv_loop_t *loop, int fd, const struct stream_handler *handler,
                void *arg);

/** Queue a copy of @data. Return: 0 or negative errno. */
int stream_write(struct stream *stream, const void *data, size_t n);

/** Send @data, of at least one byte, with a copy of the descriptor @pass (SCM_RIGHTS) at once;
 * bytes that the socket has no room for are queued. Return: 0, -EAGAIN when earlier bytes are still
 * queued or the socket is full, or negative errno.
 */
int stream_send_fd(struct stream *stream, const void *data, size_t n, int pass);

/** Return: bytes queued and not yet taken by the other end. */
size_t stream_pending(const struct stream *stream);

/** The other end sees the end once it has taken what is queued; nothing more may be written.
 * Return: 0 or negative errno. */
int stream_finish(struct stream *stream);

/** Return: the descriptor, still the stream's; -1 for NULL. */
int stream_fd(const struct stream *stream);

/** Close and free; no callback comes after this. NULL is allowed. Sets nothing: forget the pointer.
 */
void stream_close(struct stream *stream);

#endif
