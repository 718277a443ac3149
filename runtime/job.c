/* SPDX-License-Identifier: MIT */
#include "runtime/job_private.h"

#include "runtime/clock.h"

static void on_deadline(void *arg)
{
    struct job *job = arg;
    job->result.timed_out = true;
    job->class->expire(job);
}

int job_init(struct job *job, const struct job_class *class, struct timers *timers,
             const struct job_spec *spec)
{
    job->class = class;
    job->timers = timers;
    job->max_output = spec->max_output;
    job->timeout_ns = spec->timeout_ns;
    job->handler = spec->handler;
    job->arg = spec->arg;
    job->started = -1;
    job->timer.fn = on_deadline;
    job->timer.arg = job;
    return job_restart_deadline(job);
}

int job_restart_deadline(struct job *job)
{
    return job->timeout_ns ? timer_start(job->timers, &job->timer, clock_now() + job->timeout_ns)
                           : 0;
}

void job_give_grace(struct job *job)
{
    timer_start(job->timers, &job->timer, clock_now() + JOB_KILL_GRACE_NS);
}

/* Return: whether all of it could be kept. */
static bool keep_output(const struct job *job, struct bytes *out, const char *data, size_t n)
{
    static const char headroom[JOB_HEADROOM];
    if (!out->n && bytes_add(out, headroom, sizeof(headroom)))
        return false;
    size_t room = job->max_output - (out->n - JOB_HEADROOM), keep = n < room ? n : room;
    return !bytes_add(out, data, keep) && keep == n;
}

void job_take_output(struct job *job, enum job_stream which, const char *data, size_t n)
{
    if (!n)
        return;
    if (!keep_output(job, &job->out[which], data, n))
        job->result.truncated = true;
    if (job->handler->output)
        job->handler->output(job->arg, which, data, n);
}

/* The blocks become the result's. */
static void show_output(struct job *job)
{
    for (int i = 0; i < 2; i++) {
        struct bytes *out = &job->out[i];
        bool some = out->n > JOB_HEADROOM;
        job->result.block[i] = out->data;
        job->result.out[i] = some ? out->data + JOB_HEADROOM : "";
        job->result.n_out[i] = some ? out->n - JOB_HEADROOM : 0;
        *out = (struct bytes){0};
    }
}

void job_deliver(struct job *job, const char *error)
{
    timer_stop(job->timers, &job->timer);
    job->result.started = job->started;
    job->result.finished = clock_now();
    job->result.error = error;
    show_output(job);
    job->handler->end(job->arg, &job->result);
    for (int i = 0; i < 2; i++)
        free(job->result.block[i]);
}

int job_kill(struct job *job, const char *signal_name)
{
    return job->class->kill(job, signal_name);
}

int job_release(struct job *job)
{
    return job->class->release(job);
}

int job_write(struct job *job, const char *data, size_t n)
{
    return job->class->write(job, data, n);
}

size_t job_pending(const struct job *job)
{
    return job->class->pending(job);
}

int job_close_stdin(struct job *job)
{
    return job->class->close_stdin(job);
}
