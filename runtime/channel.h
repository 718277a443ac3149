/* SPDX-License-Identifier: MIT */
/* The command channel of one virtual machine: a plain shell on a virtio-serial port, which starts
 * the command processing units, and the jobs that run on them. One command at a time on a unit;
 * commands beyond the number of units wait their turn. See runtime/guest/ for the other side. */
#ifndef QN_RUNTIME_CHANNEL_H
#define QN_RUNTIME_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

/* The units that are there from the start, and the most there can be. Each unit's two ports hold
 * one MiB of the guest's memory. More come as they are needed, one by one: QEMU's control queue to
 * the guest has 32 places, a port's arrival may take two, and what finds no place is lost without
 * notice (measured: of 17 ports at once, the last never opened). */
#define CHANNEL_UNITS 3
#define CHANNEL_UNITS_MAX 100
#define CHANNEL_SHELL_PORT "qn.shell"

struct channel;
struct job;
struct timers;

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
    /* A held job waits in the guest for job_release(); may be NULL. */
    void (*armed)(void *arg);
    /* The end, called exactly once; the job is gone after it. */
    void (*end)(void *arg, struct job_result *result);
};

struct job_spec {
    const char *command; /* shell text without NUL bytes; copied */
    size_t n;
    bool with_stdin;    /* false: standard input is /dev/null */
    bool hold;          /* read by the guest's shell, but not begun before job_release() */
    size_t max_output;  /* bytes kept of each stream; more is dropped and the result is truncated */
    int64_t timeout_ns; /* from now, waiting for a unit included; 0: none */
    const struct job_handler *handler;
    void *arg;
};

struct channel_handler {
    /* The guest's shell answers and the first unit is ready. Called once. */
    void (*up)(void *arg);
    /* Another unit is needed: give the guest the ports qn.cN and qn.eN, then call
     * channel_plugged(). Return: 0, or a negative errno when that cannot be. */
    int (*plug)(void *arg, unsigned number);
    /* The guest cannot be commanded any more. Called at most once. */
    void (*lost)(void *arg, const char *why);
};

/** @shell_fd and @unit_fds (two a unit: qn.cN, qn.eN) are our ends of the ports' socket pairs; they
 * pass to the channel, on failure too. @max_units: how many units the guest's memory has room for.
 * Return: 0 or negative errno. */
int channel_open(struct channel **out, uv_loop_t *loop, struct timers *timers, int shell_fd,
                 const int unit_fds[CHANNEL_UNITS][2], size_t max_units,
                 const struct channel_handler *handler, void *arg);

/** The ports of unit @number were added; @fds are our ends, which pass to the channel. NULL: they
 * could not be. */
void channel_plugged(struct channel *channel, unsigned number, const int fds[2]);

/** The guest has opened or closed the port of this name. */
void channel_port_changed(struct channel *channel, const char *name, bool open);

/** End every job with @why as its error, then free. No callback comes after this. */
void channel_close(struct channel *channel, const char *why);

/** Start a command. Return: 0 or negative errno. */
int channel_start(struct channel *channel, const struct job_spec *spec, struct job **out);

/** Signal a job's process group. @signal_name without "SIG". A job that waits for a unit ends at
 * once. */
int job_kill(struct job *job, const char *signal_name);

/** Let a held job begin; its start is when the guest's word of it comes. Return: 0, or -EINVAL when
 * it is not armed. */
int job_release(struct job *job);

/** Queue bytes for standard input. Return: 0, -EPIPE when closed or absent, -ENOBUFS when the
 * command has not read JOB_STDIN_MAX bytes yet. */
#define JOB_STDIN_MAX (64u << 20)
int job_write(struct job *job, const char *data, size_t n);
/** Return: bytes of standard input that the guest has not taken yet. */
size_t job_pending(const struct job *job);
int job_close_stdin(struct job *job);

/** Send a line to the shell itself, which starts no process for it. */
int channel_shell(struct channel *channel, const char *line);

#endif
