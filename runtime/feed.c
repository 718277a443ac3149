/* SPDX-License-Identifier: MIT */
#include "runtime/feed.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The pipe is closed at its end; the feed is freed when it is closed and its user has let go. */
struct feed {
    uv_pipe_t pipe;
    bool ended, closing, closed, forgotten;
};

struct piece {
    uv_write_t request;
    char data[];
};

static void free_if_done(struct feed *feed)
{
    if (feed->closed && feed->forgotten)
        free(feed);
}

static void on_closed(uv_handle_t *handle)
{
    struct feed *feed = handle->data;
    feed->closed = true;
    free_if_done(feed);
}

static void close_pipe(struct feed *feed)
{
    if (!feed->closing)
        uv_close((uv_handle_t *)&feed->pipe, on_closed);
    feed->closing = true;
}

int feed_open(struct feed **out, uv_loop_t *loop, int fd)
{
    struct feed *feed = calloc(1, sizeof(*feed));
    if (!feed) {
        close(fd);
        return -ENOMEM;
    }
    uv_pipe_init(loop, &feed->pipe, 0);
    feed->pipe.data = feed;
    int err = uv_pipe_open(&feed->pipe, fd);
    if (err) {
        close(fd);
        feed_close(feed);
        return err;
    }
    *out = feed;
    return 0;
}

size_t feed_pending(const struct feed *feed)
{
    return uv_stream_get_write_queue_size((const uv_stream_t *)&feed->pipe);
}

/* A reader that has gone takes nothing more. */
static void on_written(uv_write_t *request, int status)
{
    struct feed *feed = request->handle->data;
    if (status < 0 || (feed->ended && feed_pending(feed) == 0))
        close_pipe(feed);
    free(request->data);
}

int feed_write(struct feed *feed, const void *data, size_t n)
{
    if (feed->ended)
        return -EPIPE;
    if (feed->closing || !n)
        return 0;
    struct piece *piece = malloc(sizeof(*piece) + n);
    if (!piece)
        return -ENOMEM;
    memcpy(piece->data, data, n);
    piece->request.data = piece;
    uv_buf_t buf = uv_buf_init(piece->data, (unsigned)n);
    int err = uv_write(&piece->request, (uv_stream_t *)&feed->pipe, &buf, 1, on_written);
    if (err)
        free(piece);
    return err;
}

void feed_end(struct feed *feed)
{
    feed->ended = true;
    if (feed_pending(feed) == 0)
        close_pipe(feed);
}

void feed_close(struct feed *feed)
{
    if (!feed)
        return;
    feed->forgotten = true;
    close_pipe(feed);
    free_if_done(feed);
}
