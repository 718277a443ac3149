/* SPDX-License-Identifier: MIT */
#include "runtime/input_watch.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

static void on_freed(uv_handle_t *handle)
{
    free(handle);
}

/* Return: a descriptor that is readable when the standard input is, or negative errno. */
static int watch_input(void)
{
    struct epoll_event event = {.events = EPOLLIN};
    int fd = epoll_create1(EPOLL_CLOEXEC);
    if (fd < 0)
        return -errno;
    if (epoll_ctl(fd, EPOLL_CTL_ADD, STDIN_FILENO, &event)) {
        int err = -errno;
        close(fd);
        return err;
    }
    return fd;
}

int input_watch_open(struct input_watch *watch, uv_loop_t *loop, void *data)
{
    *watch = (struct input_watch){.fd = -1};
    int fd = watch_input();
    if (fd < 0)
        return fd;
    uv_poll_t *poll = malloc(sizeof(*poll));
    int err = poll ? uv_poll_init(loop, poll, fd) : -ENOMEM;
    if (err) {
        free(poll);
        close(fd);
        return err;
    }
    poll->data = data;
    *watch = (struct input_watch){.poll = poll, .fd = fd};
    return 0;
}

void input_watch_close(struct input_watch *watch)
{
    if (!watch->poll)
        return;
    uv_close((uv_handle_t *)watch->poll, on_freed);
    close(watch->fd);
    watch->poll = NULL;
}
