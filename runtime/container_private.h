/* SPDX-License-Identifier: MIT */
/* What container.c and container_job.c share. */
#ifndef QN_RUNTIME_CONTAINER_PRIVATE_H
#define QN_RUNTIME_CONTAINER_PRIVATE_H

#include "runtime/container.h"
#include "runtime/guest/init.h"

#include <sys/types.h>

/* A request that waits for room in the socket; it owns its descriptors. */
struct outgoing {
    struct outgoing *next;
    int fds[INIT_FDS_MAX];
    size_t n_fds, n;
    char data[]; /* struct init_request and its text */
};

struct container {
    uv_loop_t *loop;
    struct timers *timers;
    pid_t pid; /* of its first process, as we see it; 0: collected */
    int pidfd, socket;
    uv_poll_t *exit_watch, *socket_watch;
    struct outgoing *queue, **queue_end;
    struct container_job *jobs;
    uint32_t last_id;
    char why[160]; /* it could not be set up */
    const struct container_handler *handler;
    void *arg;
};

/** Send a request with @n bytes of text, in its turn. The descriptors pass to the container, on
 * failure too. Return: 0 or negative errno. */
int container_send(struct container *container, const struct init_request *head, const char *text,
                   size_t n, const int *fds, size_t n_fds);

/** Return: a descriptor of a file in memory that holds @n bytes, read from its start; or negative
 * errno. */
int container_file(const char *name, const void *data, size_t n);

/** What init reports of a command. */
void container_job_report(struct container *container, const struct init_report *report);

/** End every job with @why as its error. */
void container_jobs_end(struct container *container, const char *why);

#endif
