/* SPDX-License-Identifier: MIT */
/* libvdeplug is loaded when it is wanted, since nothing else needs it. Its functions:
 * vde_open_real(url, description, version 1, NULL), vde_datafd(), vde_close(); libvdeplug(3). */
#include "runtime/bench/vde.h"

#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define INTERFACE_VERSION 1
#define START_MS 2000
#define POLL_MS 10

typedef void *open_fn(const char *url, const char *description, int version, void *args);
typedef int fd_fn(void *connection);

/* The shell removes what the switch leaves behind, however we end. The switch ends with its
 * standard input, so that is a FIFO which has no end. */
static const char script[] = "trap 'kill $! || exit' TERM\n"
                             "mkfifo \"$0/in\"; vde_switch -s \"$0/s\" <>\"$0/in\" &\n"
                             "wait; wait; rm -r \"$0\"";

static int start_switch(struct vde *v)
{
    const char *const argv[] = {"sh", "-c", script, v->folder, NULL};
    snprintf(v->folder, sizeof(v->folder), "/tmp/qemunet-bench-XXXXXX");
    if (!mkdtemp(v->folder))
        return -errno;
    int err = child_spawn(
        &(struct child_spec){
            .argv = argv, .stdout_fd = -1, .stderr_fd = -1, .death_signal = SIGTERM},
        &v->child);
    if (err)
        rmdir(v->folder);
    return err;
}

static int connect_port(struct vde *v, int i)
{
    char url[96];
    open_fn *open_port = (open_fn *)dlsym(v->library, "vde_open_real");
    fd_fn *data_fd = (fd_fn *)dlsym(v->library, "vde_datafd");
    if (!open_port || !data_fd)
        return -ENOENT;
    snprintf(url, sizeof(url), "vde://%s/s", v->folder);
    /* The switch does not say when it listens. */
    for (int ms = 0; !v->connections[i] && ms < START_MS; ms += POLL_MS) {
        poll(NULL, 0, POLL_MS);
        v->connections[i] = open_port(url, "qemunet bench", INTERFACE_VERSION, NULL);
    }
    if (!v->connections[i])
        return -ECONNREFUSED;
    v->fds[i] = data_fd(v->connections[i]);
    return 0;
}

int vde_open(struct vde *v)
{
    v->fds[0] = v->fds[1] = -1;
    v->library = dlopen("libvdeplug.so.2", RTLD_NOW);
    if (!v->library)
        return -ENOENT;
    int err = start_switch(v);
    if (!err)
        err = connect_port(v, 0);
    return err ? err : connect_port(v, 1);
}

void vde_close(struct vde *v)
{
    fd_fn *close_port = v->library ? (fd_fn *)dlsym(v->library, "vde_close") : NULL;
    for (int i = 0; i < 2; i++) {
        if (v->connections[i] && close_port)
            close_port(v->connections[i]);
    }
    if (v->child.pid)
        child_stop(&v->child, START_MS);
    child_close(&v->child);
    if (v->library)
        dlclose(v->library);
    memset(v, 0, sizeof(*v));
    v->child.pidfd = -1;
}
