/* SPDX-License-Identifier: MIT */
/* A command on a node, whatever carries it: a virtual machine's channel (channel.h) or a container
 * (container.h). Each starts its own kind of job; what can be done with one is the same. */
#ifndef QN_RUNTIME_JOB_H
#define QN_RUNTIME_JOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct job;

enum job_stream { JOB_STDOUT, JOB_STDERR };

/* Room for the head of a Lua string. */
#define JOB_HEADROOM 24

struct job_result {
    bool has_status; /* false: the command's end was not seen, and error says why */
    int status;      /* 0-255, 128 + signal for death by a signal */
    int signal;      /* 0: none */
    bool timed_out, truncated;
    const char
        *out[2]; /* by enum job_stream; binary, also NUL-terminated; valid during the callback */
    /* Not NULL: the malloc'ed block of out, JOB_HEADROOM before it. The callback may take it and
     * leave NULL, which saves a copy. */
    char *block[2];
    size_t n_out[2];
    int64_t started, finished; /* experiment ns; started is -1 for a command that never was */
    const char *error;         /* NULL, or what went wrong; valid during the callback */
};

struct job_handler {
    /* Output as it comes; may be NULL. */
    void (*output)(void *arg, enum job_stream which, const char *data, size_t n);
    /* A held job waits on the node for job_release(); may be NULL. */
    void (*armed)(void *arg);
    /* The end, called exactly once; the job is gone after it. */
    void (*end)(void *arg, struct job_result *result);
};

struct job_spec {
    const char *command; /* shell text without NUL bytes; copied */
    size_t n;
    bool with_stdin; /* false: standard input is /dev/null */
    bool hold;       /* ready on the node, but not begun before job_release() */
    /* The command is not for a shell but for take_identity() of the machine's own program, see
     * guest/identity.h, and may have NUL bytes. Only for channel_is_served(). */
    bool identity;
    size_t max_output;  /* bytes kept of each stream; more is dropped and the result is truncated */
    int64_t timeout_ns; /* from now, waiting for its turn included; 0: none */
    const struct job_handler *handler;
    void *arg;
};

/** Signal a job's process group. @signal_name without "SIG". A job that waits for its turn ends at
 * once. */
int job_kill(struct job *job, const char *signal_name);

/** Let a held job begin; its start is when the node says that it does. Return: 0, or -EINVAL when
 * it is not armed. */
int job_release(struct job *job);

/** Queue bytes for standard input. Return: 0, -EPIPE when closed or absent, -ENOBUFS when the
 * command has not read JOB_STDIN_MAX bytes yet. */
#define JOB_STDIN_MAX (64u << 20)
int job_write(struct job *job, const char *data, size_t n);
/** Return: bytes of standard input that the node has not taken yet. */
size_t job_pending(const struct job *job);
int job_close_stdin(struct job *job);

#endif
