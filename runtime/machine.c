/* SPDX-License-Identifier: MIT */
#include "runtime/machine_private.h"

#include "runtime/bytes.h"
#include "runtime/clock.h"
#include "runtime/stream.h"
#include "runtime/timers.h"
#include "vmctl/child.h"
#include "vmctl/qmp.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define CONSOLE_TAIL 4096
#define CONSOLE_LINES 60 /* of it that are told: a kernel's last words */
#define CONSOLE_LOG_MAX ((size_t)256 << 20)
#define STDERR_TAIL 4096
/* A unit beyond the first few needs this much guest memory to be worth its place: its ports take
 * one MiB, its four processes about as much again. */
#define UNIT_MEMORY (4U << 20)

static const char *const state_names[] = {
    [MACHINE_BOOTING] = "booting", [MACHINE_UP] = "up",       [MACHINE_PAUSED] = "paused",
    [MACHINE_DOWN] = "down",       [MACHINE_RESET] = "reset", [MACHINE_PANICKED] = "panicked",
    [MACHINE_CRASHED] = "crashed",
};
static_assert(sizeof(state_names) / sizeof(*state_names) == MACHINE_STATES,
              "a name for each state");

const char *machine_state_name(enum machine_state state)
{
    return state_names[state];
}

static bool is_final(enum machine_state state)
{
    return state >= MACHINE_DOWN;
}

static void set_state(struct machine *machine, enum machine_state state, const char *why)
{
    if (machine->closing || machine->state == state || is_final(machine->state))
        return;
    machine->state = state;
    machine->handler->state(machine->arg, state, why);
}

/* Monitor */

static void ignore_reply(void *arg, json_t *value, const char *error)
{
    (void)arg;
    (void)value;
    (void)error;
}

static void on_incoming_reply(void *arg, json_t *value, const char *error)
{
    struct machine *machine = arg;
    (void)value;
    if (!error)
        return;
    bytes_add_tail(&machine->error_tail, error, strlen(error), STDERR_TAIL);
    if (machine->child.pid)
        kill(machine->child.pid, SIGKILL);
}

static void take_state(struct machine *machine)
{
    char uri[24];
    snprintf(uri, sizeof(uri), "fd:%d", machine->incoming_fd);
    machine_qmp(
        machine, "migrate-set-capabilities",
        json_pack("{s:[{s:s, s:b}]}", "capabilities", "capability", "x-ignore-shared", "state", 1),
        on_incoming_reply, machine);
    /* Its interfaces are not to announce themselves: they have the saved machine's addresses. */
    machine_qmp(machine, "migrate-set-parameters", json_pack("{s:i}", "announce-rounds", 0),
                on_incoming_reply, machine);
    machine_qmp(machine, "migrate-incoming", json_pack("{s:s}", "uri", uri), on_incoming_reply,
                machine);
}

static void on_greeting(void *arg)
{
    struct machine *machine = arg;
    machine_qmp(machine, "qmp_capabilities", NULL, ignore_reply, NULL);
    if (machine->incoming_fd >= 0)
        take_state(machine);
}

static void on_reply(void *arg, uint64_t id, json_t *value, const char *error)
{
    struct machine *machine = arg;
    for (struct pending_reply **at = &machine->replies; *at; at = &(*at)->next) {
        struct pending_reply *reply = *at;
        if (reply->id != id)
            continue;
        *at = reply->next;
        reply->fn(reply->arg, value, error);
        free(reply);
        return;
    }
}

static void fail_replies(struct machine *machine)
{
    struct pending_reply *reply;
    while ((reply = machine->replies)) {
        machine->replies = reply->next;
        reply->fn(reply->arg, NULL, "the virtual machine has ended");
        free(reply);
    }
}

static void note_shutdown(struct machine *machine, json_t *data)
{
    const char *reason = json_string_value(json_object_get(data, "reason"));
    if (machine->last_words == MACHINE_PANICKED || !reason)
        return;
    if (strcmp(reason, "guest-reset") == 0)
        machine->last_words = MACHINE_RESET;
    else if (strcmp(reason, "guest-shutdown") == 0)
        machine->last_words = MACHINE_DOWN;
    else if (strcmp(reason, "guest-panic") == 0)
        machine->last_words = MACHINE_PANICKED;
}

static void note_port_change(struct machine *machine, json_t *data)
{
    const char *id = json_string_value(json_object_get(data, "id"));
    if (machine->channel && id && strncmp(id, "d-", 2) == 0)
        channel_port_changed(machine->channel, id + 2, json_is_true(json_object_get(data, "open")));
}

static void on_qmp_event(void *arg, const char *name, json_t *data)
{
    struct machine *machine = arg;
    if (strcmp(name, "GUEST_PANICKED") == 0)
        machine->last_words = MACHINE_PANICKED;
    else if (strcmp(name, "SHUTDOWN") == 0)
        note_shutdown(machine, data);
    else if (strcmp(name, "STOP") == 0 && machine->state == MACHINE_UP)
        set_state(machine, MACHINE_PAUSED, NULL);
    else if (strcmp(name, "RESUME") == 0 && machine->state == MACHINE_PAUSED)
        set_state(machine, MACHINE_UP, NULL);
    else if (strcmp(name, "VSERPORT_CHANGE") == 0)
        note_port_change(machine, data);
    if (!machine->closing && strcmp(name, "VSERPORT_CHANGE") != 0)
        machine->handler->event(machine->arg, name, data);
}

static const struct qmp_handler qmp_handler = {
    .greeting = on_greeting, .reply = on_reply, .event = on_qmp_event};

static void on_monitor_data(void *arg, const char *data, size_t n)
{
    struct machine *machine = arg;
    /* Not QMP: QEMU is broken, and its end will be seen as a crash. */
    if (qmp_feed(&machine->qmp, data, n))
        machine_crash(machine);
}

static void on_stream_end(void *arg, int err)
{
    (void)arg; /* the process's end is what counts */
    (void)err;
}

static const struct stream_handler monitor_handler = {.data = on_monitor_data,
                                                      .end = on_stream_end};

int machine_qmp(struct machine *machine, const char *name, json_t *arguments, machine_reply_fn *fn,
                void *arg)
{
    uint64_t id = 0;
    struct pending_reply *reply = malloc(sizeof(*reply));
    char *line =
        reply && machine->monitor ? qmp_command(&machine->qmp, name, arguments, &id) : NULL;
    int err = line ? stream_write(machine->monitor, line, strlen(line)) : -EPIPE;
    free(line);
    if (err) {
        free(reply);
        return err;
    }
    *reply = (struct pending_reply){.next = machine->replies, .id = id, .fn = fn, .arg = arg};
    machine->replies = reply;
    return 0;
}

/* Console and standard error */

/* The log on disk is whole up to a bound that only a flood reaches. */
static void log_console(struct machine *machine, const char *data, size_t n)
{
    size_t room = CONSOLE_LOG_MAX - machine->console_logged;
    if (!machine->console_log || !room)
        return;
    fwrite(data, 1, n < room ? n : room, machine->console_log);
    machine->console_logged += n < room ? n : room;
    if (machine->console_logged == CONSOLE_LOG_MAX)
        fprintf(machine->console_log, "\n[qemunet: more came than the %zu MiB that are kept]\n",
                CONSOLE_LOG_MAX >> 20);
    fflush(machine->console_log);
}

static void on_console_data(void *arg, const char *data, size_t n)
{
    struct machine *machine = arg;
    log_console(machine, data, n);
    bytes_add_tail(&machine->console_tail, data, n, CONSOLE_TAIL);
    if (!machine->closing)
        machine->handler->console(machine->arg, data, n);
}

static void on_error_data(void *arg, const char *data, size_t n)
{
    struct machine *machine = arg;
    bytes_add_tail(&machine->error_tail, data, n, STDERR_TAIL);
}

static const struct stream_handler console_handler = {.data = on_console_data,
                                                      .end = on_stream_end};
static const struct stream_handler error_handler = {.data = on_error_data, .end = on_stream_end};

const char *machine_console_tail(const struct machine *machine)
{
    return machine->console_tail.data ? machine->console_tail.data : "";
}

int machine_console_write(struct machine *machine, const char *data, size_t n)
{
    return machine->console ? stream_write(machine->console, data, n) : -EPIPE;
}

size_t machine_console_pending(const struct machine *machine)
{
    return machine->console ? stream_pending(machine->console) : 0;
}

/* The command channel */

void machine_settle(struct machine *machine)
{
    timer_stop(machine->timers, &machine->boot_timer);
    machine->was_up = true;
    set_state(machine, MACHINE_UP, NULL);
}

static void on_channel_up(void *arg)
{
    machine_settle(arg);
}

static void on_channel_lost(void *arg, const char *why)
{
    (void)arg; /* ports close when QEMU ends, which is seen by itself */
    (void)why;
}

static const struct channel_handler channel_handler = {
    .up = on_channel_up, .plug = machine_plug_unit, .lost = on_channel_lost};

struct channel *machine_channel(struct machine *machine)
{
    return is_final(machine->state) ? NULL : machine->channel;
}

/* The end */

static void add_section(struct bytes *text, const char *title, const struct bytes *part)
{
    if (!part->n)
        return;
    (void)(bytes_add_text(text, title) || bytes_add(text, part->data, part->n));
    while (text->n && text->data[text->n - 1] == '\n')
        text->data[--text->n] = '\0';
}

/* A kernel that panics before its pvpanic driver is loaded only resets: the console tells. */
static bool console_shows_panic(const struct machine *machine)
{
    static const char words[] = "Kernel panic - not syncing";
    const struct bytes *tail = &machine->console_tail;
    return tail->n && memmem(tail->data, tail->n, words, sizeof(words) - 1);
}

static struct bytes last_lines(const struct bytes *tail)
{
    size_t from = tail->n;
    int ends = 0;
    while (from > 0 && (tail->data[from - 1] != '\n' || ends++ < CONSOLE_LINES))
        from--;
    return (struct bytes){.data = tail->data + from, .n = tail->n - from};
}

static void describe_end(struct machine *machine, int status, struct bytes *text)
{
    char line[240];
    if (machine->last_words == MACHINE_RESET && !machine->was_up)
        snprintf(line, sizeof(line),
                 "it reset before its shell answered (a kernel with too little memory does: try a "
                 "larger mem)");
    else if (machine->boot_expired)
        snprintf(
            line, sizeof(line),
            "its shell did not answer within %g s of power-on (too little memory for the kernel "
            "dies silently: try a larger mem)",
            (double)machine->boot_timeout_ns / CLOCK_NS_PER_S);
    else if (machine->killed)
        snprintf(line, sizeof(line), "power cut");
    else if (machine->last_words == MACHINE_PANICKED)
        snprintf(line, sizeof(line), "the guest's kernel panicked");
    else if (is_final(machine->last_words))
        snprintf(line, sizeof(line), "the guest asked for %s",
                 machine->last_words == MACHINE_RESET ? "a reset" : "power-off");
    else if (WIFSIGNALED(status))
        snprintf(line, sizeof(line), "QEMU was killed by signal %d", WTERMSIG(status));
    else
        snprintf(line, sizeof(line), "QEMU exited with status %d", WEXITSTATUS(status));
    bytes_add_text(text, line);
    if (machine->killed && !machine->boot_expired)
        return;
    add_section(text, "\nQEMU says: ", &machine->error_tail);
    struct bytes lines = last_lines(&machine->console_tail);
    add_section(text, "\nthe console's last lines:\n", &lines);
}

static enum machine_state end_state(const struct machine *machine)
{
    if (machine->killed || !is_final(machine->last_words))
        return MACHINE_CRASHED;
    return machine->last_words;
}

/* Take what the pipes still hold, so that the last words are there when the end is reported. */
static void drain(int fd, void (*take)(void *, const char *, size_t), struct machine *machine)
{
    char data[4096];
    ssize_t n;
    while (fd >= 0 && (n = recv(fd, data, sizeof(data), MSG_DONTWAIT)) > 0)
        take(machine, data, (size_t)n);
}

static void on_process_end(uv_poll_t *watch, int uv_status, int events)
{
    struct machine *machine = watch->data;
    int status = 0;
    (void)uv_status;
    (void)events;
    if (child_reap(&machine->child, &status) == 0)
        return;
    uv_poll_stop(watch);
    timer_stop(machine->timers, &machine->boot_timer);
    drain(stream_fd(machine->monitor), on_monitor_data, machine);
    drain(stream_fd(machine->console), on_console_data, machine);
    drain(stream_fd(machine->errors), on_error_data, machine);
    if (machine->last_words == MACHINE_RESET && console_shows_panic(machine))
        machine->last_words = MACHINE_PANICKED;
    struct bytes why = {0};
    describe_end(machine, status, &why);
    channel_close(machine->channel, why.data);
    machine->channel = NULL;
    fail_replies(machine);
    set_state(machine, end_state(machine), why.data);
    bytes_free(&why);
}

static void on_boot_deadline(void *arg)
{
    struct machine *machine = arg;
    machine->boot_expired = true;
    machine_crash(machine);
}

void machine_crash(struct machine *machine)
{
    machine->killed = true;
    if (machine->child.pid)
        kill(machine->child.pid, SIGKILL);
}

int machine_poweroff(struct machine *machine)
{
    return machine->channel
               ? channel_shell(machine->channel, "poweroff </dev/null >/dev/null 2>&1 &\n")
               : -EPIPE;
}

pid_t machine_pid(const struct machine *machine)
{
    return machine->child.pid;
}

enum machine_state machine_state(const struct machine *machine)
{
    return machine->state;
}

/* Opening */

/* Socket pairs between us and QEMU: [0] ours, [1] QEMU's. */
struct sockets {
    int monitor[2], console[2], errors[2], shell[2];
    int units[CHANNEL_UNITS][2][2];
};

static int *socket_pair(struct sockets *sockets, size_t i)
{
    int(*all)[2] = (int(*)[2])(void *)sockets;
    return all[i];
}

#define N_SOCKETS (sizeof(struct sockets) / sizeof(int[2]))

static void close_sockets(struct sockets *sockets, int end)
{
    for (size_t i = 0; i < N_SOCKETS; i++) {
        int *pair = socket_pair(sockets, i);
        if (pair[end] >= 0)
            close(pair[end]);
        pair[end] = -1;
    }
}

static int open_sockets(struct sockets *sockets)
{
    memset(sockets, 0xff, sizeof(*sockets));
    for (size_t i = 0; i < N_SOCKETS; i++) {
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, socket_pair(sockets, i))) {
            int err = -errno;
            close_sockets(sockets, 0);
            close_sockets(sockets, 1);
            return err;
        }
    }
    return 0;
}

/* The shell's port comes last: once the guest sees it, it has seen the others. */
static size_t list_ports(const struct sockets *sockets, struct qemu_port *ports)
{
    size_t n = 0;
    for (unsigned i = 0; i < CHANNEL_UNITS; i++) {
        for (unsigned which = 0; which < 2; which++, n++) {
            snprintf(ports[n].name, sizeof(ports[n].name), "qn.%c%u", which ? 'e' : 'c', i);
            ports[n].fd = sockets->units[i][which][1];
        }
    }
    snprintf(ports[n].name, sizeof(ports[n].name), CHANNEL_SHELL_PORT);
    ports[n].fd = sockets->shell[1];
    return n + 1;
}

static int spawn_qemu(struct machine *machine, const struct machine_config *config,
                      const struct sockets *sockets)
{
    struct qemu_port ports[2 * CHANNEL_UNITS + 1];
    struct qemu_config qemu = config->qemu;
    qemu.monitor_fd = sockets->monitor[1];
    qemu.console_fd = sockets->console[1];
    qemu.n_ports = list_ports(sockets, ports);
    qemu.ports = ports;
    struct qemu_args args;
    int err = qemu_args_build(&args, &qemu);
    if (!err)
        err = child_spawn(&(struct child_spec){.argv = (const char *const *)args.argv,
                                               .inherit = args.fds,
                                               .n_inherit = args.n_fds,
                                               .stdout_fd = sockets->errors[1],
                                               .stderr_fd = sockets->errors[1],
                                               .death_signal = SIGKILL},
                          &machine->child);
    qemu_args_free(&args);
    return err;
}

static int take(int *fd)
{
    int taken = *fd;
    *fd = -1;
    return taken;
}

static int open_streams(struct machine *machine, struct sockets *s, const char *channel_note)
{
    int units[CHANNEL_UNITS][2];
    int err = stream_open(&machine->monitor, machine->loop, take(&s->monitor[0]), &monitor_handler,
                          machine);
    if (!err)
        err = stream_open(&machine->console, machine->loop, take(&s->console[0]), &console_handler,
                          machine);
    if (!err)
        err = stream_open(&machine->errors, machine->loop, take(&s->errors[0]), &error_handler,
                          machine);
    if (err)
        return err;
    for (size_t i = 0; i < CHANNEL_UNITS; i++) {
        units[i][0] = take(&s->units[i][0][0]);
        units[i][1] = take(&s->units[i][1][0]);
    }
    return channel_open(&machine->channel, machine->loop, machine->timers, take(&s->shell[0]),
                        units, machine->max_units, channel_note, &channel_handler, machine);
}

static void on_handle_freed(uv_handle_t *handle)
{
    free(handle);
}

static int open_watches(struct machine *machine)
{
    machine->boot_timer.fn = on_boot_deadline;
    machine->boot_timer.arg = machine;
    if (timer_start(machine->timers, &machine->boot_timer, clock_now() + machine->boot_timeout_ns))
        return -ENOMEM;
    uv_poll_t *watch = malloc(sizeof(*watch));
    int err = watch ? uv_poll_init(machine->loop, watch, machine->child.pidfd) : -ENOMEM;
    if (err) {
        free(watch);
        return err;
    }
    machine->exit_watch = watch;
    watch->data = machine;
    return uv_poll_start(watch, UV_READABLE, on_process_end);
}

static int start(struct machine *machine, const struct machine_config *config)
{
    struct sockets sockets;
    if (config->console_log && !(machine->console_log = fopen(config->console_log, "ae")))
        return -errno;
    int err = open_sockets(&sockets);
    if (err)
        return err;
    err = spawn_qemu(machine, config, &sockets);
    close_sockets(&sockets, 1);
    if (!err)
        err = open_streams(machine, &sockets, config->channel_note);
    close_sockets(&sockets, 0);
    return err ? err : open_watches(machine);
}

int machine_open(struct machine **out, uv_loop_t *loop, struct timers *timers,
                 const struct machine_config *config, char **why)
{
    struct machine *machine = calloc(1, sizeof(*machine));
    *why = NULL;
    if (!machine)
        return -ENOMEM;
    machine->loop = loop;
    machine->timers = timers;
    machine->handler = config->handler;
    machine->arg = config->arg;
    machine->boot_timeout_ns = config->boot_timeout_ns;
    machine->max_units = CHANNEL_UNITS + config->qemu.memory / UNIT_MEMORY;
    machine->child.pidfd = -1;
    machine->incoming_fd = config->qemu.incoming ? config->state_fd : -1;
    qmp_init(&machine->qmp, &qmp_handler, machine);
    int err = start(machine, config);
    if (err) {
        if (err == -ENOENT)
            *why = qemu_missing(qemu_arch(&config->qemu));
        machine_close(machine);
        return err;
    }
    *out = machine;
    return 0;
}

static void close_watches(struct machine *machine)
{
    if (machine->exit_watch)
        uv_close((uv_handle_t *)machine->exit_watch, on_handle_freed);
    timer_stop(machine->timers, &machine->boot_timer);
}

void machine_close(struct machine *machine)
{
    machine->closing = true;
    child_stop(&machine->child, 0);
    close_watches(machine);
    child_close(&machine->child);
    channel_close(machine->channel, "the virtual machine was stopped");
    fail_replies(machine);
    if (machine->console)
        drain(stream_fd(machine->console), on_console_data, machine);
    stream_close(machine->monitor);
    stream_close(machine->console);
    stream_close(machine->errors);
    qmp_free(&machine->qmp);
    if (machine->console_log)
        fclose(machine->console_log);
    bytes_free(&machine->console_tail);
    bytes_free(&machine->error_tail);
    free(machine);
}
