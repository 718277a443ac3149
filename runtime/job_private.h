/* SPDX-License-Identifier: MIT */
/* What every kind of job starts with. A kind embeds struct job as its first member. */
#ifndef QN_RUNTIME_JOB_PRIVATE_H
#define QN_RUNTIME_JOB_PRIVATE_H

#include "runtime/bytes.h"
#include "runtime/job.h"
#include "runtime/timers.h"

/* How long a killed command may take to be seen ended before its result goes without. */
#define JOB_KILL_GRACE_NS (5 * CLOCK_NS_PER_S)

/* See job.h for all but the last. */
struct job_class {
    int (*kill)(struct job *job, const char *signal_name);
    int (*release)(struct job *job);
    int (*write)(struct job *job, const char *data, size_t n);
    size_t (*pending)(const struct job *job);
    int (*close_stdin)(struct job *job);
    /* Its deadline has passed; result.timed_out is set. */
    void (*expire)(struct job *job);
};

struct job {
    const struct job_class *class;
    struct timers *timers;
    struct timer timer;
    struct bytes out[2];
    size_t max_output;
    int64_t timeout_ns; /* 0: none */
    int64_t started;    /* -1: not yet */
    struct job_result result;
    const struct job_handler *handler;
    void *arg;
};

/** Fill in a zeroed job and start its deadline. Return: 0 or -ENOMEM. */
int job_init(struct job *job, const struct job_class *class, struct timers *timers,
             const struct job_spec *spec);

/** Set its deadline to its whole timeout from now on. Return: 0 or -ENOMEM. */
int job_restart_deadline(struct job *job);

/** Give a job whose deadline has passed, and which was killed, time to be seen ended. */
void job_give_grace(struct job *job);

/** Keep output, within the job's bound, and pass it on. */
void job_take_output(struct job *job, enum job_stream which, const char *data, size_t n);

/** Hand the result over and free what the base holds; the job itself is the kind's to free.
 * @error: NULL, or why its end was not seen. */
void job_deliver(struct job *job, const char *error);

#endif
