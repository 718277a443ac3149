/* SPDX-License-Identifier: MIT */
#include "runtime/channel_private.h"
#include "runtime/clock.h"
#include "runtime/command.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

/* The guest starts one dd for each piece. */
#define STDIN_CHUNK 32768
#define SERVED_CHUNK (1U << 20)
/* Starting one takes some tens of ms; a guest that is out of memory never gets it started. */
#define START_TIMEOUT_NS (60 * CLOCK_NS_PER_S)
#define LOSS_GRACE_NS (2 * CLOCK_NS_PER_S)
/* A unit that has been killed so often is given up. */
#define LIVES_MAX 50
/* Linux's own bound: PID_MAX_LIMIT, 4 Mi. */
#define PID_LIMIT (4L << 20)
/* Linux has no signal beyond; a script unit takes the exit status of a program for one. */
#define SIGNAL_MAX 64

/* Prepares the waiting shell while there is no hurry: it leaves a note when it exits by itself with
 * a status over 128, which the unit cannot tell from death by a signal, and says its process id. A
 * shell that waits for another number passes over this, as over the script of a command. */
static void ask_pid(struct unit *unit)
{
    char line[192];
    int n = snprintf(line, sizeof(line),
                     "[ \"$1\" = %" PRIu64 " ] && { trap \"[ \\$? -le 128 ] || : >'$2.x'\" EXIT; "
                     "echo $$ >&3; }\n",
                     unit->seq);
    unit->state = UNIT_GREETING;
    unit->pid = 0;
    stream_write(unit->port[JOB_STDOUT].stream, line, (size_t)n);
}

/* The first unit that can be commanded shows that the machine is up. */
static void become_idle(struct unit *unit)
{
    struct channel *channel = unit->channel;
    unit->state = UNIT_IDLE;
    timer_stop(channel->timers, &unit->timer);
    if (!channel->up) {
        channel->up = true;
        channel->handler->up(channel->arg);
    }
    channel_assign(channel);
}

/* The answer to the greeting: digits and a newline, since nothing else runs in the unit. */
static void take_pid(struct unit *unit, const char *data, size_t n)
{
    bool complete = false;
    for (size_t i = 0; i < n; i++) {
        if (data[i] == '\n' && unit->pid > 1)
            complete = true;
        else if (data[i] >= '0' && data[i] <= '9' && unit->pid < PID_LIMIT && !complete)
            unit->pid = unit->pid * 10 + (data[i] - '0');
        else
            unit->state = UNIT_DEAD;
    }
    if (complete && unit->state != UNIT_DEAD)
        become_idle(unit);
}

static void finish_command(struct unit *unit)
{
    struct unit_job *job = unit->job;
    unit->port[0].ended = unit->port[1].ended = false;
    unit->current = JOB_STDOUT;
    if (unit->served)
        unit->state = UNIT_IDLE;
    else if (unit->ready)
        ask_pid(unit);
    else
        unit->state = UNIT_LINGERING;
    if (job)
        unit_job_end(job, NULL);
    channel_assign(unit->channel);
}

static void on_ready(struct unit *unit, const struct framing_event *event)
{
    unit->ready = true;
    unit->seq = event->seq;
    if (unit->state != UNIT_BUSY) /* else an END is still on its way */
        ask_pid(unit);
}

static void on_end(struct port *port, const struct framing_event *event)
{
    struct unit *unit = port->unit;
    if (unit->state != UNIT_BUSY || event->seq != unit->running)
        return;
    port->ended = true;
    if (unit->job) {
        unit->job->base.result.has_status = true;
        unit->job->base.result.status = event->status;
        unit->job->base.result.signal =
            event->signaled && event->status <= 128 + SIGNAL_MAX ? event->status - 128 : 0;
    }
    if (unit->served || (unit->port[0].ended && unit->port[1].ended))
        finish_command(unit);
}

static void on_fail(struct unit *unit, const struct framing_event *event)
{
    char why[160];
    if (unit->state != UNIT_BUSY || event->seq != unit->running)
        return;
    snprintf(why, sizeof(why), "the guest could not start it: %s%s", strerror(event->status),
             event->status == EAGAIN || event->status == ENOMEM
                 ? " (it has no room for more processes)"
                 : "");
    if (unit->job)
        unit_job_end(unit->job, why);
    finish_command(unit);
}

static void on_data(struct port *port, const char *data, size_t n)
{
    struct unit *unit = port->unit;
    if (unit->state == UNIT_GREETING && port->which == JOB_STDOUT)
        take_pid(unit, data, n);
    else if ((unit->state == UNIT_BUSY || unit->state == UNIT_LOST) && unit->job && !port->ended)
        unit_job_take(unit->job, unit->served ? unit->current : port->which, data, n);
}

static void on_message(struct port *port, const struct framing_event *event)
{
    struct unit *unit = port->unit;
    bool of_job = unit->job && unit->state == UNIT_BUSY && event->seq == unit->running;
    switch (event->kind) {
    case FRAMING_READY:
        on_ready(unit, event);
        break;
    case FRAMING_SERVE:
        unit->served = true;
        if (unit->state == UNIT_STARTING)
            become_idle(unit);
        break;
    case FRAMING_OUT:
    case FRAMING_ERR:
        unit->current = event->kind == FRAMING_OUT ? JOB_STDOUT : JOB_STDERR;
        break;
    case FRAMING_ARMED:
        if (of_job)
            unit_job_armed(unit->job);
        break;
    case FRAMING_STARTED:
        if (of_job)
            unit_job_begun(unit->job);
        break;
    case FRAMING_FAIL:
        on_fail(unit, event);
        break;
    default:
        on_end(port, event);
    }
}

static void on_framing(void *arg, const struct framing_event *event)
{
    struct port *port = arg;
    if (port->unit->channel->closing || port->unit->state == UNIT_DEAD)
        return;
    if (event->kind == FRAMING_DATA)
        on_data(port, event->data, event->n);
    else
        on_message(port, event);
}

static void lose_unit(struct unit *unit, const char *why)
{
    unit->state = UNIT_DEAD;
    if (unit->job)
        unit_job_end(unit->job, why);
}

static void on_port_data(void *arg, const char *data, size_t n)
{
    struct port *port = arg;
    if (framing_feed(&port->framing, data, n, on_framing, port))
        lose_unit(port->unit, "the guest's command unit sent what is not of its protocol");
}

static void on_port_end(void *arg, int err)
{
    struct port *port = arg;
    (void)err;
    channel_lose(port->unit->channel, "the virtual machine closed its command ports");
}

static const struct stream_handler port_handler = {.data = on_port_data, .end = on_port_end};

static int open_port(struct unit *unit, enum job_stream which)
{
    struct port *port = &unit->port[which];
    int fd = port->fd;
    framing_init(&port->framing, unit->channel->key);
    if (port->stream)
        return 0; /* of an earlier life */
    port->fd = -1;
    return stream_open(&port->stream, unit->channel->loop, fd, &port_handler, port);
}

static void on_start_deadline(void *arg)
{
    struct unit *unit = arg;
    lose_unit(unit, "its command unit did not start");
    channel_assign(unit->channel);
}

static int set_deadline(struct unit *unit)
{
    unit->timer.fn = on_start_deadline;
    unit->timer.arg = unit;
    return timer_start(unit->channel->timers, &unit->timer, clock_now() + START_TIMEOUT_NS);
}

void unit_plug(struct unit *unit)
{
    struct channel *channel = unit->channel;
    unit->state = UNIT_PLUGGING;
    if (set_deadline(unit) || channel->handler->plug(channel->arg, unit->number))
        unit->state = UNIT_DEAD;
}

/* What is left in a port of an earlier life is over with the line that holds the key. */
static void send_key(struct unit *unit, enum job_stream which)
{
    char text[FRAMING_KEY_LEN + 3];
    int n = snprintf(text, sizeof(text), "\n%s\n", unit->channel->key);
    stream_write(unit->port[which].stream, text, (size_t)n);
}

/* Its ports are open, and the key is sent: it is to answer. Return: 0, or -1 when it is DEAD. */
static int call(struct unit *unit)
{
    if (set_deadline(unit) || open_port(unit, JOB_STDOUT) || open_port(unit, JOB_STDERR)) {
        unit->state = UNIT_DEAD;
        return -1;
    }
    unit->state = UNIT_STARTING;
    unit->served = unit->ready = false;
    unit->current = JOB_STDOUT;
    unit->port[0].ended = unit->port[1].ended = false;
    send_key(unit, JOB_STDOUT);
    send_key(unit, JOB_STDERR);
    return 0;
}

void unit_start(struct unit *unit)
{
    char text[32];
    if (call(unit))
        return;
    snprintf(text, sizeof(text), "qn_unit %u\n", unit->number);
    channel_shell(unit->channel, text);
}

/* Its numbers go on, since it takes standard input for a lower one to be of a command that is over.
 */
void unit_resume(struct unit *unit, uint64_t seq)
{
    unit->seq = seq;
    call(unit);
}

void unit_start_again(struct unit *unit)
{
    if (unit->state != UNIT_STARTING)
        return;
    timer_stop(unit->channel->timers, &unit->timer);
    unit->state = UNIT_UNUSED;
}

static void begin_again(struct unit *unit)
{
    unit->state = unit->lives++ < LIVES_MAX ? UNIT_UNUSED : UNIT_DEAD;
    channel_assign(unit->channel);
}

static void on_loss(void *arg)
{
    struct unit *unit = arg;
    if (unit->job)
        unit_job_end(unit->job,
                     "its command unit in the guest was killed (by the command, by another, "
                     "or because the guest ran out of memory)");
    begin_again(unit);
}

void unit_port_closed(struct unit *unit)
{
    if (unit->state < UNIT_STARTING || unit->state == UNIT_DEAD)
        return;
    timer_stop(unit->channel->timers, &unit->timer);
    unit->state = UNIT_LOST;
    /* A guest that shuts down kills the unit too: its end is the better reason, and comes soon. */
    unit->timer.fn = on_loss;
    unit->timer.arg = unit;
    if (!unit->job)
        begin_again(unit);
    else if (timer_start(unit->channel->timers, &unit->timer, clock_now() + LOSS_GRACE_NS))
        on_loss(unit);
}

void unit_close(struct unit *unit)
{
    timer_stop(unit->channel->timers, &unit->timer);
    for (int which = 0; which < 2; which++) {
        stream_close(unit->port[which].stream);
        if (unit->port[which].fd >= 0)
            close(unit->port[which].fd);
    }
}

int unit_send_stdin(struct unit *unit, const char *data, size_t n)
{
    struct bytes framed = {0};
    int err = 0;
    while (n && !err) {
        size_t most = unit->served ? SERVED_CHUNK : STDIN_CHUNK, part = n < most ? n : most;
        char head[48];
        snprintf(head, sizeof(head), "%" PRIu64 " %zu\n", unit->running, part);
        err = bytes_add_text(&framed, head) || bytes_add(&framed, data, part) ? -ENOMEM : 0;
        data += part;
        n -= part;
    }
    if (!err && framed.n)
        err = stream_write(unit->port[JOB_STDERR].stream, framed.data, framed.n);
    bytes_free(&framed);
    return err;
}

void unit_end_stdin(struct unit *unit)
{
    char text[32];
    int n = snprintf(text, sizeof(text), "%" PRIu64 " 0\n", unit->running);
    stream_write(unit->port[JOB_STDERR].stream, text, (size_t)n);
}

void unit_release(struct unit *unit)
{
    char text[32] = "go\n";
    if (unit->served)
        snprintf(text, sizeof(text), "go %" PRIu64 "\n", unit->running);
    stream_write(unit->port[JOB_STDOUT].stream, text, strlen(text));
}

void unit_kill(struct unit *unit, const char *signal_name)
{
    char text[96];
    if (unit->served) {
        int n = snprintf(text, sizeof(text), "kill %" PRIu64 " %s\n", unit->running, signal_name);
        stream_write(unit->port[JOB_STDOUT].stream, text, (size_t)n);
    } else {
        snprintf(text, sizeof(text), "kill -s %s -- -%ld 2>/dev/null\n", signal_name, unit->pid);
        channel_shell(unit->channel, text);
    }
}

/* The script of one command, one line for the shell that waits: wait for the release if it is held,
 * take the proper standard input, let go of the ports, become the command. The shell has read the
 * whole line before it begins, and ends with it. */
static int write_script(struct bytes *script, const struct unit *unit, const struct unit_job *job)
{
    static const char held[] = "echo armed >&3; read -r qn; echo started >&3; unset qn; ";
    static const char fed[] =
        "setsid sh \"${2%/*}/feed\" \"$1\" <&6 >\"$2.i\" 3>&- 6>&- & exec <\"$2.i\"; ";
    struct bytes words = {0};
    bool program = command_need(job->command.data, &words) == COMMAND_PROGRAM;
    char start[64];
    bytes_free(&words);
    snprintf(start, sizeof(start), "[ \"$1\" = %" PRIu64 " ] && { ", unit->seq);
    int err = bytes_add_text(script, start) ||
              (job->hold == JOB_HELD && bytes_add_text(script, held)) ||
              bytes_add_text(script, job->with_stdin ? fed : "exec </dev/null; ") ||
              bytes_add_text(script, "exec 3>&- 6>&-; shift 2; ") ||
              bytes_add_text(script, program ? "exec " : "eval ") ||
              (program ? bytes_add(script, job->command.data, job->command.n)
                       : bytes_add_quoted(script, job->command.data)) ||
              bytes_add_text(script, "; exit; }\n");
    return err ? -ENOMEM : 0;
}

/* The lines of a shell that serve.c has started: on descriptor 3 is the command's standard input,
 * on 4 a kept shell says the status. */
static int write_served_script(struct bytes *script, enum command_need need,
                               const struct unit_job *job)
{
    if (need == COMMAND_KEEP)
        return bytes_add(script, job->command.data, job->command.n) ||
               bytes_add_text(script, "; echo $? >&4\n");
    return bytes_add_text(script, job->with_stdin ? "exec <&3 3<&- 4>&-; eval "
                                                  : "exec </dev/null 3<&- 4>&-; eval ") ||
           bytes_add_quoted(script, job->command.data) || bytes_add_text(script, "; exit\n");
}

static int write_identity(struct bytes *request, const struct unit *unit,
                          const struct unit_job *job)
{
    char head[64];
    snprintf(head, sizeof(head), "run %" PRIu64 " c 0 %zu\n", unit->seq, job->command.n);
    return bytes_add_text(request, head) || bytes_add(request, job->command.data, job->command.n)
               ? -ENOMEM
               : 0;
}

/* See serve.c for its form. */
static int write_request(struct bytes *request, const struct unit *unit, const struct unit_job *job)
{
    if (job->identity)
        return write_identity(request, unit, job);
    struct bytes words = {0}, script = {0};
    enum command_need need = command_need(job->command.data, &words);
    char head[96];
    if (need == COMMAND_KEEP && job->with_stdin)
        need = COMMAND_SHELL;
    int err = write_served_script(&script, need, job);
    snprintf(head, sizeof(head), "run %" PRIu64 " %c%s%s %zu %zu\n", unit->seq, "skp"[need],
             job -> with_stdin ? "i" : "", job->hold == JOB_HELD ? "h" : "", words.n, script.n);
    err = err || bytes_add_text(request, head) ||
          (words.n && bytes_add(request, words.data, words.n)) ||
          bytes_add(request, script.data, script.n);
    bytes_free(&words);
    bytes_free(&script);
    return err ? -ENOMEM : 0;
}

void unit_run(struct unit *unit, struct unit_job *job)
{
    struct bytes script = {0};
    if (job->identity && !unit->served) {
        unit_job_end(job, "the guest does not run the program that takes identities");
        return;
    }
    if (unit->served)
        unit->seq++;
    if (unit->served ? write_request(&script, unit, job) : write_script(&script, unit, job)) {
        bytes_free(&script);
        unit_job_end(job, "out of memory");
        return;
    }
    unit->state = UNIT_BUSY;
    unit->ready = false;
    unit->running = unit->seq;
    unit->job = job;
    job->unit = unit;
    job->state = JOB_RUNNING;
    job->base.started = clock_now();
    stream_write(unit->port[JOB_STDOUT].stream, script.data, script.n);
    bytes_free(&script);
    bytes_free(&job->command);
    unit_send_stdin(unit, job->stdin_wait.data, job->stdin_wait.n);
    bytes_free(&job->stdin_wait);
    if (job->with_stdin && job->stdin_closed)
        unit_end_stdin(unit);
}
