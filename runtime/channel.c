/* SPDX-License-Identifier: MIT */
#include "runtime/channel.h"

#include "runtime/bytes.h"
#include "runtime/clock.h"
#include "runtime/embed.h"
#include "runtime/framing.h"
#include "runtime/stream.h"
#include "runtime/timers.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/random.h>
#include <unistd.h>

/* A command longer than this is read by the guest's shell with dd instead of its own byte-wise
 * read. */
#define COMMAND_LINES_MAX 2048
#define STDIN_CHUNK 32768
#define SHELL_TAIL 2048
/* How long a killed command may take to be seen ended before its unit is given up. */
#define KILL_GRACE_NS (5 * CLOCK_NS_PER_S)

enum job_state { JOB_QUEUED, JOB_RUNNING, JOB_ENDED };

struct job {
    struct channel *channel;
    struct job *next; /* in the channel's queue */
    struct unit *unit;
    enum job_state state;
    struct bytes command, stdin_wait, out[2];
    bool with_stdin, stdin_closed;
    bool killing; /* past its deadline; the kill was sent */
    size_t max_output;
    long pid;     /* its shell, and process group */
    int64_t started;
    struct job_result result;
    const struct job_handler *handler;
    void *arg;
    struct timer timer;
};

/* READY arrives on the command port and END on both ports; the loop may see them in any order, so a
 * unit takes its next command only when it has seen all three. */
enum unit_state { UNIT_UNUSED, UNIT_STARTING, UNIT_IDLE, UNIT_BUSY, UNIT_LINGERING, UNIT_DEAD };

struct port {
    struct unit *unit;
    enum job_stream which;
    int fd; /* until the stream owns it */
    struct stream *stream;
    struct framing framing;
    bool ended; /* END of the running command was seen here */
};

struct unit {
    struct channel *channel;
    unsigned number;
    enum unit_state state;
    bool ready; /* READY was seen for the command after the running one */
    uint64_t seq; /* what the last READY said */
    long pid;
    uint64_t running; /* the running command's number */
    struct job *job;
    struct port port[2];
};

struct channel {
    uv_loop_t *loop;
    struct timers *timers;
    struct stream *shell;
    char key[FRAMING_KEY_LEN + 1];
    struct bytes shell_tail;
    bool answered, up, lost, closing;
    struct unit units[CHANNEL_UNITS];
    size_t n_units;
    struct job *queue, **queue_end;
    const struct channel_handler *handler;
    void *arg;
};

static void assign_jobs(struct channel *channel);

static int make_key(char *key)
{
    unsigned char random[(FRAMING_KEY_LEN - 1) / 2];
    if (getrandom(random, sizeof(random), 0) != sizeof(random))
        return -errno;
    key[0] = '\036'; /* ASCII record separator */
    for (size_t i = 0; i < sizeof(random); i++)
        snprintf(key + 1 + 2 * i, 3, "%02x", random[i]);
    return 0;
}

/* Jobs */

static void free_job(struct job *job)
{
    timer_stop(job->channel->timers, &job->timer);
    bytes_free(&job->command);
    bytes_free(&job->stdin_wait);
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

static void send_stdin_end(struct job *job)
{
    if (job->with_stdin && !job->stdin_closed && job->unit)
        stream_write(job->unit->port[JOB_STDERR].stream, "0\n", 2);
    job->stdin_closed = true;
}

/* Hands the result over and frees the job. */
static void end_job(struct job *job, const char *error)
{
    if (job->state == JOB_ENDED)
        return;
    if (job->state == JOB_QUEUED)
        unlink_job(job);
    send_stdin_end(job);
    job->state = JOB_ENDED;
    if (job->unit)
        job->unit->job = NULL;
    timer_stop(job->channel->timers, &job->timer);
    job->result.started = job->started;
    job->result.finished = clock_now();
    job->result.error = error;
    for (int i = 0; i < 2; i++) {
        job->result.out[i] = job->out[i].data ? job->out[i].data : "";
        job->result.n_out[i] = job->out[i].n;
    }
    job->handler->end(job->arg, &job->result);
    free_job(job);
}

static void kill_group(struct job *job, const char *signal_name)
{
    char line[96];
    snprintf(line, sizeof(line), "kill -s %s -- -%ld 2>/dev/null\n", signal_name, job->pid);
    channel_shell(job->channel, line);
}

static void on_deadline(void *arg)
{
    struct job *job = arg;
    job->result.timed_out = true;
    if (job->state == JOB_QUEUED) {
        end_job(job, "timed out while it waited for one of the guest's busy command units");
    } else if (!job->killing) {
        job->killing = true;
        kill_group(job, "KILL");
        timer_start(job->channel->timers, &job->timer, clock_now() + KILL_GRACE_NS);
    } else {
        /* The unit stays busy, and is of use again should the end come after all. */
        end_job(job, "timed out, and the guest did not confirm that it was killed");
    }
}

static void keep_output(struct job *job, enum job_stream which, const char *data, size_t n)
{
    struct bytes *out = &job->out[which];
    size_t room = job->max_output > out->n ? job->max_output - out->n : 0;
    size_t keep = n < room ? n : room;
    if (keep < n || (keep && bytes_add(out, data, keep)))
        job->result.truncated = true;
    if (job->handler->output)
        job->handler->output(job->arg, which, data, n);
}

/* Units */

static void finish_command(struct unit *unit)
{
    struct job *job = unit->job;
    unit->state = unit->ready ? UNIT_IDLE : UNIT_LINGERING;
    unit->port[0].ended = unit->port[1].ended = false;
    if (job)
        end_job(job, NULL);
    assign_jobs(unit->channel);
}

static void on_ready(struct unit *unit, const struct framing_event *event)
{
    struct channel *channel = unit->channel;
    unit->ready = true;
    unit->seq = event->seq;
    unit->pid = event->pid;
    if (unit->state == UNIT_BUSY)
        return; /* an END is still on its way */
    unit->state = UNIT_IDLE;
    if (!channel->up) {
        channel->up = true;
        channel->handler->up(channel->arg);
    }
    assign_jobs(channel);
}

static void on_end(struct port *port, const struct framing_event *event)
{
    struct unit *unit = port->unit;
    if (unit->state != UNIT_BUSY || event->seq != unit->running)
        return;
    port->ended = true;
    if (unit->job) {
        unit->job->result.has_status = true;
        unit->job->result.status = event->status;
        unit->job->result.signal = event->signaled ? event->status - 128 : 0;
    }
    if (unit->port[0].ended && unit->port[1].ended)
        finish_command(unit);
}

static void on_framing(void *arg, const struct framing_event *event)
{
    struct port *port = arg;
    struct unit *unit = port->unit;
    if (unit->channel->closing || unit->state == UNIT_DEAD)
        return;
    if (event->kind == FRAMING_READY)
        on_ready(unit, event);
    else if (event->kind == FRAMING_END)
        on_end(port, event);
    else if (unit->job && !port->ended)
        keep_output(unit->job, port->which, event->data, event->n);
}

static void lose_unit(struct unit *unit, const char *why)
{
    unit->state = UNIT_DEAD;
    if (unit->job)
        end_job(unit->job, why);
}

static void on_port_data(void *arg, const char *data, size_t n)
{
    struct port *port = arg;
    if (framing_feed(&port->framing, data, n, on_framing, port))
        lose_unit(port->unit, "the guest's command unit sent what is not of its protocol");
}

static void lose_channel(struct channel *channel, const char *why)
{
    if (channel->lost || channel->closing)
        return;
    channel->lost = true;
    channel->handler->lost(channel->arg, why);
}

static void on_port_end(void *arg, int err)
{
    struct port *port = arg;
    (void)err;
    lose_channel(port->unit->channel, "the virtual machine closed its command ports");
}

static const struct stream_handler port_handler = {.data = on_port_data, .end = on_port_end};

static int open_port(struct unit *unit, enum job_stream which)
{
    struct port *port = &unit->port[which];
    int fd = port->fd;
    port->fd = -1;
    framing_init(&port->framing, unit->channel->key);
    return stream_open(&port->stream, unit->channel->loop, fd, &port_handler, port);
}

static int start_unit(struct unit *unit)
{
    char text[96];
    int err = open_port(unit, JOB_STDOUT);
    if (!err)
        err = open_port(unit, JOB_STDERR);
    if (err) {
        unit->state = UNIT_DEAD;
        return err;
    }
    unit->state = UNIT_STARTING;
    int n = snprintf(text, sizeof(text), "%s\n", unit->channel->key);
    stream_write(unit->port[JOB_STDOUT].stream, text, (size_t)n);
    snprintf(text, sizeof(text), "sh \"$qn_d/unit\" %u </dev/null >/dev/null 2>&1 &\n",
             unit->number);
    return channel_shell(unit->channel, text);
}

static size_t count_lines(const struct bytes *text)
{
    size_t lines = 1;
    for (size_t i = 0; i < text->n; i++)
        lines += text->data[i] == '\n';
    return lines;
}

static int send_stdin(struct unit *unit, const char *data, size_t n)
{
    struct bytes framed = {0};
    int err = 0;
    while (n && !err) {
        size_t part = n < STDIN_CHUNK ? n : STDIN_CHUNK;
        char size[24];
        snprintf(size, sizeof(size), "%zu\n", part);
        err = bytes_add_text(&framed, size) || bytes_add(&framed, data, part) ? -ENOMEM : 0;
        data += part;
        n -= part;
    }
    if (!err && framed.n)
        err = stream_write(unit->port[JOB_STDERR].stream, framed.data, framed.n);
    bytes_free(&framed);
    return err;
}

static void run_on(struct unit *unit, struct job *job)
{
    char head[96];
    bool lines = job->command.n <= COMMAND_LINES_MAX;
    snprintf(head, sizeof(head), "%" PRIu64 " %s %zu %d\n", unit->seq, lines ? "lines" : "bytes",
             lines ? count_lines(&job->command) : job->command.n, job->with_stdin);
    struct bytes frame = {0};
    if (bytes_add_text(&frame, head) || bytes_add(&frame, job->command.data, job->command.n) ||
        (lines && bytes_add_text(&frame, "\n"))) {
        bytes_free(&frame);
        end_job(job, "out of memory");
        return;
    }
    unit->state = UNIT_BUSY;
    unit->ready = false;
    unit->running = unit->seq;
    unit->job = job;
    job->pid = unit->pid;
    job->unit = unit;
    job->state = JOB_RUNNING;
    job->started = clock_now();
    stream_write(unit->port[JOB_STDOUT].stream, frame.data, frame.n);
    bytes_free(&frame);
    bytes_free(&job->command);
    send_stdin(unit, job->stdin_wait.data, job->stdin_wait.n);
    bytes_free(&job->stdin_wait);
    if (job->with_stdin && job->stdin_closed)
        stream_write(unit->port[JOB_STDERR].stream, "0\n", 2);
}

static struct unit *find_unit(struct channel *channel, enum unit_state state)
{
    for (size_t i = 0; i < channel->n_units; i++) {
        if (channel->units[i].state == state)
            return &channel->units[i];
    }
    return NULL;
}

static size_t count_units(const struct channel *channel, enum unit_state state)
{
    size_t n = 0;
    for (size_t i = 0; i < channel->n_units; i++)
        n += channel->units[i].state == state;
    return n;
}

/* One unit is kept in reserve, started ahead of the command that will need it. */
static void assign_jobs(struct channel *channel)
{
    struct unit *idle;
    while (channel->up && channel->queue && (idle = find_unit(channel, UNIT_IDLE))) {
        struct job *job = channel->queue;
        unlink_job(job);
        run_on(idle, job);
    }
    size_t wanted = 1;
    for (struct job *job = channel->queue; job; job = job->next)
        wanted++;
    size_t coming = count_units(channel, UNIT_STARTING) + count_units(channel, UNIT_IDLE);
    struct unit *unused;
    while (channel->answered && coming < wanted && (unused = find_unit(channel, UNIT_UNUSED))) {
        start_unit(unused);
        coming++;
    }
}

/* The shell */

static void on_shell_data(void *arg, const char *data, size_t n)
{
    struct channel *channel = arg;
    bytes_add_tail(&channel->shell_tail, data, n, SHELL_TAIL);
    if (channel->answered ||
        !memmem(channel->shell_tail.data, channel->shell_tail.n, channel->key, FRAMING_KEY_LEN))
        return;
    channel->answered = true;
    assign_jobs(channel);
}

static void on_shell_end(void *arg, int err)
{
    (void)err;
    lose_channel(arg, "the virtual machine closed its shell port");
}

static const struct stream_handler shell_handler = {.data = on_shell_data, .end = on_shell_end};

static int add_guest_file(struct bytes *text, const char *name)
{
    char tail[64];
    for (const struct embedded_file *file = embedded_guest; file->name; file++) {
        size_t n = strlen(file->name) - strlen(".sh");
        if (strlen(name) != n || strncmp(file->name, name, n) != 0)
            continue;
        struct bytes script = {0};
        snprintf(tail, sizeof(tail), " >\"$qn_d/%s\"\n", name);
        int err = bytes_add(&script, file->data, file->size) ||
                  bytes_add_text(text, "printf %s ") || bytes_add_quoted(text, script.data) ||
                  bytes_add_text(text, tail);
        bytes_free(&script);
        return err ? -ENOMEM : 0;
    }
    return -ENOENT;
}

/* What the shell runs first: make the units' folder and scripts, then say the key. */
static int greet(struct channel *channel)
{
    struct bytes text = {0};
    int err = bytes_add_text(&text, "for qn_d in /run /dev/shm /tmp; do qn_d=$qn_d/.qn.") ||
              bytes_add(&text, channel->key + 1, 8) ||
              bytes_add_text(&text, "; mkdir -m 700 \"$qn_d\" 2>/dev/null && break; done\n") ||
              add_guest_file(&text, "unit") || add_guest_file(&text, "slot") ||
              add_guest_file(&text, "feed") || bytes_add_text(&text, "echo ") ||
              bytes_add_text(&text, channel->key) || bytes_add_text(&text, "\n");
    if (!err)
        err = stream_write(channel->shell, text.data, text.n);
    bytes_free(&text);
    return err;
}

static void init_units(struct channel *channel, const int unit_fds[][2], size_t n_units)
{
    channel->n_units = n_units;
    for (size_t i = 0; i < n_units; i++) {
        struct unit *unit = &channel->units[i];
        unit->channel = channel;
        unit->number = (unsigned)i;
        for (int which = 0; which < 2; which++)
            unit->port[which] =
                (struct port){.unit = unit, .which = which, .fd = unit_fds[i][which]};
    }
}

int channel_open(struct channel **out, uv_loop_t *loop, struct timers *timers, int shell_fd,
                 const int unit_fds[][2], size_t n_units, const struct channel_handler *handler,
                 void *arg)
{
    struct channel *channel = calloc(1, sizeof(*channel));
    if (!channel)
        return -ENOMEM;
    channel->loop = loop;
    channel->timers = timers;
    channel->handler = handler;
    channel->arg = arg;
    channel->queue_end = &channel->queue;
    init_units(channel, unit_fds, n_units < CHANNEL_UNITS ? n_units : CHANNEL_UNITS);
    int err = make_key(channel->key);
    if (!err)
        err = stream_open(&channel->shell, loop, shell_fd, &shell_handler, channel);
    if (!err)
        err = greet(channel);
    if (err) {
        channel_close(channel, strerror(-err));
        return err;
    }
    *out = channel;
    return 0;
}

void channel_close(struct channel *channel, const char *why)
{
    if (!channel)
        return;
    channel->closing = true;
    while (channel->queue)
        end_job(channel->queue, why);
    for (size_t i = 0; i < channel->n_units; i++) {
        struct unit *unit = &channel->units[i];
        if (unit->job)
            end_job(unit->job, why);
        for (int which = 0; which < 2; which++) {
            stream_close(unit->port[which].stream);
            if (unit->port[which].fd >= 0)
                close(unit->port[which].fd);
        }
    }
    stream_close(channel->shell);
    bytes_free(&channel->shell_tail);
    free(channel);
}

int channel_shell(struct channel *channel, const char *line)
{
    return stream_write(channel->shell, line, strlen(line));
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
    job->max_output = spec->max_output;
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
    assign_jobs(channel);
    return 0;
}

int job_kill(struct job *job, const char *signal_name)
{
    if (job->state == JOB_QUEUED)
        end_job(job, "killed before it was started");
    else if (job->state == JOB_RUNNING)
        kill_group(job, signal_name);
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
    return send_stdin(job->unit, data, n);
}

int job_close_stdin(struct job *job)
{
    send_stdin_end(job);
    return 0;
}
