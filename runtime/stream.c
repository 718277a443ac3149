/* SPDX-License-Identifier: MIT */
#include "runtime/stream.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define STREAM_READ_SIZE 65536

struct stream {
    uv_pipe_t pipe;
    const struct stream_handler *handler;
    void *arg;
    bool ended, closed;
    uv_shutdown_t shutdown;
    char buffer[STREAM_READ_SIZE];
};

struct write_request {
    uv_write_t req;
    char data[];
};

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct stream *stream = handle->data;
    (void)suggested;
    *buf = uv_buf_init(stream->buffer, sizeof(stream->buffer));
}

static void end(struct stream *stream, int err)
{
    if (stream->ended || stream->closed)
        return;
    stream->ended = true;
    uv_read_stop((uv_stream_t *)&stream->pipe);
    stream->handler->end(stream->arg, err);
}

static void on_read(uv_stream_t *handle, ssize_t n, const uv_buf_t *buf)
{
    struct stream *stream = handle->data;
    if (n > 0)
        stream->handler->data(stream->arg, buf->base, (size_t)n);
    else if (n < 0)
        end(stream, n == UV_EOF ? 0 : (int)n);
}

static void on_freed(uv_handle_t *handle)
{
    free(handle->data);
}

int stream_open(struct stream **out, uv_loop_t *loop, int fd, const struct stream_handler *handler,
                void *arg)
{
    struct stream *stream = calloc(1, sizeof(*stream));
    if (!stream) {
        close(fd);
        return -ENOMEM;
    }
    stream->handler = handler;
    stream->arg = arg;
    uv_pipe_init(loop, &stream->pipe, 0);
    stream->pipe.data = stream;
    int err = uv_pipe_open(&stream->pipe, fd);
    if (err)
        close(fd);
    else
        err = uv_read_start((uv_stream_t *)&stream->pipe, on_alloc, on_read);
    if (err) {
        stream_close(stream);
        return err;
    }
    *out = stream;
    return 0;
}

static void on_written(uv_write_t *req, int status)
{
    (void)status; /* a broken stream is reported once, by the reading side */
    free(req->data);
}

int stream_write(struct stream *stream, const void *data, size_t n)
{
    struct write_request *request = malloc(sizeof(*request) + n);
    if (!request)
        return -ENOMEM;
    memcpy(request->data, data, n);
    request->req.data = request;
    uv_buf_t buf = uv_buf_init(request->data, (unsigned)n);
    int err = uv_write(&request->req, (uv_stream_t *)&stream->pipe, &buf, 1, on_written);
    if (err)
        free(request);
    return err;
}

int stream_send_fd(struct stream *stream, const void *data, size_t n, int pass)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct iovec part = {(void *)data, n};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof(control.bytes)};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(header), &pass, sizeof(int));
    if (stream_pending(stream))
        return -EAGAIN;
    ssize_t sent = sendmsg(stream_fd(stream), &message, MSG_NOSIGNAL);
    if (sent < 0)
        return -errno;
    if ((size_t)sent == n)
        return 0;
    return stream_write(stream, (const char *)data + sent, n - (size_t)sent);
}

size_t stream_pending(const struct stream *stream)
{
    return uv_stream_get_write_queue_size((const uv_stream_t *)&stream->pipe);
}

int stream_finish(struct stream *stream)
{
    return uv_shutdown(&stream->shutdown, (uv_stream_t *)&stream->pipe, NULL);
}

int stream_fd(const struct stream *stream)
{
    uv_os_fd_t fd;
    if (!stream || uv_fileno((const uv_handle_t *)&stream->pipe, &fd))
        return -1;
    return fd;
}

void stream_close(struct stream *stream)
{
    if (!stream || stream->closed)
        return;
    stream->closed = true;
    uv_close((uv_handle_t *)&stream->pipe, on_freed);
}
