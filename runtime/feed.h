/* SPDX-License-Identifier: MIT */
/* Bytes on their way into a pipe, as a process takes them. */
#ifndef QN_RUNTIME_FEED_H
#define QN_RUNTIME_FEED_H

#include <stddef.h>
#include <uv.h>

struct feed;

/** @fd: the pipe's end to write to, which passes to the feed (closed on failure too).
 * Return: 0 or negative errno. */
int feed_open(struct feed **out, uv_loop_t *loop, int fd);

/** Queue a copy of @data. What comes after the reader's end is dropped.
 * Return: 0, -EPIPE after feed_end(), or negative errno. */
int feed_write(struct feed *feed, const void *data, size_t n);

/** The reader finds the end when it has taken what was written. */
void feed_end(struct feed *feed);

/** Return: bytes queued and not yet taken. */
size_t feed_pending(const struct feed *feed);

/** Drop what is queued, close and free. NULL is allowed. Sets nothing: forget the pointer. */
void feed_close(struct feed *feed);

#endif
