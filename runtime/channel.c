/* SPDX-License-Identifier: MIT */
#include "runtime/channel_private.h"
#include "runtime/embed.h"
#include "vmctl/cache.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/utsname.h>
#include <unistd.h>

#define SHELL_TAIL 2048
/* Bytes of a program in one command of the shell. */
#define PRINTF_PIECE 1024
#define KEY_START '\036' /* ASCII record separator */

static int make_key(char *key)
{
    unsigned char random[(FRAMING_KEY_LEN - 1) / 2];
    if (getrandom(random, sizeof(random), 0) != sizeof(random))
        return -errno;
    key[0] = KEY_START;
    for (size_t i = 0; i < sizeof(random); i++)
        snprintf(key + 1 + 2 * i, 3, "%02x", random[i]);
    return 0;
}

static struct unit *find_unit(struct channel *channel, enum unit_state state)
{
    for (size_t i = 0; i < channel->max_units; i++) {
        if (channel->units[i].state == state)
            return &channel->units[i];
    }
    return NULL;
}

static size_t count_units(const struct channel *channel, enum unit_state state)
{
    size_t n = 0;
    for (size_t i = 0; i < channel->max_units; i++)
        n += channel->units[i].state == state;
    return n;
}

/* Units come one at a time: each adds to what waits in QEMU's short control queue to the guest. */
static bool one_is_coming(const struct channel *channel)
{
    return count_units(channel, UNIT_PLUGGING) + count_units(channel, UNIT_STARTING) +
               count_units(channel, UNIT_GREETING) >
           0;
}

static size_t count_queue(const struct channel *channel)
{
    size_t n = 0;
    for (const struct unit_job *job = channel->queue; job; job = job->next)
        n++;
    return n;
}

/* One unit at least is kept in reserve, started ahead of the command that will need it. */
static void add_units(struct channel *channel)
{
    size_t idle = count_units(channel, UNIT_IDLE);
    struct unit *unused = find_unit(channel, UNIT_UNUSED),
                *absent = find_unit(channel, UNIT_ABSENT);
    if (!channel->answered || one_is_coming(channel) ||
        idle >= count_queue(channel) + channel->reserve)
        return;
    if (unused)
        unit_start(unused);
    else if (absent && channel->up && channel->reserve == 1)
        unit_plug(absent);
}

void channel_assign(struct channel *channel)
{
    struct unit *idle;
    while (channel->up && channel->queue && (idle = find_unit(channel, UNIT_IDLE))) {
        struct unit_job *job = channel->queue;
        channel->queue = job->next;
        if (!channel->queue)
            channel->queue_end = &channel->queue;
        unit_run(idle, job);
    }
    add_units(channel);
}

void channel_lose(struct channel *channel, const char *why)
{
    if (channel->lost || channel->closing)
        return;
    channel->lost = true;
    channel->handler->lost(channel->arg, why);
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
    channel_assign(channel);
}

static void on_shell_end(void *arg, int err)
{
    (void)err;
    channel_lose(arg, "the virtual machine closed its shell port");
}

static const struct stream_handler shell_handler = {.data = on_shell_data, .end = on_shell_end};

static int add_script(struct bytes *text, const char *name, const char *to)
{
    const struct embedded_file *file = embedded_find(embedded_guest, name);
    struct bytes script = {0};
    int err = !file || bytes_add(&script, file->data, file->size) ||
              bytes_add_text(text, "printf %s ") || bytes_add_quoted(text, script.data) ||
              bytes_add_text(text, " >\"$qn_d/") || bytes_add_text(text, to) ||
              bytes_add_text(text, "\"\n");
    bytes_free(&script);
    return err ? -ENOMEM : 0;
}

/* Part of a printf format: each byte that is not harmless there as octal digits, no more of them
 * than the next byte makes necessary. */
static int add_octal(struct bytes *text, const unsigned char *data, size_t n)
{
    int err = bytes_add_text(text, "printf '");
    for (size_t i = 0; i < n && !err; i++) {
        bool harmless = data[i] > ' ' && data[i] < 0x7f && !strchr("'\\%", data[i]);
        bool before_digit = i + 1 < n && data[i + 1] >= '0' && data[i + 1] <= '7';
        char part[8];
        snprintf(part, sizeof(part), harmless ? "%c" : before_digit ? "\\%03o" : "\\%o", data[i]);
        err = bytes_add_text(text, part);
    }
    return err || bytes_add_text(text, "'\n") ? -ENOMEM : 0;
}

/* A shell function that prints the program serve. */
static int add_serve(struct bytes *text)
{
    const struct embedded_file *file = embedded_find(embedded_guest, "serve");
    int err = !file || bytes_add_text(text, "qn_print_serve() {\n");
    for (size_t at = 0; !err && at < file->size; at += PRINTF_PIECE) {
        size_t left = file->size - at;
        err = add_octal(text, (const unsigned char *)file->data + at,
                        left < PRINTF_PIECE ? left : PRINTF_PIECE);
    }
    return err || bytes_add_text(text, "}\n") ? -ENOMEM : 0;
}

/* What the shell runs first: put the units' program in a folder of theirs from which it can be
 * executed, or else their scripts in one where they can be kept; then say the key. A shell that
 * comes after one that was killed finds what that one made. */
static int greet(struct channel *channel)
{
    static const char place[] =
        "qn_serve=''\n"
        /* A shell may take a program that its kernel refuses for a script. */
        "[ \"$(uname -m)\" != \"$qn_machine\" ] || for qn_p in /run /dev/shm /tmp /var/tmp; do\n"
        "qn_d=$qn_p/$qn_name\n"
        "mkdir -m 700 \"$qn_d\" 2>/dev/null || [ -w \"$qn_d\" ] || continue\n"
        "[ -x \"$qn_d/serve\" ] || { qn_print_serve >\"$qn_d/serve\"; chmod 700 \"$qn_d/serve\"; } "
        "2>/dev/null\n"
        "if \"$qn_d/serve\" 2>/dev/null; then qn_serve=1; break; fi\n"
        "done\n"
        "unset -f qn_print_serve\n"
        "[ \"$qn_serve\" ] || for qn_p in /run /dev/shm /tmp /var/tmp; do\n"
        "qn_d=$qn_p/$qn_name\n"
        "mkdir -m 700 \"$qn_d\" 2>/dev/null\n"
        "[ ! -w \"$qn_d\" ] || break\n"
        "done\n"
        /* The second setsid goes into the background, not the shell: a shell would have SIGINT
         * ignored there, by all that comes of it. */
        "qn_unit() { if [ \"$qn_serve\" ]; then \"$qn_d/serve\" \"$1\"; "
        "else setsid setsid sh \"$qn_d/unit\" \"$1\"; fi </dev/null >/dev/null 2>&1; }\n"
        "if [ ! \"$qn_serve\" ]; then\n";
    struct bytes text = {0};
    struct utsname host = {0};
    uname(&host); /* which the program was built for */
    int err = bytes_add_text(&text, "\nqn_name=.qn.") || bytes_add(&text, channel->key + 1, 8) ||
              bytes_add_text(&text, "\nqn_machine=") || bytes_add_text(&text, host.machine) ||
              bytes_add_text(&text, "\n") || add_serve(&text) || bytes_add_text(&text, place) ||
              add_script(&text, "unit.sh", "unit") || add_script(&text, "feed.sh", "feed") ||
              bytes_add_text(&text, "fi\necho ") || bytes_add_text(&text, channel->key) ||
              bytes_add_text(&text, "\n");
    if (!err)
        err = stream_write(channel->shell, text.data, text.n);
    bytes_free(&text);
    return err;
}

static void on_shell_port(struct channel *channel, bool open)
{
    bool known = channel->resumed && open;
    channel->resumed = false;
    if (known)
        return;
    channel->answered = false;
    if (open && channel->shell_seen) {
        bytes_free(&channel->shell_tail);
        greet(channel);
        /* What the shell before it was told to start may not have been. */
        for (size_t i = 0; i < channel->max_units; i++)
            unit_start_again(&channel->units[i]);
    }
    channel->shell_seen = true;
}

void channel_port_changed(struct channel *channel, const char *name, bool open)
{
    unsigned number;
    char kind;
    if (strcmp(name, CHANNEL_SHELL_PORT) == 0)
        on_shell_port(channel, open);
    else if (!open && sscanf(name, "qn.%c%u", &kind, &number) == 2 && number < channel->max_units)
        unit_port_closed(&channel->units[number]);
}

static void init_units(struct channel *channel, const int unit_fds[CHANNEL_UNITS][2],
                       size_t max_units)
{
    channel->max_units = max_units < CHANNEL_UNITS_MAX ? max_units : CHANNEL_UNITS_MAX;
    for (size_t i = 0; i < channel->max_units; i++) {
        struct unit *unit = &channel->units[i];
        unit->channel = channel;
        unit->number = (unsigned)i;
        unit->state = i < CHANNEL_UNITS ? UNIT_UNUSED : UNIT_ABSENT;
        for (int which = 0; which < 2; which++)
            unit->port[which] = (struct port){
                .unit = unit, .which = which, .fd = i < CHANNEL_UNITS ? unit_fds[i][which] : -1};
    }
}

void channel_plugged(struct channel *channel, unsigned number, const int fds[2])
{
    struct unit *unit = &channel->units[number];
    if (unit->state != UNIT_PLUGGING) {
        for (int which = 0; fds && which < 2; which++)
            close(fds[which]);
        return;
    }
    timer_stop(channel->timers, &unit->timer);
    if (!fds) {
        unit->state = UNIT_DEAD;
        channel_assign(channel);
        return;
    }
    unit->port[0].fd = fds[0];
    unit->port[1].fd = fds[1];
    unit->state = UNIT_UNUSED;
    channel_assign(channel);
}

/* Where another channel was with the guest that this one is a copy of. */

bool channel_is_served(const struct channel *channel)
{
    for (size_t i = 0; i < channel->max_units; i++) {
        if (channel->units[i].served)
            return true;
    }
    return false;
}

void channel_prepare(struct channel *channel, bool on)
{
    channel->reserve = on ? CHANNEL_UNITS : 1;
    channel_assign(channel);
}

int channel_note(const struct channel *channel, char note[CHANNEL_NOTE_MAX])
{
    int at = snprintf(note, CHANNEL_NOTE_MAX, "%s", channel->key + 1);
    for (int i = 0; i < CHANNEL_UNITS; i++) {
        const struct unit *unit = &channel->units[i];
        if (unit->state == UNIT_IDLE && !unit->served)
            return -ENOTSUP;
        if (unit->state != UNIT_IDLE)
            return unit->state == UNIT_DEAD ? -ENOTSUP : -EAGAIN;
        at += snprintf(note + at, (size_t)(CHANNEL_NOTE_MAX - at), " %" PRIu64, unit->seq);
    }
    return channel->queue ? -EAGAIN : 0;
}

static int resume(struct channel *channel, const char *note)
{
    int at = 0, used;
    if (sscanf(note, "%32[0-9a-f]%n", channel->key + 1, &at) != 1 || at != FRAMING_KEY_LEN - 1)
        return -EINVAL;
    channel->key[0] = KEY_START;
    channel->answered = channel->shell_seen = channel->resumed = true;
    for (int i = 0; i < CHANNEL_UNITS; i++, at += used) {
        uint64_t seq;
        if (sscanf(note + at, "%" SCNu64 "%n", &seq, &used) != 1)
            return -EINVAL;
        unit_resume(&channel->units[i], seq);
    }
    return 0;
}

static int begin(struct channel *channel, const char *note)
{
    if (note)
        return resume(channel, note);
    int err = make_key(channel->key);
    return err ? err : greet(channel);
}

uint64_t channel_version(void)
{
    uint64_t hash = CACHE_HASH_START;
    for (const struct embedded_file *file = embedded_guest; file->name; file++)
        hash = cache_hash(hash, file->data, file->size);
    return hash;
}

int channel_open(struct channel **out, uv_loop_t *loop, struct timers *timers, int shell_fd,
                 const int unit_fds[CHANNEL_UNITS][2], size_t max_units, const char *note,
                 const struct channel_handler *handler, void *arg)
{
    struct channel *channel = calloc(1, sizeof(*channel));
    if (!channel)
        return -ENOMEM;
    channel->loop = loop;
    channel->timers = timers;
    channel->handler = handler;
    channel->arg = arg;
    channel->queue_end = &channel->queue;
    init_units(channel, unit_fds, max_units);
    channel->reserve = 1;
    int err = stream_open(&channel->shell, loop, shell_fd, &shell_handler, channel);
    if (!err)
        err = begin(channel, note);
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
        unit_job_end(channel->queue, why);
    for (size_t i = 0; i < channel->max_units; i++) {
        if (channel->units[i].job)
            unit_job_end(channel->units[i].job, why);
        unit_close(&channel->units[i]);
    }
    stream_close(channel->shell);
    bytes_free(&channel->shell_tail);
    free(channel);
}

int channel_shell(struct channel *channel, const char *line)
{
    return stream_write(channel->shell, line, strlen(line));
}
