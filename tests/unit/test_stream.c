/* SPDX-License-Identifier: MIT */
#include "runtime/stream.h"
#include "tests/unit/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* A stream and what came on it. */
struct probe {
    struct stream *stream;
    char text[256];
    size_t n, wanted; /* done once so much has come */
    bool done, ended, close_on_data, close_on_end;
    int err, calls;
};

static uv_loop_t loop;

static void on_data(void *arg, const char *data, size_t n)
{
    struct probe *probe = arg;
    probe->calls++;
    if (probe->n + n < sizeof(probe->text))
        memcpy(probe->text + probe->n, data, n);
    probe->n += n;
    if (probe->close_on_data)
        stream_close(probe->stream);
    probe->done = probe->n >= probe->wanted;
}

static void on_end(void *arg, int err)
{
    struct probe *probe = arg;
    CHECK(!probe->ended);
    probe->ended = true;
    probe->err = err;
    if (probe->close_on_end)
        stream_close(probe->stream);
}

static const struct stream_handler handler = {.data = on_data, .end = on_end};

/* Return: the other end's descriptor. */
static int open_probe(struct probe *probe)
{
    int fds[2];
    CHECK_INT(uv_loop_init(&loop), 0);
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    CHECK_INT(stream_open(&probe->stream, &loop, fds[0], &handler, probe), 0);
    CHECK_INT(stream_fd(probe->stream), fds[0]);
    return fds[1];
}

static void data_and_end(void)
{
    struct probe probe = {.wanted = 10};
    int fd = open_probe(&probe);
    CHECK_INT(write(fd, "hello", 5), 5);
    CHECK_INT(write(fd, "\0\377abc", 5), 5);
    loop_until(&loop, &probe.done);
    CHECK(memcmp(probe.text, "hello\0\377abc", 10) == 0);
    CHECK(!probe.ended);
    close(fd);
    loop_until(&loop, &probe.ended);
    CHECK_INT(probe.err, 0);
    stream_close(probe.stream);
    loop_close(&loop);
}

static void last_words_come_before_the_end(void)
{
    struct probe probe = {.wanted = 4};
    int fd = open_probe(&probe);
    CHECK_INT(write(fd, "last", 4), 4);
    close(fd);
    loop_until(&loop, &probe.ended);
    CHECK_INT(probe.n, 4);
    stream_close(probe.stream);
    loop_close(&loop);
}

static void writes_arrive_in_order(void)
{
    struct probe probe = {.wanted = 1};
    char text[16] = "";
    int fd = open_probe(&probe);
    char *data = strdup("one "); /* a copy is queued: the text may go */
    CHECK_INT(stream_write(probe.stream, data, 4), 0);
    free(data);
    CHECK_INT(stream_write(probe.stream, "two", 3), 0);
    CHECK_INT(write(fd, "x", 1), 1);
    loop_until(&loop, &probe.done);
    CHECK_INT(read(fd, text, sizeof(text)), 7);
    CHECK_STR(text, "one two");
    stream_close(probe.stream);
    loop_close(&loop);
    close(fd);
}

/* More than a socket holds: what is left is counted, and goes once the other end reads. */
static void pending_is_what_the_other_end_has_not_taken(void)
{
    enum { SIZE = 8 << 20 };
    struct probe probe = {.wanted = 1};
    int fd = open_probe(&probe);
    char *data = malloc(SIZE);
    memset(data, 'd', SIZE);
    CHECK_INT(stream_pending(probe.stream), 0);
    CHECK_INT(stream_write(probe.stream, data, SIZE), 0);
    size_t pending = stream_pending(probe.stream), taken = 0;
    CHECK(pending > 0 && pending <= SIZE);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    while (taken < SIZE) {
        ssize_t n = read(fd, data, SIZE);
        if (n > 0)
            taken += (size_t)n;
        else if (uv_run(&loop, UV_RUN_NOWAIT) == 0)
            break;
    }
    CHECK_INT(taken, SIZE);
    CHECK_INT(stream_pending(probe.stream), 0);
    free(data);
    stream_close(probe.stream);
    loop_close(&loop);
    close(fd);
}

/* Return: how many bytes of @size came, with no more than one descriptor, which is closed. */
static size_t receive_all(int fd, size_t size, int *descriptors)
{
    static char data[1 << 16];
    size_t taken = 0;
    while (taken < size) {
        union {
            struct cmsghdr align;
            char bytes[CMSG_SPACE(sizeof(int))];
        } control;
        struct iovec part = {data, sizeof(data)};
        struct msghdr message = {.msg_iov = &part,
                                 .msg_iovlen = 1,
                                 .msg_control = control.bytes,
                                 .msg_controllen = sizeof(control.bytes)};
        ssize_t n = recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (n <= 0 && uv_run(&loop, UV_RUN_NOWAIT) == 0)
            break;
        taken += n > 0 ? (size_t)n : 0;
        for (struct cmsghdr *c = n > 0 ? CMSG_FIRSTHDR(&message) : NULL; c;
             c = CMSG_NXTHDR(&message, c)) {
            int got;
            memcpy(&got, CMSG_DATA(c), sizeof(got));
            CHECK_INT(close(got), 0);
            ++*descriptors;
        }
    }
    return taken;
}

/* More than a socket holds: the rest goes once the other end reads. */
static void a_descriptor_goes_with_any_number_of_bytes(void)
{
    enum { SIZE = 8 << 20 };
    struct probe probe = {0};
    int fd = open_probe(&probe), descriptors = 0;
    char *data = calloc(1, SIZE);
    CHECK_INT(stream_send_fd(probe.stream, data, SIZE, fd), 0);
    CHECK(stream_pending(probe.stream) > 0);
    CHECK_INT(stream_send_fd(probe.stream, data, 1, fd), -EAGAIN);
    CHECK_INT(receive_all(fd, SIZE, &descriptors), SIZE);
    CHECK_INT(descriptors, 1);
    free(data);
    stream_close(probe.stream);
    loop_close(&loop);
    close(fd);
}

static void close_inside_the_data_callback(void)
{
    struct probe probe = {.wanted = 1, .close_on_data = true};
    int fd = open_probe(&probe);
    CHECK_INT(write(fd, "a", 1), 1);
    loop_until(&loop, &probe.done);
    (void)!write(fd, "b", 1);
    close(fd);
    loop_close(&loop);
    CHECK_INT(probe.calls, 1);
    CHECK(!probe.ended);
}

static void close_inside_the_end_callback(void)
{
    struct probe probe = {.close_on_end = true};
    int fd = open_probe(&probe);
    close(fd);
    loop_until(&loop, &probe.ended);
    loop_close(&loop);
}

static void close_with_writes_queued(void)
{
    static char data[4 << 20];
    struct probe probe = {0};
    int fd = open_probe(&probe);
    CHECK_INT(stream_write(probe.stream, data, sizeof(data)), 0);
    CHECK(stream_pending(probe.stream) > 0);
    stream_close(probe.stream);
    stream_close(NULL);
    loop_close(&loop);
    CHECK(!probe.ended);
    close(fd);
}

static void a_broken_stream_ends_once(void)
{
    struct probe probe = {0};
    int fd = open_probe(&probe);
    close(fd);
    CHECK_INT(stream_write(probe.stream, "x", 1), 0);
    loop_until(&loop, &probe.ended);
    (void)stream_write(probe.stream, "y", 1);
    stream_close(probe.stream);
    loop_close(&loop);
}

/* Also then nothing stays on the loop. */
static void a_descriptor_that_is_none(void)
{
    struct stream *stream = NULL;
    CHECK_INT(uv_loop_init(&loop), 0);
    CHECK_INT(stream_open(&stream, &loop, -1, &handler, NULL), -EBADF);
    CHECK(stream == NULL);
    CHECK_INT(stream_fd(NULL), -1);
    loop_close(&loop);
}

static const struct check_test tests[] = {
    {"data, then the end", data_and_end},
    {"the last words come before the end", last_words_come_before_the_end},
    {"writes are copied and arrive in order", writes_arrive_in_order},
    {"pending is what the other end has not taken", pending_is_what_the_other_end_has_not_taken},
    {"a descriptor goes with any number of bytes", a_descriptor_goes_with_any_number_of_bytes},
    {"close inside the data callback", close_inside_the_data_callback},
    {"close inside the end callback", close_inside_the_end_callback},
    {"close with writes queued", close_with_writes_queued},
    {"a broken stream ends once", a_broken_stream_ends_once},
    {"a descriptor that is none is refused", a_descriptor_that_is_none},
};

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    loop_prepare();
    return check_run(tests, sizeof(tests) / sizeof(*tests));
}
