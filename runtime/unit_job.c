/* SPDX-License-Identifier: MIT */
#include "runtime/channel_private.h"
#include "runtime/clock.h"

#include <errno.h>
#include <stdio.h>

/* The job that @base, a pointer to its first member, is. */
static struct unit_job *job_of(struct job *base)
{
    return (struct unit_job *)base;
}

static void free_job(struct unit_job *job)
{
    bytes_free(&job->command);
    bytes_free(&job->stdin_wait);
    bytes_free(&job->word);
    free(job);
}

static void unlink_job(struct unit_job *job)
{
    struct channel *channel = job->channel;
    struct unit_job **at = &channel->queue;
    while (*at && *at != job)
        at = &(*at)->next;
    if (*at)
        *at = job->next;
    for (channel->queue_end = &channel->queue; *channel->queue_end;)
        channel->queue_end = &(*channel->queue_end)->next;
}

static void end_stdin(struct unit_job *job)
{
    if (!job->stdin_closed && job->unit)
        unit_end_stdin(job->unit);
    job->stdin_closed = true;
}

void unit_job_end(struct unit_job *job, const char *error)
{
    if (job->state == JOB_ENDED)
        return;
    if (job->state == JOB_QUEUED)
        unlink_job(job);
    end_stdin(job);
    job->state = JOB_ENDED;
    if (job->unit)
        job->unit->job = NULL;
    job_deliver(&job->base, error);
    free_job(job);
}

static void expire(struct job *base)
{
    struct unit_job *job = job_of(base);
    if (job->state == JOB_QUEUED) {
        unit_job_end(job, "timed out while it waited for one of the guest's busy command units");
    } else if (!job->killing) {
        job->killing = true;
        unit_kill(job->unit, "KILL");
        job_give_grace(base);
    } else {
        /* The unit stays busy, and is of use again should the end come after all. */
        unit_job_end(job, "timed out, and the guest did not confirm that it was killed");
    }
}

/* Return: how many of the @n bytes belong to the line @want; *done: it is complete. */
static size_t take_word(struct unit_job *job, const char *want, const char *data, size_t n,
                        bool *done)
{
    size_t need = strlen(want) - job->word.n, take = n < need ? n : need;
    if (bytes_add(&job->word, data, take) || memcmp(job->word.data, want, job->word.n) != 0)
        return n; /* not its protocol: the job's deadline will end it */
    *done = job->word.n == strlen(want);
    return take;
}

void unit_job_armed(struct unit_job *job)
{
    if (job->hold != JOB_HELD)
        return;
    job->hold = JOB_ARMED;
    if (job->base.handler->armed)
        job->base.handler->armed(job->base.arg);
}

void unit_job_begun(struct unit_job *job)
{
    if (job->hold != JOB_RELEASED)
        return;
    job->hold = JOB_STARTED;
    job->base.started = clock_now();
}

/* Return: how many of the bytes were words about a held job, and not output. */
static size_t take_words(struct unit_job *job, const char *data, size_t n)
{
    bool done = false, released = job->hold == JOB_RELEASED;
    size_t used = take_word(job, released ? "started\n" : "armed\n", data, n, &done);
    if (!done)
        return used;
    bytes_free(&job->word);
    if (released)
        unit_job_begun(job);
    else
        unit_job_armed(job);
    return used;
}

static int release(struct job *base)
{
    struct unit_job *job = job_of(base);
    if (job->state != JOB_RUNNING || job->hold != JOB_ARMED)
        return -EINVAL;
    job->hold = JOB_RELEASED;
    unit_release(job->unit);
    return job_restart_deadline(base); /* what it waited does not count */
}

void unit_job_take(struct unit_job *job, enum job_stream which, const char *data, size_t n)
{
    if (job->hold != JOB_STARTED && which == JOB_STDOUT) {
        size_t used = take_words(job, data, n);
        data += used;
        n -= used;
    }
    job_take_output(&job->base, which, data, n);
}

static int kill_job(struct job *base, const char *signal_name)
{
    struct unit_job *job = job_of(base);
    if (job->state == JOB_QUEUED)
        unit_job_end(job, "killed before it was started");
    else if (job->state == JOB_RUNNING)
        unit_kill(job->unit, signal_name);
    return 0;
}

static int write_stdin(struct job *base, const char *data, size_t n)
{
    struct unit_job *job = job_of(base);
    if (job->stdin_closed)
        return -EPIPE;
    if (job->state == JOB_QUEUED)
        return job->stdin_wait.n + n > JOB_STDIN_MAX ? -ENOBUFS
                                                     : bytes_add(&job->stdin_wait, data, n);
    if (stream_pending(job->unit->port[JOB_STDERR].stream) + n > JOB_STDIN_MAX)
        return -ENOBUFS;
    return unit_send_stdin(job->unit, data, n);
}

static int close_stdin(struct job *base)
{
    end_stdin(job_of(base));
    return 0;
}

static size_t pending(const struct job *base)
{
    const struct unit_job *job = (const struct unit_job *)base;
    return job->unit ? stream_pending(job->unit->port[JOB_STDERR].stream) : job->stdin_wait.n;
}

static const struct job_class class = {.kill = kill_job,
                                       .release = release,
                                       .write = write_stdin,
                                       .pending = pending,
                                       .close_stdin = close_stdin,
                                       .expire = expire};

int channel_start(struct channel *channel, const struct job_spec *spec, struct job **out)
{
    struct unit_job *job = calloc(1, sizeof(*job));
    if (!job)
        return -ENOMEM;
    job->channel = channel;
    job->with_stdin = spec->with_stdin;
    job->identity = spec->identity;
    job->stdin_closed = !spec->with_stdin;
    job->hold = spec->hold ? JOB_HELD : JOB_STARTED;
    if (bytes_add(&job->command, spec->command, spec->n) ||
        job_init(&job->base, &class, channel->timers, spec)) {
        free_job(job);
        return -ENOMEM;
    }
    *channel->queue_end = job;
    channel->queue_end = &job->next;
    *out = &job->base;
    channel_assign(channel);
    return 0;
}
