/* SPDX-License-Identifier: MIT */
#include "runtime/control.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 16
/* Another run that ends may remove the folder between our making it and our using it. */
#define TRIES 8

struct control {
    uv_poll_t poll;
    int fd;
    void (*connected)(void *arg, int fd);
    void *arg;
};

/* A signal handler reaches nothing but globals. */
static char file[sizeof((struct sockaddr_un){0}.sun_path)];
static pid_t maker; /* of the file; a child of it has no part in that */

char *control_folder(void)
{
    const char *base = getenv("XDG_RUNTIME_DIR");
    char *path = NULL;
    int n = base && *base == '/' ? asprintf(&path, "%s/qemunet", base)
                                 : asprintf(&path, "/tmp/qemunet-%u", geteuid());
    return n < 0 ? NULL : path;
}

int control_check(const char *folder)
{
    struct stat st;
    if (lstat(folder, &st))
        return -errno;
    if (!S_ISDIR(st.st_mode))
        return -ENOTDIR;
    return st.st_uid == geteuid() && (st.st_mode & 077) == 0 ? 0 : -EPERM;
}

/* Return: whether the other end is a process of this user. */
static bool is_ours(int fd)
{
    struct ucred peer;
    socklen_t size = sizeof(peer);
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.uid == geteuid();
}

static void on_connection(uv_poll_t *poll, int status, int events)
{
    struct control *control = poll->data;
    (void)status;
    (void)events;
    int fd = accept4(control->fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0)
        return;
    if (is_ours(fd))
        control->connected(control->arg, fd);
    else
        close(fd);
}

static int set_address(struct sockaddr_un *address, const char *path)
{
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(address->sun_path))
        return -ENAMETOOLONG;
    memcpy(address->sun_path, path, strlen(path) + 1);
    return 0;
}

/* Return: a socket that listens in @folder, which is made; or negative errno. */
static int listen_in(const char *folder)
{
    struct sockaddr_un address;
    char path[sizeof(file)];
    if ((size_t)snprintf(path, sizeof(path), "%s/%d", folder, (int)getpid()) >= sizeof(path))
        return -ENAMETOOLONG;
    int err = set_address(&address, path);
    if (!err && mkdir(folder, 0700) && errno != EEXIST)
        err = -errno;
    if (!err)
        err = control_check(folder);
    if (err)
        return err;
    unlink(path); /* of a process of our number that was killed */
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) || listen(fd, BACKLOG)) {
        err = -errno;
        close(fd);
        return err;
    }
    memcpy(file, path, sizeof(file));
    maker = getpid();
    return fd;
}

int control_open(struct control **out, uv_loop_t *loop, const char *folder,
                 void (*connected)(void *arg, int fd), void *arg)
{
    struct control *control = calloc(1, sizeof(*control));
    int fd = control ? -ENOENT : -ENOMEM;
    for (int tries = 0; fd == -ENOENT && tries < TRIES; tries++)
        fd = listen_in(folder);
    int err = fd < 0 ? fd : uv_poll_init(loop, &control->poll, fd);
    if (err) {
        if (fd >= 0)
            close(fd);
        control_remove();
        free(control);
        return err;
    }
    control->fd = fd;
    control->connected = connected;
    control->arg = arg;
    control->poll.data = control;
    uv_poll_start(&control->poll, UV_READABLE, on_connection);
    uv_unref((uv_handle_t *)&control->poll);
    *out = control;
    return 0;
}

void control_remove(void)
{
    if (file[0] && maker == getpid())
        unlink(file);
}

/* The folder goes too, unless others have sockets there. */
static void remove_file(void)
{
    control_remove();
    char *slash = strrchr(file, '/');
    if (slash) {
        *slash = '\0';
        rmdir(file);
    }
    file[0] = '\0';
}

static void on_freed(uv_handle_t *handle)
{
    free(handle->data);
}

void control_close(struct control *control)
{
    if (!control)
        return;
    remove_file();
    uv_poll_stop(&control->poll);
    close(control->fd);
    uv_close((uv_handle_t *)&control->poll, on_freed);
}

int control_connect(const char *path)
{
    struct sockaddr_un address;
    int err = set_address(&address, path);
    if (err)
        return err;
    /* Not blocking: a run that hangs accepts nobody. */
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)))
        err = -errno;
    else if (!is_ours(fd))
        err = -EPERM;
    if (err)
        close(fd);
    return err ? err : fd;
}
