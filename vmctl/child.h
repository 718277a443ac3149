/* SPDX-License-Identifier: MIT */
/* A child process that cannot outlive us: started with a parent-death signal, watched by a pidfd.
 */
#ifndef QN_VMCTL_CHILD_H
#define QN_VMCTL_CHILD_H

#include <stddef.h>
#include <sys/types.h>

struct child {
    pid_t pid; /* 0: none */
    int pidfd; /* readable once the process has ended; owned; -1: none */
};

struct child_spec {
    const char *const *argv; /* NULL-terminated; argv[0] is looked up on PATH */
    const int *inherit;      /* descriptors that the child keeps under the same numbers */
    size_t n_inherit;
    int stdin_fd;     /* where the child's standard input comes from; 0: /dev/null */
    int stdout_fd;    /* where its standard output goes; -1: /dev/null */
    int stderr_fd;    /* likewise */
    int death_signal; /* sent by the kernel when we die, however we die */
};

/** Start a process in a session of its own.
 * @out  filled in on success; pass to child_close() after child_reap()
 * Return: 0, or a negative errno (of fork or of the exec itself). */
int child_spawn(const struct child_spec *spec, struct child *out);

/** In a process that was just forked by @parent: a session of its own, no signal handled or
 * blocked, and @sig when the parent dies. Return: 0, or -1 when it has died already. */
int child_detach(pid_t parent, int sig);

/** Collect an ended process without waiting.
 * @status  the wait status, as from waitpid()
 * Return: 1 when collected, 0 when it still runs, negative errno on failure. */
int child_reap(struct child *child, int *status);

/** SIGTERM, then SIGKILL after @grace_ms if it still runs; collects it. Safe on a child that is
 * gone. */
void child_stop(struct child *child, int grace_ms);

/** Release the pidfd. Idempotent. */
void child_close(struct child *child);

#endif
