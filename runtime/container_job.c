/* SPDX-License-Identifier: MIT */
#include "runtime/clock.h"
#include "runtime/command.h"
#include "runtime/container_private.h"
#include "runtime/feed.h"
#include "runtime/guest/signals.h"
#include "runtime/job_private.h"
#include "runtime/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* A longer command goes to its shell another way than in a message, or as an argument, of which
 * Linux takes 128 KiB. Its words are no longer than it is. */
#define TEXT_MAX (INIT_MESSAGE_MAX / 2 - 256)
#define DRAIN_CHUNK 65536

/* STARTED at once when it is not held; otherwise HELD -> ARMED (init says it is ready) -> RELEASED
 * -> STARTED (init says when). */
enum hold { STARTED, HELD, ARMED, RELEASED };

struct output {
    struct container_job *job;
    enum job_stream which;
    struct stream *stream; /* NULL: ended */
};

struct container_job {
    struct job base;
    struct container *container;
    struct container_job *next;
    uint32_t id;
    struct output output[2];
    struct feed *in; /* NULL: none, or ended */
    enum hold hold;
    int release_fd; /* -1: not held, or released */
    bool killing;   /* past its deadline; the kill was sent */
};

static struct container_job *job_of(struct job *base)
{
    return (struct container_job *)base;
}

static struct container_job *find_job(struct container *container, uint32_t id)
{
    struct container_job *job = container->jobs;
    while (job && job->id != id)
        job = job->next;
    return job;
}

static void unlink_job(struct container_job *job)
{
    struct container_job **at = &job->container->jobs;
    while (*at && *at != job)
        at = &(*at)->next;
    if (*at)
        *at = job->next;
}

static void close_release(struct container_job *job)
{
    if (job->release_fd >= 0)
        close(job->release_fd);
    job->release_fd = -1;
}

static void free_job(struct container_job *job)
{
    timer_stop(job->base.timers, &job->base.timer);
    for (int i = 0; i < 2; i++)
        stream_close(job->output[i].stream);
    feed_close(job->in);
    close_release(job);
    free(job);
}

static void end_job(struct container_job *job, const char *error)
{
    unlink_job(job);
    job_deliver(&job->base, error);
    free_job(job);
}

/* Its output */

static void on_output(void *arg, const char *data, size_t n)
{
    struct output *output = arg;
    job_take_output(&output->job->base, output->which, data, n);
}

static void on_output_end(void *arg, int err)
{
    struct output *output = arg;
    (void)err;
    stream_close(output->stream);
    output->stream = NULL;
}

static const struct stream_handler output_handler = {.data = on_output, .end = on_output_end};

/* Takes what the pipe holds now, and no more: something left behind may go on writing. */
static void drain(struct output *output)
{
    int fd = stream_fd(output->stream), left = 0;
    char *data = malloc(DRAIN_CHUNK);
    if (!data || ioctl(fd, FIONREAD, &left))
        left = 0;
    while (left > 0) {
        ssize_t n = read(fd, data, left < DRAIN_CHUNK ? (size_t)left : DRAIN_CHUNK);
        if (n <= 0)
            break;
        job_take_output(&output->job->base, output->which, data, (size_t)n);
        left -= (int)n;
    }
    free(data);
}

/* A pipe that still has writers goes to init, which empties it, so that they are not disturbed. */
static void leave_pipe(struct output *output)
{
    static const struct init_request head = {.kind = INIT_LINGER};
    struct pollfd pipe = {.fd = stream_fd(output->stream), .events = POLLIN};
    if (poll(&pipe, 1, 0) == 1 && (pipe.revents & POLLHUP))
        return;
    int fd = fcntl(pipe.fd, F_DUPFD_CLOEXEC, 0);
    if (fd >= 0)
        container_send(output->job->container, &head, NULL, 0, &fd, 1);
}

static void finish_output(struct container_job *job)
{
    for (int i = 0; i < 2; i++) {
        struct output *output = &job->output[i];
        if (!output->stream)
            continue;
        drain(output);
        leave_pipe(output);
    }
}

/* What init reports */

static void on_ended(struct container_job *job, int status)
{
    struct job_result *result = &job->base.result;
    bool killed = WIFSIGNALED(status);
    finish_output(job);
    result->has_status = true;
    result->status = killed ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    result->signal = killed ? WTERMSIG(status) : 0;
    end_job(job, NULL);
}

static void on_refused(struct container_job *job, int err)
{
    char why[160];
    snprintf(why, sizeof(why), "the host could not start it: %s%s", strerror(err),
             err == EAGAIN || err == ENOMEM ? " (there is no room for more processes)" : "");
    end_job(job, why);
}

static void on_armed(struct container_job *job)
{
    if (job->hold != HELD)
        return;
    job->hold = ARMED;
    if (job->base.handler->armed)
        job->base.handler->armed(job->base.arg);
}

void container_job_report(struct container *container, const struct init_report *report)
{
    struct container_job *job = find_job(container, report->id);
    if (!job)
        return; /* given up before */
    switch (report->kind) {
    case INIT_ARMED:
        on_armed(job);
        break;
    case INIT_STARTED:
        job->hold = STARTED;
        job->base.started = clock_from_monotonic(report->time);
        break;
    case INIT_REFUSED:
        on_refused(job, report->value);
        break;
    case INIT_ENDED:
        on_ended(job, report->value);
        break;
    }
}

void container_jobs_end(struct container *container, const char *why)
{
    for (struct container_job *job; (job = container->jobs);) {
        container->jobs = job->next;
        end_job(job, why);
    }
}

/* What can be done with one */

static int send_kill(struct container_job *job, int number)
{
    const struct init_request head = {.kind = INIT_KILL, .id = job->id, .value = (uint32_t)number};
    return container_send(job->container, &head, NULL, 0, NULL, 0);
}

static int kill_job(struct job *base, const char *signal_name)
{
    int number = signal_number(signal_name);
    return number ? send_kill(job_of(base), number) : -EINVAL;
}

static int release(struct job *base)
{
    struct container_job *job = job_of(base);
    if (job->hold != ARMED)
        return -EINVAL;
    job->hold = RELEASED;
    ssize_t n = write(job->release_fd, "g", 1);
    close_release(job);
    if (n != 1)
        return -EPIPE;
    return job_restart_deadline(base); /* what it waited does not count */
}

static int write_stdin(struct job *base, const char *data, size_t n)
{
    const struct container_job *job = job_of(base);
    if (!job->in)
        return -EPIPE;
    if (feed_pending(job->in) + n > JOB_STDIN_MAX)
        return -ENOBUFS;
    return feed_write(job->in, data, n);
}

static size_t pending(const struct job *base)
{
    const struct container_job *job = (const struct container_job *)base;
    return job->in ? feed_pending(job->in) : 0;
}

static int close_stdin(struct job *base)
{
    struct container_job *job = job_of(base);
    if (job->in)
        feed_end(job->in);
    return 0;
}

static void expire(struct job *base)
{
    struct container_job *job = job_of(base);
    if (job->killing) {
        end_job(job, "timed out, and the host did not confirm that it was killed");
        return;
    }
    job->killing = true;
    job_give_grace(base);
    send_kill(job, SIGKILL);
}

static const struct job_class class = {.kill = kill_job,
                                       .release = release,
                                       .write = write_stdin,
                                       .pending = pending,
                                       .close_stdin = close_stdin,
                                       .expire = expire};

/* The start */

/* The request that is being made: its descriptors pass to container_send(). */
struct start {
    struct init_request head;
    struct bytes text;
    int fds[INIT_FDS_MAX];
    size_t n_fds;
};

/* A pipe, whose end that is not ours goes with the request. Return: ours, or negative errno. */
static int add_pipe(struct start *start, bool we_read)
{
    int fds[2];
    if (pipe2(fds, O_CLOEXEC))
        return -errno;
    start->fds[start->n_fds++] = fds[we_read];
    return fds[!we_read];
}

static int add_outputs(struct container_job *job, struct start *start)
{
    for (int i = 0; i < 2; i++) {
        struct output *output = &job->output[i];
        *output = (struct output){.job = job, .which = i};
        int fd = add_pipe(start, true);
        int err = fd < 0 ? fd
                         : stream_open(&output->stream, job->container->loop, fd, &output_handler,
                                       output);
        if (err)
            return err;
    }
    return 0;
}

static int add_stdin(struct container_job *job, struct start *start)
{
    int fd = add_pipe(start, false);
    start->head.value |= INIT_STDIN;
    return fd < 0 ? fd : feed_open(&job->in, job->container->loop, fd);
}

static int add_hold(struct container_job *job, struct start *start)
{
    job->hold = HELD;
    job->release_fd = add_pipe(start, false);
    start->head.value |= INIT_HOLD;
    return job->release_fd < 0 ? job->release_fd : 0;
}

static int add_script(const struct job_spec *spec, struct start *start)
{
    struct bytes script = {0};
    int err = bytes_add_text(&script, "exec <&3 3<&-; eval ") ||
                      bytes_add_quoted(&script, spec->command) ||
                      bytes_add_text(&script, "; exit\n")
                  ? -ENOMEM
                  : 0;
    int fd = err ? err : container_file("script", script.data, script.n);
    bytes_free(&script);
    if (fd < 0)
        return fd;
    start->fds[start->n_fds++] = fd;
    start->head.value |= INIT_SCRIPT;
    return 0;
}

/* As in a machine, what needs no shell gets none. */
static int add_text(const struct job_spec *spec, struct start *start)
{
    bool program = command_need(spec->command, &start->text) == COMMAND_PROGRAM;
    if (!program)
        start->text.n = 0;
    start->head.words = (uint32_t)start->text.n;
    return bytes_add(&start->text, spec->command, spec->n);
}

static int prepare(struct container_job *job, const struct job_spec *spec, struct start *start)
{
    int err = add_outputs(job, start);
    if (!err && spec->with_stdin)
        err = add_stdin(job, start);
    if (!err && spec->hold)
        err = add_hold(job, start);
    if (!err)
        err = spec->n > TEXT_MAX ? add_script(spec, start) : add_text(spec, start);
    return err;
}

static void abandon(struct start *start)
{
    while (start->n_fds)
        close(start->fds[--start->n_fds]);
}

int container_start(struct container *container, const struct job_spec *spec, struct job **out)
{
    struct container_job *job = calloc(1, sizeof(*job));
    if (!job)
        return -ENOMEM;
    job->container = container;
    job->id = ++container->last_id;
    job->release_fd = -1;
    struct start start = {.head = {.kind = INIT_RUN, .id = job->id}};
    int err = job_init(&job->base, &class, container->timers, spec);
    if (!err)
        err = prepare(job, spec, &start);
    if (err)
        abandon(&start);
    else
        err = container_send(container, &start.head, start.text.data, start.text.n, start.fds,
                             start.n_fds);
    bytes_free(&start.text);
    if (err) {
        free_job(job);
        return err;
    }
    if (!spec->hold)
        job->base.started = clock_now();
    job->next = container->jobs;
    container->jobs = job;
    *out = &job->base;
    return 0;
}
