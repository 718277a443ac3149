/* SPDX-License-Identifier: MIT */
/* A container: processes of this machine set apart by namespaces (processes, mounts, host name,
 * IPC, and the network stack that it is given), under a first process of ours (guest/init.c) that
 * starts commands. User identities and files are the machine's; a confined one's commands cannot
 * write these, and being root in it gives no rights outside. It lives from one start to the next
 * end; whatever runs in it ends with it, and it ends with us, however we end. */
#ifndef QN_RUNTIME_CONTAINER_H
#define QN_RUNTIME_CONTAINER_H

#include "runtime/job.h"

#include <uv.h>

struct container;
struct timers;

enum container_end {
    CONTAINER_DOWN,    /* it was shut down, from here or from inside */
    CONTAINER_CRASHED, /* it was killed, or could not be set up */
};

/* A container is not to be closed from these. */
struct container_handler {
    /* It is set up. */
    void (*up)(void *arg);
    /* The last process in it has ended and been collected; its jobs have ended. @why: what
     * happened. */
    void (*ended)(void *arg, enum container_end end, const char *why);
};

struct container_config {
    const char *name; /* its host name */
    int program;      /* see container_program() */
    int stack;        /* its network, see stack.h; the caller's */
    bool confined;    /* see stack_open(): its commands are kept off this machine */
    const struct container_handler *handler;
    void *arg;
};

/** Return: a descriptor of the program of the first process, for any number of containers; or
 * negative errno. */
int container_program(void);

/** Start one. Commands can be given at once. Return: 0 or negative errno. */
int container_open(struct container **out, uv_loop_t *loop, struct timers *timers,
                   const struct container_config *config);

/** Kill everything in it, wait until it is gone, end its jobs, free. No callback comes after this,
 * except the ends of its jobs, which come before it returns. NULL is allowed. */
void container_close(struct container *container);

/** Start a command. Return: 0 or negative errno. */
int container_start(struct container *container, const struct job_spec *spec, struct job **out);

/** Set the content of its /etc/hosts. Return: 0 or negative errno. */
int container_set_hosts(struct container *container, const char *text, size_t n);

/** Kill everything in it. */
void container_crash(struct container *container);

/** Have every process end, by SIGTERM; by SIGKILL after @patience_ms. Return: 0 or negative errno.
 */
int container_shut_down(struct container *container, unsigned patience_ms);

/** Stop every process in it, those of later commands too; let them go on. Its network stack is the
 * kernel's and goes on. Return: 0 or negative errno. */
int container_pause(struct container *container, bool pause);

#endif
