/* SPDX-License-Identifier: MIT */
#include "runtime/channel_private.h"
#include "runtime/clock.h"

#include <errno.h>
#include <stdio.h>

/* How long a killed command may take to be seen ended before its result goes without. */
#define KILL_GRACE_NS (5 * CLOCK_NS_PER_S)

static void free_job(struct job *job)
{
    timer_stop(job->channel->timers, &job->timer);
    bytes_free(&job->command);
    bytes_free(&job->stdin_wait);
    bytes_free(&job->word);
    bytes_free(&job->out[0]);
    bytes_free(&job->out[1]);
    free(job);
}

static void unlink_job(struct job *job)
{
    struct channel *channel = job->channel;
    struct job **at = &channel->queue;
    while (*at && *at != job)
        at = &(*at)->next;
    if (*at)
        *at = job->next;
    for (channel->queue_end = &channel->queue; *channel->queue_end;)
        channel->queue_end = &(*channel->queue_end)->next;
}

static void end_stdin(struct job *job)
{
    if (!job->stdin_closed && job->unit)
        unit_end_stdin(job->unit);
    job->stdin_closed = true;
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

void job_end(struct job *job, const char *error)
{
    if (job->state == JOB_ENDED)
        return;
    if (job->state == JOB_QUEUED)
        unlink_job(job);
    end_stdin(job);
    job->state = JOB_ENDED;
    if (job->unit)
        job->unit->job = NULL;
    job->result.started = job->started;
    job->result.finished = clock_now();
    job->result.error = error;
    show_output(job);
    job->handler->end(job->arg, &job->result);
    for (int i = 0; i < 2; i++)
        free(job->result.block[i]);
    free_job(job);
}

static void on_deadline(void *arg)
{
    struct job *job = arg;
    job->result.timed_out = true;
    if (job->state == JOB_QUEUED) {
        job_end(job, "timed out while it waited for one of the guest's busy command units");
    } else if (!job->killing) {
        job->killing = true;
        unit_kill(job->unit, "KILL");
        timer_start(job->channel->timers, &job->timer, clock_now() + KILL_GRACE_NS);
    } else {
        /* The unit stays busy, and is of use again should the end come after all. */
        job_end(job, "timed out, and the guest did not confirm that it was killed");
    }
}

/* Return: how many of the @n bytes belong to the line @want; *done: it is complete. */
static size_t take_word(struct job *job, const char *want, const char *data, size_t n, bool *done)
{
    size_t need = strlen(want) - job->word.n, take = n < need ? n : need;
    if (bytes_add(&job->word, data, take) || memcmp(job->word.data, want, job->word.n) != 0)
        return n; /* not its protocol: the job's deadline will end it */
    *done = job->word.n == strlen(want);
    return take;
}

void job_armed(struct job *job)
{
    if (job->hold != JOB_HELD)
        return;
    job->hold = JOB_ARMED;
    if (job->handler->armed)
        job->handler->armed(job->arg);
}

void job_begun(struct job *job)
{
    if (job->hold != JOB_RELEASED)
        return;
    job->hold = JOB_STARTED;
    job->started = clock_now();
}

/* Return: how many of the bytes were words about a held job, and not output. */
static size_t take_words(struct job *job, const char *data, size_t n)
{
    bool done = false, released = job->hold == JOB_RELEASED;
    size_t used = take_word(job, released ? "started\n" : "armed\n", data, n, &done);
    if (!done)
        return used;
    bytes_free(&job->word);
    if (released)
        job_begun(job);
    else
        job_armed(job);
    return used;
}

int job_release(struct job *job)
{
    if (job->state != JOB_RUNNING || job->hold != JOB_ARMED)
        return -EINVAL;
    job->hold = JOB_RELEASED;
    unit_release(job->unit);
    /* What it waited does not count. */
    return job->timeout_ns
               ? timer_start(job->channel->timers, &job->timer, clock_now() + job->timeout_ns)
               : 0;
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
    if (job->hold != JOB_STARTED && which == JOB_STDOUT) {
        size_t used = take_words(job, data, n);
        data += used;
        n -= used;
    }
    if (!n)
        return;
    if (!keep_output(job, &job->out[which], data, n))
        job->result.truncated = true;
    if (job->handler->output)
        job->handler->output(job->arg, which, data, n);
}

int channel_start(struct channel *channel, const struct job_spec *spec, struct job **out)
{
    struct job *job = calloc(1, sizeof(*job));
    if (!job)
        return -ENOMEM;
    if (bytes_add(&job->command, spec->command, spec->n)) {
        free(job);
        return -ENOMEM;
    }
    job->channel = channel;
    job->with_stdin = spec->with_stdin;
    job->stdin_closed = !spec->with_stdin;
    job->hold = spec->hold ? JOB_HELD : JOB_STARTED;
    job->max_output = spec->max_output;
    job->timeout_ns = spec->timeout_ns;
    job->handler = spec->handler;
    job->arg = spec->arg;
    job->started = -1;
    job->timer.fn = on_deadline;
    job->timer.arg = job;
    if (spec->timeout_ns &&
        timer_start(channel->timers, &job->timer, clock_now() + spec->timeout_ns)) {
        free_job(job);
        return -ENOMEM;
    }
    *channel->queue_end = job;
    channel->queue_end = &job->next;
    *out = job;
    channel_assign(channel);
    return 0;
}

int job_kill(struct job *job, const char *signal_name)
{
    if (job->state == JOB_QUEUED)
        job_end(job, "killed before it was started");
    else if (job->state == JOB_RUNNING)
        unit_kill(job->unit, signal_name);
    return 0;
}

int job_write(struct job *job, const char *data, size_t n)
{
    if (job->stdin_closed)
        return -EPIPE;
    if (job->state == JOB_QUEUED)
        return job->stdin_wait.n + n > JOB_STDIN_MAX ? -ENOBUFS
                                                     : bytes_add(&job->stdin_wait, data, n);
    if (stream_pending(job->unit->port[JOB_STDERR].stream) + n > JOB_STDIN_MAX)
        return -ENOBUFS;
    return unit_send_stdin(job->unit, data, n);
}

int job_close_stdin(struct job *job)
{
    end_stdin(job);
    return 0;
}

size_t job_pending(const struct job *job)
{
    return job->unit ? stream_pending(job->unit->port[JOB_STDERR].stream) : job->stdin_wait.n;
}
